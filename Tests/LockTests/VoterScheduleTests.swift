import Model
import Testing

@testable import Lock
@testable import Raft

/// Voters over time: growth, loss, farewells and restarts.
@Suite struct VoterScheduleTests {
    private static let task = LockBench.task(1)

    private func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    private func voters(of bench: LockBench) -> [Int] {
        (bench.machines[leader(of: bench)]?.node?.engine.members.voters ?? [])
            .map(LockBench.number).sorted()
    }

    private func leads(_ bench: LockBench, anybodyBut number: Int) -> Bool {
        bench.machines.values.contains { $0.node?.isLeader == true && $0.number != number }
    }

    private func leave(_ number: Int, in bench: LockBench) {
        bench.step(number, .leaveVoters)
        let isOut = bench.run(atMost: .seconds(20)) { bench.record.leftVoters.contains(number) }
        #expect(isOut, "machine \(number) can't leave")
        bench.machines[number]?.hasLeft = true
        bench.crash(number)
    }

    /// Whether a machine knows of no change of voters that is under way.
    private func isSettled(_ number: Int, in bench: LockBench) -> Bool {
        guard let engine = bench.machines[number]?.node?.engine else { return false }
        return engine.members.outgoingVoters.isEmpty && engine.areMembersCommitted
    }

    @Test func `voters grow from one to three to five with the members, and back`() {
        let bench = LockBench(seed: 41)
        bench.add(1)
        bench.run(for: .seconds(3))
        bench.acquire(1, [1])
        #expect(voters(of: bench) == [1])
        for (number, count) in [(2, 1), (3, 3), (4, 3), (5, 3), (6, 3), (7, 5)] {
            bench.add(number)
            let isSo = bench.run(atMost: .seconds(20)) { voters(of: bench).count == count }
            #expect(isSo, "\(number) machines have the voters \(voters(of: bench))")
            bench.run(for: .seconds(2))
            #expect(voters(of: bench).count == count)
        }
        // Whoever leaves, the others go on; the last two share one voter.
        for (number, count) in [(7, 5), (2, 5), (6, 3), (3, 3), (5, 1)] {
            leave(number, in: bench)
            let isSo = bench.run(atMost: .seconds(30)) { voters(of: bench).count == count }
            #expect(isSo, "without \(number) the voters are \(voters(of: bench))")
        }
        #expect(bench.machines[1]?.running[VoterScheduleTests.task] != nil)
        #expect(bench.record.lapses == 0)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a dead voter is replaced without anybody's help`() {
        let bench = LockBench(seed: 42)
        bench.found(5)
        let before = voters(of: bench)
        let dead = before.first { $0 != leader(of: bench) } ?? 0
        bench.crash(dead)
        // Not before the change is over: until then the old majority has a say, too.
        let isReplaced = bench.run(atMost: .seconds(15)) {
            let voters = voters(of: bench)
            return !voters.contains(dead) && voters.count == 3
                && voters.allSatisfy { isSettled($0, in: bench) }
        }
        #expect(isReplaced)
        // A second loss is survived, since the first one was made good.
        let survivor = voters(of: bench).first { !before.contains($0) } ?? 0
        bench.crash(before.first { $0 != dead } ?? 0)
        bench.acquire(survivor, [1])
        let isGranted = bench.run(atMost: .seconds(10)) { bench.record.grants == 1 }
        #expect(isGranted)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a voter that is alive but silent is replaced`() {
        let bench = LockBench(seed: 43)
        bench.found(4)
        let silent = voters(of: bench).first { $0 != leader(of: bench) } ?? 0
        bench.step(silent, .halt)
        let isReplaced = bench.run(atMost: .seconds(15)) {
            voters(of: bench).contains(4) && !voters(of: bench).contains(silent)
        }
        #expect(isReplaced)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a newcomer that never catches up is passed over`() {
        let bench = LockBench(seed: 44)
        bench.found(5)
        let outside = [1, 2, 3, 4, 5].filter { !voters(of: bench).contains($0) }
        let dead = voters(of: bench).first { $0 != leader(of: bench) } ?? 0
        // The log does not reach the first candidate, though it looks alive.
        bench.filter = { wire, message in
            if wire.to == outside[0], case .raft = message { return nil }
            return message
        }
        bench.crash(dead)
        let isReplaced = bench.run(atMost: .seconds(40)) {
            voters(of: bench).contains(outside[1]) && !voters(of: bench).contains(dead)
        }
        #expect(isReplaced)
    }

