import CRDT
import Model
import Testing

@testable import Cluster

/// Known data-loss bugs of other replicated tables, put back one by one: each must be noticed.
@Suite struct TableMutationTests {
    @Test(arguments: TableMutation.allCases)
    func `a known bug is noticed in its schedule, and without it nothing goes wrong`(
        bug: TableMutation
    ) {
        var sound = TableBench(seed: 9, count: 2, retention: .seconds(10))
        #expect(problem(with: bug, in: &sound) == nil)
        var broken = TableBench(seed: 9, count: 2, retention: .seconds(10), mutation: bug)
        #expect(problem(with: bug, in: &broken) != nil, "\(bug) goes unnoticed")
    }

    private func task(_ number: UInt64) -> TaskID { TableBench.task(number) }

    private func problem(with bug: TableMutation, in bench: inout TableBench) -> String? {
        switch bug {
        case .claimsBelowHighest: lostPush(&bench)
        case .readsAbsenceAsRemoval: lostRows(&bench)
        case .forgetsCollected: oldDisk(&bench)
        case .reusesOrigin: emptyDisk(&bench)
        case .mergesWithGaps: lostRow(&bench)
        case .replacesByOlder: lateState(&bench)
        case .dropsOversized: largeTask(&bench)
        case .countsCopiesOnSend: deafPeer(&bench)
        }
    }

    /// Of two changes the first is lost: the context must not claim it.
    private func lostPush(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.persistAll(0)
        bench.packets = []
        bench.now = bench.now + .milliseconds(10)
        bench.submit(2, at: 0)
        bench.persistAll(0)
        while !bench.packets.isEmpty { bench.deliver(0) }
        bench.persistAll(1)
        let lost = Dot(origin: bench.replicas[0].origin, sequence: 1)
        let isClaimed = bench.replicas[1].context.contains(lost)
        guard bench.replicas[1].record(task(2)) != nil else { return "nothing has arrived" }
        return isClaimed ? "a change is claimed that was lost" : nil
    }

    /// Rows vanish from a disk, the context stays.
    private func lostRows(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        bench.disks[1][.task] = [:]
        bench.restart(1)
        // It is the one that lists what it has.
        let digest = TableMessage.digest(bench.replicas[0].digest)
        bench.step(1, .received(digest.encoded, from: TableBench.id(0)))
        bench.settle(rounds: 40)
        let isThere = bench.replicas.allSatisfy { $0.record(task(1)) != nil }
        return isThere ? nil : "a task is lost"
    }

    private func oldDisk(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        let old = bench.disks[1]
        bench.close(1, at: 0)
        bench.settle(rounds: 40)
        bench.disks[1] = old
        bench.restart(1)
        bench.settle(rounds: 4)
        let isGone = bench.replicas.allSatisfy { $0.record(task(1)) == nil }
        return isGone ? nil : "a collected task is back"
    }

    /// A node that has lost its disk takes a task in before it hears from anybody.
    private func emptyDisk(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        bench.disks[0] = [:]
        bench.restart(0)
        bench.submit(2, at: 0)
        bench.settle(rounds: 3)
        bench.close(1, at: 1)
        bench.settle(rounds: 40)
        for index in 0...1 { bench.restart(index) }
        bench.settle(rounds: 4)
        let isThere = bench.replicas.allSatisfy { $0.record(task(2)) != nil }
        return isThere ? nil : "a task is taken for another"
    }

    /// The row of a second attempt is lost, what became of it arrives.
    private func lostRow(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.attempt(1, token: 4, at: 0)
        bench.settle(rounds: 2)
        bench.attempt(1, token: 5, at: 0)
        bench.persistAll(0)
        bench.packets = []
        bench.now = bench.now + .milliseconds(10)
        guard var row = bench.replicas[0].record(task(1))?.latestAttempt else { return "no row" }
        row.phase = .complete
        row.exit = ExitStatus(code: 0)
        bench.step(0, .writeAttempt(task(1), row))
        while !bench.packets.isEmpty { bench.deliver(0) }
        let first = bench.replicas[1].record(task(1))?.attempts.first { $0.token.index == 4 }
        return first?.phase == .running ? nil : "an attempt has another one's end"
    }

    /// An older full state arrives after a change.
    private func lateState(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.persistAll(0)
        let late = bench.packets
        bench.settle(rounds: 3)
        bench.step(1, .cancel(task(1)))
        bench.persistAll(1)
        bench.packets = []
        for packet in late where packet.to == 1 {
            bench.step(1, .received(packet.bytes, from: packet.from))
        }
        let isCanceled = bench.replicas[1].record(task(1))?.isCancelRequested == true
        return isCanceled ? nil : "a wish is forgotten"
    }

    private func largeTask(_ bench: inout TableBench) -> String? {
        let spec = TaskSpec(command: ["run", String(repeating: "x", count: 4_000)])
        bench.step(
            0,
            .submit(spec, id: task(1), wall: WallTime(milliseconds: 1), wantedCopies: 2))
        bench.settle(rounds: 10)
        return bench.replicas[1].record(task(1)) != nil ? nil : "a large task stays where it is"
    }

    private func deafPeer(_ bench: inout TableBench) -> String? {
        bench.submit(1, at: 0)
        bench.persistAll(0)
        bench.packets = []
        return bench.copies[task(1)] == 1 ? nil : "a copy is counted that nobody has"
    }
}
