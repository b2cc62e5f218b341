import Model
import Testing

@testable import Cluster

/// Who tells whom of a change, when there are many.
@Suite struct PushSpanTests {
    /// So many nodes, at random places of the ring.
    private func nodes(_ count: Int, seed: UInt64) -> [NodeID] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in NodeID(Wide128(high: random.next(), low: random.next())) }
            .sorted()
    }

    /// Follows a push from `origin` down to the last leaf; each node knows `view(node)`.
    private func tell(
        from origin: NodeID, _ view: (NodeID) -> [NodeID], fanout: Int = 4, seed: UInt64
    ) -> (told: [NodeID: Int], depth: Int) {
        var random = SeededGenerator(seed: seed)
        var told: [NodeID: Int] = [:]
        var front: [(node: NodeID, span: PushSpan)] = []
        if let all = PushSpan.all(view(origin), around: origin) { front = [(origin, all)] }
        var depth = 0
        while !front.isEmpty {
            depth += 1
            var next: [(node: NodeID, span: PushSpan)] = []
            for (node, span) in front {
                let parts = span.divided(
                    among: fanout, of: view(node), around: node, using: &random)
                #expect(parts.count <= fanout + 1)
                for part in parts {
                    told[part.head, default: 0] += 1
                    if !part.isLeaf { next.append((part.head, part.span)) }
                }
            }
            front = next
        }
        return (told, depth)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 8, 9, 10, 21, 100, 1_000])
    func `every node is told once, and the origin never`(count: Int) {
        for seed in 1...UInt64(5) {
            let nodes = nodes(count, seed: seed)
            let origin = nodes[Int(seed) * 7 % count]
            let (told, depth) = tell(
                from: origin, { node in nodes.filter { $0 != node } }, seed: seed)
            #expect(told.count == count - 1)
            #expect(told[origin] == nil)
            #expect(told.values.allSatisfy { $0 == 1 })
            // Each step leaves a head about a quarter of what it got.
            #expect(depth <= (count <= 5 ? 1 : count <= 21 ? 3 : count <= 100 ? 4 : 6))
        }
    }

    @Test func `who is known to some only is told by those, and nobody for ever`() {
        let nodes = nodes(200, seed: 9)
        for seed in 1...UInt64(20) {
            var random = SeededGenerator(seed: seed)
            let views = Dictionary(
                uniqueKeysWithValues: nodes.map { node in
                    (node, nodes.filter { $0 != node && random.next() % 100 < 97 })
                })
            let (told, depth) = tell(from: nodes[3], { views[$0] ?? [] }, seed: seed)
            #expect(told.count > 180)
            #expect(told.values.reduce(0, +) < 210)
            #expect(depth <= 7)
        }
    }

    @Test func `a span that somebody made up ends too`() {
        let nodes = nodes(50, seed: 2)
        var random = SeededGenerator(seed: 1)
        let spans = [
            PushSpan(lower: nodes[9], upper: nodes[8]), PushSpan(lower: nodes[7], upper: nodes[7]),
            PushSpan(lower: .none, upper: .none),
            PushSpan(lower: .none, upper: NodeID(Wide128(high: .max, low: .max))),
            PushSpan(lower: NodeID(Wide128(high: .max, low: .max)), upper: .none),
        ]
        for span in spans {
            var front = [(nodes[9], span)]
            var count = 0
            while let (node, span) = front.popLast() {
                let peers = nodes.filter { $0 != node }
                for part in span.divided(among: 4, of: peers, around: node, using: &random) {
                    count += 1
                    if !part.isLeaf { front.append((part.head, part.span)) }
                }
            }
            #expect(count < nodes.count)
        }
        #expect(
            spans[0].divided(among: 4, of: [], around: nodes[0], using: &random).isEmpty)
    }

    // MARK: Tables

    /// Delivers pushes, and nothing of what would repair them, on disks that answer at once.
    ///
    /// - Returns: How many questions there were for what a push builds upon.
    private func settle(_ bench: inout TableBench) -> Int {
        var questions = 0
        for _ in 0..<20 {
            for index in bench.replicas.indices { bench.persistAll(index) }
            let packets = bench.packets
            bench.packets = []
            for packet in packets {
                if TableReplica.isPush(packet.bytes) {
                    bench.step(packet.to, .received(packet.bytes, from: packet.from))
                } else if case .lacking = try? TableMessage(decoding: packet.bytes) {
                    questions += 1
                }
            }
            bench.now = bench.now + .milliseconds(3)
            for index in bench.replicas.indices { bench.step(index, .deadlineReached) }
        }
        return questions
    }

    private func claim(_ task: TaskID, by index: Int, in bench: inout TableBench) -> AttemptRow {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: 5), session: SessionID(9),
            node: TableBench.id(index), phase: .claimed)
        row.claimed = WallTime(milliseconds: 7)
        bench.step(index, .writeAttempt(task, row))
        return row
    }

    @Test(arguments: [10, 30, 101])
    func `by pushes alone all tables hear of a claim, its holder and its end`(count: Int) {
        var bench = TableBench(seed: 5, count: count)
        let task = TableBench.task(1)
        bench.step(
            3,
            .submit(
                TaskSpec(command: ["run"]), id: task, wall: WallTime(milliseconds: 1),
                wantedCopies: 1))
        #expect(settle(&bench) == 0)
        var row = claim(task, by: 7, in: &bench)
        #expect(settle(&bench) == 0)
        #expect(bench.replicas.allSatisfy { $0.record(task)?.latestAttempt == row })
        row.phase = .running
        row.started = WallTime(milliseconds: 9)
        bench.step(7, .writeAttempt(task, row))
        #expect(settle(&bench) == 0)
        row.phase = .complete
        row.exit = ExitStatus(code: 0)
        bench.step(7, .writeAttempt(task, row))
        #expect(settle(&bench) == 0)
        #expect(bench.replicas.allSatisfy { $0.record(task)?.latestAttempt == row })
        #expect(bench.isConverged)
    }
}
