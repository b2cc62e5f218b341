import CRDT
import Model
import Testing

@testable import Cluster

/// Schedules that lose data in tables which trust their contexts, and bounds that must hold.
@Suite struct TableFaultTests {
    private func task(_ number: UInt64) -> TaskID { TableBench.task(number) }

    // MARK: Contexts claim too much

    @Test func `a void that arrives without its record does not keep the record away`() {
        var bench = TableBench(seed: 1, count: 3)
        bench.submit(1, at: 0)
        bench.settle(rounds: 4)
        // Replica 0 changes the task so often that the first changes have no name any more; replica
        // 2 hears of the first of them only, replica 1 of none.
        for token in 1...8 as ClosedRange<UInt64> { bench.attempt(1, token: token, at: 0) }
        bench.now = bench.now + .milliseconds(5)
        bench.step(0, .deadlineReached)
        bench.persistAll(0)
        for packet in bench.packets where packet.to == 2 {
            bench.step(2, .received(packet.bytes, from: packet.from))
        }
        bench.persistAll(2)
        bench.packets = []
        for token in 9...100 as ClosedRange<UInt64> { bench.attempt(1, token: token, at: 0) }
        bench.persistAll(0)
        bench.packets = []
        // Replica 1 asks for what it lacks, and gets the voids alone before replica 0 is lost.
        let page = DotPage(set: bench.replicas[1].context)
        bench.step(
            0,
            .received(
                TableMessage.context(page, wantsReply: false).encoded, from: TableBench.id(1)))
        for packet in bench.packets {
            guard
                case .records(_, let voids, let isMore)? = try? TableMessage(
                    decoding: packet.bytes)
            else { continue }
            let torn = TableMessage.records(TableDeltas([]), voids: voids, isMore: isMore)
            bench.step(1, .received(torn.encoded, from: packet.from))
        }
        bench.packets = []
        bench.persistAll(1)
        bench.lose(0)
        bench.settle()
        #expect(bench.replicas[2].record(task(1))?.attempts.count == 8)
        #expect(bench.isConverged)
    }

    @Test func `dots that a peer made up do not keep later tasks away`() {
        var bench = TableBench(seed: 2, count: 2)
        bench.submit(1, at: 0)
        bench.settle(rounds: 2)
        // Replica 1 is told that all changes which replica 0 will ever make are known.
        let lie = TableMessage.records(
            TableDeltas([]), voids: [(bench.replicas[0].origin, 1...UInt64.max)], isMore: false)
        bench.step(1, .received(lie.encoded, from: TableBench.id(0)))
        bench.persistAll(1)
        bench.submit(2, at: 0)
        bench.packets = []
        bench.settle(rounds: 10)
        bench.submit(3, at: 0)
        bench.packets = []
        bench.settle(rounds: 10)
        #expect(bench.replicas[1].record(task(2)) != nil)
        #expect(bench.replicas[1].record(task(3)) != nil)
        #expect(bench.cloneSuspicions > 0)
    }

    @Test func `births that were never issued are not collected in advance`() {
        var bench = TableBench(seed: 3, count: 2)
        var births = DotSet()
        births.insert(1...1_000, of: bench.replicas[0].origin)
        let lie = TableMessage.collected(DotPage(set: births), wantsReply: false)
        bench.step(0, .received(lie.encoded, from: TableBench.id(1)))
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        #expect(bench.copies[task(1)] ?? 0 >= 2)
        #expect(bench.replicas.allSatisfy { $0.record(task(1)) != nil })
    }

    @Test func `a write that the disk takes after a refusal claims nothing that was refused`() {
        var bench = TableBench(seed: 4, count: 2)
        bench.submit(1, at: 0)
        bench.submit(2, at: 0)
        bench.refuseOne(0)
        bench.submit(3, at: 0)
        bench.refuseOne(0)
        bench.persistAll(0)
        while !bench.packets.isEmpty { bench.deliver(0) }
        bench.persistAll(1)
        bench.now = bench.now + .milliseconds(5)
        bench.step(0, .deadlineReached)
        while !bench.packets.isEmpty { bench.deliver(0) }
        bench.persistAll(1)
        #expect(bench.replicas[1].record(task(2)) != nil)
        bench.packets = []
        bench.restart(0)
        bench.settle(rounds: 10)
        #expect([1, 2, 3].allSatisfy { bench.replicas[0].record(task($0)) != nil })
    }

