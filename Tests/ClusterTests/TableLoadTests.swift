import CRDT
import Model
import Testing

@testable import Cluster

/// A thousand submissions a second on five nodes, for half a minute of virtual time.
@Suite struct TableLoadTests {
    private static let perSecond = 1_000
    private static let seconds = 30

    private func id(_ number: Int) -> TaskID { TableBench.task(UInt64(number)) }

    /// Submits in portions of ten, each at the next node; a third of the tasks are claimed and ended
    /// a while later.
    private func load(_ bench: inout TableLoadBench, seconds: Int) {
        let portion = 10
        let portions = seconds * TableLoadTests.perSecond / portion
        for part in 0..<portions {
            let index = part % bench.replicas.count
            for number in part * portion..<(part + 1) * portion {
                bench.step(
                    index,
                    .submit(
                        TaskSpec(command: ["run", "\(number)"]), id: id(number),
                        wall: WallTime(milliseconds: Int64(part)), wantedCopies: 2))
            }
            for number in part * portion - 3_000..<part * portion - 2_997 where number >= 0 {
                end(number, at: index, of: &bench)
            }
            bench.run(for: .milliseconds(Int64(1_000 * portion / TableLoadTests.perSecond)))
        }
    }

    private func end(_ number: Int, at index: Int, of bench: inout TableLoadBench) {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: UInt64(number) + 1),
            session: SessionID(UInt64(index) + 1), node: TableBench.id(index), phase: .claimed)
        row.claimed = WallTime(milliseconds: Int64(number))
        bench.step(index, .writeAttempt(id(number), row))
        row.phase = .complete
        row.exit = ExitStatus(code: 0)
        bench.step(index, .writeAttempt(id(number), row))
    }

    // MARK: Bounds

    private func expectBounds(_ bench: TableLoadBench, below limits: [String: Int]) {
        for (name, mark) in bench.highWater {
            #expect(mark.count <= mark.countMax, "\(name)")
            if let limit = limits[name] { #expect(mark.count <= limit, "\(name)") }
        }
        #expect(Set(limits.keys).isSubset(of: bench.highWater.keys))
    }

    @Test func `with losses and one slow link, queues stay short and every node has every task`() {
        let configuration = TableConfiguration(retention: .seconds(3_600))
        var bench = TableLoadBench(seed: 1, count: 5, configuration: configuration)
        for (from, to) in [(0, 4), (4, 0)] {
            bench.links[from][to].delay = .milliseconds(200)
            bench.links[from][to].sizeBytesPerSecond = 250_000
            bench.links[from][to].lossPerMille = 100
        }
        load(&bench, seconds: TableLoadTests.seconds)
        expectBounds(
            bench,
            below: [
                "writes of the table under way": TableWrites.underWayMax,
                "records that wait for a write": 200,
                "acknowledgements that wait for the disk": 200,
                "acknowledgements that wait for others": 2_000,
                "changes that wait to be pushed": 200,
                "submissions that lack copies": 500,
                "closed tasks in their retention": 0,
            ])
        #expect(bench.overflows == 0)
        bench.run(for: .seconds(10))
        #expect(bench.isConverged)
        let count = TableLoadTests.seconds * TableLoadTests.perSecond
        #expect(bench.replicas.allSatisfy { $0.tasks.count == count })
        #expect(bench.copies.values.allSatisfy { $0 >= 2 } && bench.copies.count == count)
        #expect(bench.replicas.allSatisfy { $0.submissions.isEmpty && $0.outbox.isEmpty })
    }

    @Test func `a node that hears nothing for a while costs the others nothing, and catches up`() {
        let configuration = TableConfiguration(retention: .seconds(3_600))
        var bench = TableLoadBench(seed: 2, count: 5, configuration: configuration)
        for other in 0..<4 {
            // Streams break down with the link, too.
            for (from, to) in [(other, 4), (4, other)] {
                bench.links[from][to].queueSizeBytesMax = 0
            }
        }
        load(&bench, seconds: 8)
        expectBounds(
            bench,
            below: [
                "submissions that lack copies": 2_500,
                "acknowledgements that wait for others": 4_000,
                "changes that wait to be pushed": 200,
            ])
        for other in 0..<4 {
            for (from, to) in [(other, 4), (4, other)] {
                bench.links[from][to].queueSizeBytesMax = 8 << 20
            }
        }
        bench.run(for: .seconds(20))
        #expect(bench.isConverged)
        #expect(bench.linkSizeBytesMax <= 8 << 20)
        #expect(bench.replicas.allSatisfy { $0.submissions.isEmpty && $0.outbox.isEmpty })
    }

    @Test func `a link that carries less than is asked for does not fill with repetitions`() {
        let configuration = TableConfiguration(retention: .seconds(3_600))
        var bench = TableLoadBench(seed: 4, count: 5, configuration: configuration)
        for other in 0..<4 {
            for (from, to) in [(other, 4), (4, other)] {
                bench.links[from][to].sizeBytesPerSecond = 15_000
                bench.links[from][to].queueSizeBytesMax = 16 << 20
            }
        }
        load(&bench, seconds: 10)
        bench.run(for: .seconds(120))
        #expect(bench.isConverged)
        // All tasks together are a megabyte and a half.
        #expect(bench.linkSizeBytesMax <= 2 << 20)
    }

    @Test func `an empty node behind a slow link is sent about what the table holds`() {
        let configuration = TableConfiguration(retention: .seconds(3_600))
        var bench = TableLoadBench(seed: 5, count: 2, configuration: configuration)
        for (from, to) in [(0, 1), (1, 0)] { bench.links[from][to].queueSizeBytesMax = 0 }
        for number in 0..<20_000 {
            bench.step(
                0,
                .submit(
                    TaskSpec(command: ["run", "\(number)"]), id: id(number),
                    wall: WallTime(milliseconds: 1), wantedCopies: 1))
            if number % 64 == 0 { bench.run(for: .milliseconds(10)) }
        }
        bench.run(for: .seconds(5))
        let tableSizeBytes = bench.replicas[0].canonicalBytes().count
        for (from, to) in [(0, 1), (1, 0)] {
            bench.links[from][to].queueSizeBytesMax = 16 << 20
            bench.links[from][to].sizeBytesPerSecond = 60_000
        }
        let sentBefore = bench.sentSizeBytes
        bench.run(for: .seconds(90))
        #expect(bench.isConverged)
        #expect(bench.sentSizeBytes - sentBefore <= tableSizeBytes * 5 / 2)
    }

    @Test func `an answer has time to arrive, and longer after each that did not`() {
        func page(_ lower: Dot = .first, knows dot: Dot? = nil) -> DotPage {
            var set = DotSet()
            if let dot { set.insert(dot) }
            return DotPage(lower: lower, upper: .last, set: set)
        }
        let last = Dot(origin: 5, sequence: 7)
        var supply = SupplyUnderWay()
        var now = Instant.zero
        func isAllowed(_ page: DotPage, after wait: Duration) -> Bool {
            now = now + wait
            return supply.allowsAnother(after: page, at: now)
        }
        #expect(isAllowed(page(), after: .zero))
        var wait = SupplyUnderWay.waitMin
        for _ in 0..<8 {
            supply.begin(last, at: now)
            #expect(!isAllowed(page(), after: wait - .nanoseconds(1)))
            // A page about other dots says nothing about the last one.
            #expect(!isAllowed(page(Dot(origin: 9, sequence: 0)), after: .zero))
            #expect(isAllowed(page(), after: .nanoseconds(1)))
            wait = min(wait * 2, SupplyUnderWay.waitMax)
        }
        supply.begin(last, at: now)
        #expect(isAllowed(page(Dot(origin: 9, sequence: 0)), after: wait))
        supply.begin(last, at: now)
        #expect(isAllowed(page(knows: last), after: .zero))
        supply.begin(last, at: now)
        #expect(isAllowed(page(), after: SupplyUnderWay.waitMin))
    }

    @Test func `tasks that others have collected are not waited for until their own time is over`()
    {
        var bench = TableBench(seed: 3, count: 2, retention: .seconds(5))
        bench.configuration.retention = .seconds(1_000_000)
        bench.restart(0)
        var most = 0
        for round in 0..<8 as Range<UInt64> {
            for number in 1...2_000 as ClosedRange<UInt64> {
                bench.submit(round * 10_000 + number, at: 1, copies: 1)
                bench.close(round * 10_000 + number, at: 1)
            }
            bench.settle(rounds: 20)
            most = max(most, bench.replicas[0].closed.count)
        }
        #expect(bench.replicas[0].tasks.count == 0)
        #expect(most <= TableReplica.closedSlack + 2 * 2_000)
    }
}