    @Test func `voters spread over the zones that their operators name`() {
        let bench = LockBench(seed: 45)
        bench.zones = [1: "a", 2: "a", 3: "a", 4: "b", 5: "c"]
        bench.found(3)
        #expect(voters(of: bench) == [1, 2, 3])
        bench.add(4)
        bench.add(5)
        let isSpread = bench.run(atMost: .seconds(20)) {
            Set(voters(of: bench).map { bench.zones[$0] }).count == 3
        }
        #expect(isSpread)
        #expect(bench.record.lapses == 0)
    }

    // MARK: Farewells

    /// Shorter than any silence after which a voter would campaign by itself.
    private static let handOver: Duration = .milliseconds(100)

    @Test func `a leader that leaves hands over before it goes`() {
        let bench = LockBench(seed: 46)
        bench.found(4)
        let old = leader(of: bench)
        bench.step(old, .leaveVoters)
        #expect(bench.run(atMost: VoterScheduleTests.handOver) { leads(bench, anybodyBut: old) })
        #expect(bench.run(atMost: .seconds(10)) { bench.record.leftVoters == [old] })
        #expect(!voters(of: bench).contains(old))
        #expect(voters(of: bench).count == 3)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a leader that leaves while nobody can take over leaves as a leader`() {
        let bench = LockBench(seed: 47)
        bench.found(4)
        let old = leader(of: bench)
        bench.filter = { _, message in
            if case .raft(let raft) = message, case .timeoutNow = raft.content { return nil }
            return message
        }
        bench.step(old, .leaveVoters)
        #expect(bench.run(atMost: .seconds(15)) { bench.record.leftVoters == [old] })
        #expect(bench.run(atMost: .seconds(5)) { leads(bench, anybodyBut: old) })
    }

    @Test func `a leader that stops for a while hands over, and a follower does nothing`() {
        let bench = LockBench(seed: 48)
        bench.found(3)
        let old = leader(of: bench)
        bench.step(old == 2 ? 3 : 2, .yieldLeadership)
        bench.run(for: .seconds(1))
        #expect(leader(of: bench) == old)
        bench.step(old, .yieldLeadership)
        #expect(bench.run(atMost: VoterScheduleTests.handOver) { leads(bench, anybodyBut: old) })
        bench.acquire(old, [1])
        #expect(bench.run(atMost: .seconds(1)) { bench.record.grants == 1 })
    }

    @Test func `a rolling restart of all nodes loses no lease and no claim`() {
        let bench = LockBench(seed: 49)
        bench.found(5)
        for number in 1...5 { bench.acquire(number, [number]) }
        bench.run(for: .seconds(1))
        let before = (1...5).map { bench.machines[$0]?.running }
        for number in 1...5 {
            bench.step(number, .yieldLeadership)
            bench.run(for: .milliseconds(100))
            bench.crash(number, survivors: .max)
            bench.run(for: .seconds(1))
            bench.start(number)
            let isBack = bench.run(atMost: .seconds(3)) {
                bench.machines[number]?.node?.mayAcquire == true
            }
            #expect(isBack, "machine \(number) has no session again")
        }
        bench.run(for: .seconds(6))
        #expect((1...5).map { bench.machines[$0]?.running } == before)
        #expect(bench.record.lapses == 0)
        #expect(bench.record.gone.isEmpty)
        #expect(bench.record.violations.isEmpty)
    }
}
