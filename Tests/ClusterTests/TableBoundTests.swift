import CRDT
import Model
import Testing

@testable import Cluster

/// Nothing grows without a named bound: at each bound, and one past it.
@Suite struct TableBoundTests {
    private func task(_ number: UInt64) -> TaskID { TableBench.task(number) }

    @Test func `many changes of one task at once reach the peers in a form they can read`() {
        var bench = TableBench(seed: 1, count: 2)
        bench.submit(1, at: 0)
        bench.settle(rounds: 2)
        bench.attempt(1, token: 1, at: 0)
        bench.packets = []
        for token in 2...400 as ClosedRange<UInt64> { bench.attempt(1, token: token, at: 0) }
        bench.now = bench.now + .milliseconds(5)
        bench.step(0, .deadlineReached)
        #expect(!bench.packets.isEmpty)
        while !bench.packets.isEmpty { bench.deliver(0) }
        #expect(bench.replicas[1].record(task(1))?.latestAttempt?.token.index == 400)
    }

    @Test func `answers that never come take a bounded room`() {
        var bench = TableBench(seed: 2, count: 2)
        bench.submit(0, at: 0, copies: 9)
        for number in 1...UInt64(TableConfiguration.acksMax + 100) {
            bench.now = bench.now + .milliseconds(3)
            bench.submit(number, at: 0, copies: 1)
            bench.persistAll(0)
            bench.packets = []
        }
        #expect(bench.replicas[0].acks.count <= TableConfiguration.acksMax)
        #expect(bench.replicas[0].submissions.count == 1)
    }

    @Test func `a push that every disk has is not waited for any longer`() {
        var bench = TableBench(seed: 3, count: 2)
        bench.submit(0, at: 0, copies: 9)
        for number in 1...50 as ClosedRange<UInt64> {
            bench.submit(number, at: 0, copies: 2)
            bench.persistAll(0)
            while !bench.packets.isEmpty { bench.deliver(0) }
            bench.persistAll(1)
            bench.now = bench.now + .milliseconds(3)
            bench.step(0, .deadlineReached)
            bench.persistAll(0)
        }
        while !bench.packets.isEmpty { bench.deliver(0) }
        bench.persistAll(1)
        while !bench.packets.isEmpty { bench.deliver(0) }
        #expect(bench.replicas[0].submissions.count <= 1)
        #expect(bench.replicas[0].acks.count <= 1)
    }

    @Test func `on a disk that does not answer, changes gather in one write`() {
        var bench = TableBench(seed: 4, count: 2)
        for number in 1...2_000 as ClosedRange<UInt64> {
            bench.submit(number % 100 + 1_000 * (number / 1_900), at: 0, unlessKnown: true)
            bench.attempt(number % 100, token: number, at: 0)
        }
        #expect(bench.pending[0].count == TableWrites.underWayMax)
        bench.persistAll(0)
        let known = bench.replicas[0].canonicalBytes()
        bench.restart(0)
        #expect(bench.replicas[0].canonicalBytes() == known)
    }

    @Test func `a disk that refuses for hours holds one batch back`() {
        var bench = TableBench(seed: 5, count: 2)
        bench.submit(1, at: 0)
        guard let record = bench.replicas[0].record(task(1)) else {
            Issue.record("the task was just submitted")
            return
        }
        for number in 1...UInt64(TableWrites.acksMax + 10) {
            let push = TableMessage.push(
                ack: number, reach: .none, TableDeltas([TaskDelta(record)]))
            bench.step(0, .received(push.encoded, from: TableBench.id(1)))
            if number % 100 == 0 {
                bench.refuseOne(0)
                bench.now = bench.now + .seconds(1)
                bench.step(0, .deadlineReached)
            }
        }
        while !bench.pending[0].isEmpty { bench.refuseOne(0) }
        #expect(bench.replicas[0].writes.refused?.acks.count ?? 0 <= TableWrites.acksMax)
        #expect(bench.replicas[0].writes.outstanding.isEmpty)
        bench.now = bench.now + .seconds(2)
        bench.step(0, .deadlineReached)
        bench.persistAll(0)
        bench.restart(0)
        #expect(bench.replicas[0].record(task(1)) != nil)
    }

    @Test func `a peer's tasks find no more room than a quarter above the bound`() {
        var bench = TableBench(seed: 6, count: 2)
        bench.configuration.tasksMax = 8
        bench.restart(0)
        for number in 1...12 as ClosedRange<UInt64> {
            bench.submit(number, at: 1, copies: 2)
            bench.now = bench.now + .milliseconds(3)
        }
        bench.settle(rounds: 3)
        #expect(bench.replicas[0].records.count == 10)
        #expect(bench.replicas[0].isFull)
        #expect(bench.copies.values.count { $0 >= 2 } == 10)
        bench.submit(99, at: 0)
        #expect(bench.submitFailures == [task(99)])
    }

    @Test func `a table too large for one page converges page by page`() {
        var bench = TableBench(seed: 7, count: 2)
        for index in 0...1 {
            for part in 0..<8 as Range<UInt64> {
                var births = DotSet()
                for number in 0..<1_000 as Range<UInt64> {
                    let origin = Fingerprint.mix(part * 1_000 + number)
                    births.insert(1 + UInt64(index)...1 + UInt64(index), of: origin)
                }
                let page = DotPage(set: births)
                bench.step(
                    index,
                    .received(
                        TableMessage.collected(page, wantsReply: false).encoded,
                        from: TableBench.id(7)))
            }
        }
        #expect(bench.replicas[0].collected.intervalCount > DotPage.intervalsMax)
        bench.settle(rounds: 60)
        #expect(bench.isConverged)
        #expect(bench.replicas[0].collected.contains(1...2, of: Fingerprint.mix(0)))
    }

    @Test func `births beyond the bound of a record are forgotten by the index, too`() {
        var bench = TableBench(seed: 8, count: 2)
        bench.submit(1, at: 0)
        for origin in (1...200 as ClosedRange<UInt64>).reversed() {
            var delta = TaskDelta(id: task(1), dots: [Dot(origin: 5, sequence: 300 - origin)])
            delta.births = [BirthDot(origin: BootID(origin), sequence: 1)]
            let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta]))
            bench.step(0, .received(push.encoded, from: TableBench.id(1)))
        }
        #expect(bench.replicas[0].record(task(1))?.births.count == TaskRecord.birthsMax)
        #expect(bench.replicas[0].birthIndex.count == TaskRecord.birthsMax)
    }

    @Test func `a spec that nobody could read again is told from one that can be`() {
        var spec = TaskSpec(command: [String](repeating: "a", count: TaskSpec.listCountMax))
        #expect(spec.isReadable)
        spec.command.append("a")
        #expect(!spec.isReadable)
        spec = TaskSpec(command: [String](repeating: "b", count: TaskSpec.textSizeBytesMax + 1))
        #expect(!spec.isReadable)
        #expect(!TaskSpec(command: []).isReadable)
    }
}

extension TableBench {
    /// Submits a task unless the replica knows it.
    mutating func submit(_ number: UInt64, at index: Int, unlessKnown: Bool) {
        guard replicas[index].record(TableBench.task(number)) == nil else { return }
        submit(number, at: index)
    }
}
