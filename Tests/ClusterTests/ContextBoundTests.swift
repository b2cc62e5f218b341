import CRDT
import LatticeLaws
import Model
import Testing

@testable import Cluster

/// Contexts and sets of births of more intervals than a page, or the room for them, allows.
@Suite struct ContextBoundTests {
    private func task(_ number: UInt64) -> TaskID { TableBench.task(number) }

    /// Tells a replica that dots of so many origins stand for nothing any more.
    private func addVoids(_ origins: Range<UInt64>, to index: Int, of bench: inout TableBench) {
        for first in stride(from: origins.lowerBound, to: origins.upperBound, by: 1_000) {
            let part = first..<min(first + 1_000, origins.upperBound)
            let message = TableMessage.records(
                TableDeltas([]), voids: part.map { (Fingerprint.mix($0), 5...5) }, isMore: false)
            bench.step(index, .received(message.encoded, from: TableBench.id(7)))
        }
        bench.persistAll(index)
    }

    /// Lets a second pass in which both replicas take in a task, so that their contexts never agree
    /// when one asks.
    private func busySecond(_ second: UInt64, of bench: inout TableBench) {
        bench.now = bench.now + .seconds(1)
        for index in 0...1 {
            bench.submit(1_000 + 2 * second + UInt64(index), at: index, copies: 1)
            bench.persistAll(index)
        }
        // The changes of this second are pushed after the questions, as under constant load.
        let pushes = bench.takePackets { if case .push = $0 { true } else { false } }
        for index in 0...1 { bench.step(index, .deadlineReached) }
        while !bench.packets.isEmpty { bench.deliver(0) }
        bench.packets = pushes
        while !bench.packets.isEmpty { bench.deliver(0) }
        for index in 0...1 { bench.persistAll(index) }
        while !bench.packets.isEmpty { bench.deliver(0) }
    }

    @Test(arguments: [0, DotPage.intervalsMax - 200, DotPage.intervalsMax + 1, 9_000])
    func `collection goes on under load, however many intervals the contexts have`(count: Int) {
        var bench = TableBench(seed: 1, count: 2, retention: .seconds(5))
        for index in 0...1 { addVoids(0..<UInt64(count), to: index, of: &bench) }
        bench.submit(1, at: 0)
        bench.close(1, at: 0)
        for second in 1...90 as ClosedRange<UInt64> { busySecond(second, of: &bench) }
        #expect(bench.replicas[0].context.intervalCount >= count)
        #expect(bench.replicas.allSatisfy { $0.record(task(1)) == nil })
    }

    @Test func `contexts on both sides of a page's bound converge`() {
        for count in [DotPage.intervalsMax, DotPage.intervalsMax + 1] as [Int] {
            var bench = TableBench(seed: 2, count: 2)
            addVoids(0..<UInt64(count), to: 0, of: &bench)
            bench.submit(1, at: 0)
            bench.submit(2, at: 1)
            bench.settle(rounds: 60)
            #expect(bench.replicas[0].context == bench.replicas[1].context)
            #expect(bench.isConverged)
        }
    }

    @Test func `made up voids take half of the room, in memory and on disk`() {
        var bench = TableBench(seed: 3, count: 2)
        bench.configuration.intervalsMax = 100
        for index in 0...1 { bench.restart(index) }
        addVoids(0..<50, to: 0, of: &bench)
        #expect(bench.replicas[0].context.intervalCount == 50)
        addVoids(50..<51, to: 0, of: &bench)
        #expect(bench.replicas[0].context.intervalCount == 50)
        // What touches an interval takes no room.
        let origin = Fingerprint.mix(7)
        let more = TableMessage.records(
            TableDeltas([]), voids: [(origin, 6...9)], isMore: false)
        bench.step(0, .received(more.encoded, from: TableBench.id(7)))
        bench.persistAll(0)
        #expect(bench.replicas[0].context.contains(5...9, of: origin))
        for index in 0...1 { bench.submit(UInt64(index), at: index) }
        bench.settle(rounds: 20)
        let known = bench.replicas[0].context
        #expect(known.contains(Dot(origin: bench.replicas[1].origin, sequence: 1)))
        #expect(bench.disks[0][.context]?.count == known.intervalCount)
        bench.restart(0)
        #expect(bench.replicas[0].context == known)
    }

    @Test func `dots without room are not claimed, and their records come all the same`() {
        var bench = TableBench(seed: 4, count: 2)
        bench.configuration.intervalsMax = 20
        bench.restart(0)
        for number in 1...40 as ClosedRange<UInt64> {
            var delta = TaskDelta(
                id: task(number), dots: [Dot(origin: 100 + number, sequence: 1)])
            delta.submission = TaskRecord.Submission(
                birth: BirthDot(origin: BootID(100 + number), sequence: 1),
                spec: TaskSpec(command: ["x"]), submitted: WallTime(milliseconds: 1))
            let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta]))
            for index in 0...1 {
                bench.step(index, .received(push.encoded, from: TableBench.id(7)))
            }
        }
        bench.persistAll(0)
        #expect(bench.replicas[0].records.count == 40)
        #expect(bench.replicas[0].context.intervalCount == 20)
        #expect(bench.disks[0][.context]?.count ?? 0 <= 20)
        bench.attempt(3, token: 1, at: 1)
        bench.settle(rounds: 5)
        #expect(bench.isConverged)
        bench.restart(0)
        #expect(bench.isConverged)
    }

    @Test func `births without room are kept, and those that touch an interval are collected`() {
        var bench = TableBench(seed: 5, count: 1, retention: .seconds(5))
        bench.configuration.intervalsMax = 10
        bench.restart(0)
        var births = DotSet()
        for origin in 1...11 as ClosedRange<UInt64> { births.insert(1...1, of: origin) }
        let page = TableMessage.collected(DotPage(set: births), wantsReply: false)
        bench.step(0, .received(page.encoded, from: TableBench.id(7)))
        #expect(bench.replicas[0].collected.intervalCount == 10)
        bench.submit(1, at: 0)
        bench.close(1, at: 0)
        bench.settle(rounds: 40)
        // Its origin has no interval yet, and there is no room for one.
        #expect(bench.replicas[0].record(task(1))?.outcome != nil)
        let next = BirthDot(origin: BootID(4), sequence: 2)
        var delta = TaskDelta(id: task(2), dots: [Dot(origin: 4, sequence: 9)])
        delta.submission = TaskRecord.Submission(
            birth: next, spec: TaskSpec(command: ["x"]), submitted: WallTime(milliseconds: 1))
        let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta]))
        bench.step(0, .received(push.encoded, from: TableBench.id(7)))
        bench.close(2, at: 0)
        bench.settle(rounds: 40)
        #expect(bench.replicas[0].record(task(2)) == nil)
        #expect(bench.replicas[0].collected.intervals(of: 4) == [1...2])
    }
}