    @Test func `a record that forgets its oldest changes leaves no questions open`() {
        var bench = TableBench(seed: 5, count: 2)
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        for token in 1...70 as ClosedRange<UInt64> {
            bench.attempt(1, token: token, at: 0)
            bench.attempt(1, token: token, at: 1)
        }
        bench.settle(rounds: 10)
        #expect(bench.isConverged)
        #expect(bench.replicas[0].digest == bench.replicas[1].digest)
        #expect(bench.replicas[0].index.count == bench.replicas[0].record(task(1))?.dots.count)
        bench.close(1, at: 0)
        bench.now = bench.now + .seconds(4_000)
        bench.settle(rounds: 30)
        #expect(bench.replicas.allSatisfy { $0.index.count == 0 && $0.birthIndex.count == 0 })
    }

    @Test func `a change of a row that this node lacks is asked for at once`() {
        var bench = TableBench(seed: 12, count: 2)
        bench.submit(1, at: 0)
        bench.settle(rounds: 2)
        bench.attempt(1, token: 5, at: 0)
        bench.packets = []
        bench.now = bench.now + .milliseconds(5)
        var row = bench.replicas[0].record(task(1))?.latestAttempt
        row?.phase = .complete
        row?.exit = ExitStatus(code: 7)
        guard let row else {
            Issue.record("the attempt was just written")
            return
        }
        bench.step(0, .writeAttempt(task(1), row))
        bench.persistAll(0)
        while !bench.packets.isEmpty { bench.deliver(0) }
        #expect(bench.replicas[1].record(task(1))?.latestAttempt == row)
        // And a repetition is not: it says nothing new.
        let push = TableMessage.push(
            ack: 0, reach: .none, TableDeltas(bench.replicas[0].records.map(TaskDelta.init)))
        bench.step(1, .received(push.encoded, from: TableBench.id(0)))
        #expect(bench.packets.isEmpty)
    }

    @Test func `two that ask each other at once send what is lacking once`() {
        var bench = TableBench(seed: 13, count: 2)
        for number in 1...20 as ClosedRange<UInt64> { bench.submit(number, at: 0) }
        bench.persistAll(0)
        bench.packets = []
        bench.now = bench.now + .seconds(2)

        for index in 0...1 { bench.step(index, .deadlineReached) }
        _ = bench.takePackets { if case .digest = $0 { false } else { true } }
        #expect(bench.packets.count == 2)
        var sent = 0
        while let packet = bench.packets.first {
            if case .records(let deltas, _, _)? = try? TableMessage(decoding: packet.bytes) {
                sent += deltas.readable.count
            }
            bench.deliver(0)
        }
        #expect(sent == 20)
        #expect(bench.isConverged)
    }

    // MARK: Damage

    @Test func `damaged rows are fetched again, and they alone`() {
        var bench = TableBench(seed: 6, count: 2)
        for number in 1...200 as ClosedRange<UInt64> { bench.submit(number, at: Int(number % 2)) }
        bench.settle(rounds: 5)
        let before = bench.replicas[1].canonicalBytes()
        for number in [3, 4, 150] as [UInt64] {
            bench.disks[0][.task]?[task(number).value.bytes] = [1, 2, 3]
        }
        bench.restart(0)
        #expect(bench.replicas[0].damagedRows == 3)
        #expect(bench.replicas[0].records.count == 197)
        var fetched = 0
        for _ in 0..<10 {
            bench.now = bench.now + .seconds(1)
            for index in 0...1 { bench.step(index, .deadlineReached) }
            while let packet = bench.packets.first {
                if case .records(let deltas, _, _)? = try? TableMessage(decoding: packet.bytes) {
                    fetched += deltas.readable.count
                }
                bench.deliver(0)
            }
            bench.persistAll(0)
            bench.persistAll(1)
        }
        #expect(bench.replicas[0].canonicalBytes() == before)
        #expect(fetched <= 6)
        bench.restart(0)
        #expect(bench.replicas[0].damagedRows == 0)
        #expect(bench.replicas[0].canonicalBytes() == before)
    }

    @Test func `rows that went missing from the disk unnoticed are fetched again`() {
        var bench = TableBench(seed: 7, count: 2)
        for number in 1...200 as ClosedRange<UInt64> { bench.submit(number, at: Int(number % 2)) }
        bench.settle(rounds: 5)
        let before = bench.replicas[1].canonicalBytes()
        for number in [3, 4, 150] as [UInt64] {
            bench.disks[0][.task]?[task(number).value.bytes] = nil
        }
        bench.restart(0)
        #expect(bench.replicas[0].records.count == 197)
        bench.settle(rounds: 5)
        #expect(bench.replicas[0].canonicalBytes() == before)
    }

    @Test func `a long reason is cut, and the task survives a restart`() {
        var bench = TableBench(seed: 8, count: 1)
        bench.submit(1, at: 0, copies: 1)
        let family = String(repeating: "👨‍👩‍👧‍👦", count: 128)
        bench.attempt(1, token: 1, at: 0, reason: family)
        bench.persistAll(0)
        let before = bench.replicas[0].canonicalBytes()
        bench.restart(0)
        #expect(bench.replicas[0].damagedRows == 0)
        #expect(bench.replicas[0].canonicalBytes() == before)
        let kept = bench.replicas[0].record(task(1))?.latestAttempt?.reason ?? ""
        #expect(!kept.isEmpty && kept.utf8.count <= TaskOutcome.reasonSizeBytesMax)
    }

    @Test func `a set of many intervals survives a restart`() {
        var bench = TableBench(seed: 9, count: 1)
        for part in 0..<20 as Range<UInt64> {
            var births = DotSet()
            for number in 0..<4_000 as Range<UInt64> {
                let sequence = 2 * (part * 4_000 + number) + 1
                births.insert(sequence...sequence, of: 77)
            }
            let page = DotPage(set: births)
            bench.step(
                0,
                .received(
                    TableMessage.collected(page, wantsReply: false).encoded,
                    from: TableBench.id(5)))
        }
        bench.persistAll(0)
        #expect(bench.replicas[0].collected.intervalCount == 80_000)
        let before = bench.replicas[0].canonicalBytes()
        bench.restart(0)
        #expect(bench.replicas[0].damagedRows == 0)
        #expect(bench.replicas[0].canonicalBytes() == before)
    }

    @Test func `rows of intervals merge on disk as they do in memory`() {
        var bench = TableBench(seed: 10, count: 2)
        for number in 1...300 as ClosedRange<UInt64> {
            bench.submit(number, at: 0)
            if number % 7 == 0 { _ = bench.persistOne(0) }
        }
        bench.settle(rounds: 3)
        bench.submit(301, at: 0)
        bench.settle(rounds: 3)
        #expect(bench.disks[0][.context]?.count == bench.replicas[0].context.intervalCount)
        #expect(bench.replicas[0].context.intervalCount == 1)
    }

    @Test func `one delta that can't be read does not take the others with it`() {
        var bench = TableBench(seed: 11, count: 2)
        bench.submit(1, at: 0)
        bench.submit(2, at: 0)
        guard let first = bench.replicas[0].record(task(1)),
            let second = bench.replicas[0].record(task(2))
        else {
            Issue.record("the tasks were just submitted")
            return
        }
        var writer = ByteWriter()
        TableMessage.encodePush(ack: 9, reach: .none, into: &writer)
        writer.varint(2)
        first.id.encode(into: &writer)
        writer.blob([1, 1, 0xFF])
        TaskDelta(second).encode(into: &writer)
        bench.packets = []
        bench.step(1, .received(writer.bytes, from: TableBench.id(0)))
        bench.persistAll(1)
        #expect(bench.replicas[1].record(task(1)) == nil)
        #expect(bench.replicas[1].record(task(2)) != nil)
        let vouched = bench.takePackets { if case .stored = $0 { true } else { false } }
        #expect(vouched.isEmpty)
        bench.settle(rounds: 5)
        #expect(bench.isConverged)
    }
}
