import CRDT
import LatticeLaws
import Model
import Testing

@testable import Cluster

/// The laws of records and of whole tables over seeded random cases.
@Suite struct TableLawTests {
    private func expectLaws<Step, Value: Lattice & Equatable>(
        _ name: String, _ laws: LatticeLaws<Step, Value>
    ) {
        guard let found = laws.counterexample(seeds: 0..<300) else { return }
        Issue.record("\(name) is not \(found.law), seed \(found.seed): \(found.steps)")
    }

    @Test func `records and their parts obey the laws`() {
        expectLaws(
            "TaskRecord",
            LatticeLaws(
                hasDeltas: true, draw: TableDraws.delta, build: RecordLattice.init))
        expectLaws(
            "UnknownFields",
            LatticeLaws(hasDeltas: true, draw: TableDraws.unknown) { steps in
                var fields = UnknownFields()
                for step in steps { fields.join(step) }
                return fields
            })
        expectLaws(
            "the attempts of a record",
            LatticeLaws(hasDeltas: true, draw: TableDraws.row) { steps in
                var rows = TaskRecord.Rows()
                for row in steps { rows.join(HeldRow(row)) }
                return rows
            })
    }

    @Test func `a patch makes of the row before what the holder made of it`() throws {
        let sender = NodeID(Wide128(high: 1, low: 1))
        for seed in 0..<300 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            let before = TableDraws.row(&generator)
            var after = TableDraws.row(&generator)
            if seed % 2 == 0 {
                after = before
                after.phase = .complete
                after.exit = ExitStatus(code: 3)
            }
            guard let patch = RowPatch(from: HeldRow(before), to: after, sender: sender) else {
                #expect(seed % 2 == 1)
                continue
            }
            let read = try RowPatch(decoding: patch.encoded)
            #expect(read == patch)
            #expect(read.applied(to: before) == after)
            var held = HeldRow(before)
            var joined = held
            #expect(held.join(read) == joined.join(HeldRow(after)))
            #expect(held == joined)
        }
    }

    @Test func `a patch makes a new row of nothing, whoever passes it on`() throws {
        for seed in 0..<300 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            var row = TableDraws.row(&generator)
            if seed % 3 == 0 { row.count = AttemptCount(used: 3, failures: 1) }
            let sender = NodeID(Wide128(high: 1, low: 1))
            let other = NodeID(Wide128(high: 1, low: 2))
            let patch = try #require(RowPatch(from: nil, to: row, sender: sender))
            let read = try RowPatch(decoding: patch.encoded)
            #expect(read == patch)
            #expect(read.newRow(from: sender) == row)
            let passedOn = try RowPatch(decoding: read.passedOn(from: sender).encoded)
            #expect(passedOn.newRow(from: other) == row)
        }
    }

    // MARK: Whole tables

    private static func replica(_ number: UInt64) -> TableReplica {
        TableReplica(
            node: NodeID(Wide128(high: 0, low: number)), bootID: BootID(1_000 + number),
            restored: DurableImage(), configuration: TableConfiguration(retention: .seconds(60)),
            seed: number, at: .zero)
    }

    /// Takes in a message and writes everything down.
    private static func deliver(
        _ bytes: [UInt8], to replica: inout TableReplica
    ) -> [[UInt8]] {
        var answers: [[UInt8]] = []
        var tickets: [TableTicket] = []
        let sender = NodeID(Wide128(high: 0, low: 99))
        replica.handle(.received(bytes, from: sender), at: .zero) { effect in
            if case .persist(_, let ticket) = effect { tickets.append(ticket) }
            if case .send(let bytes, _, _) = effect { answers.append(bytes) }
        }
        for ticket in tickets {
            replica.handle(.persisted(ticket), at: .zero) { effect in
                if case .send(let bytes, _, _) = effect { answers.append(bytes) }
            }
        }
        return answers
    }

    private static func deltas(_ count: Int, _ generator: inout Splitmix) -> [TaskDelta] {
        let births = TableDraws.tasks.map { id in
            var delta = TaskDelta(
                id: id, dots: [Dot(origin: 100, sequence: id.value.low)])
            delta.submission = TableDraws.submission(&generator)
            return delta
        }
        return births + (0..<count).map { _ in TableDraws.delta(&generator) }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `deltas in any order, split anyhow and repeated, give the same table`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        let deltas = TableLawTests.deltas(30, &generator)
        var plain = TableLawTests.replica(1)
        let all = TableMessage.push(ack: 0, reach: .none, TableDeltas(deltas))
        _ = TableLawTests.deliver(all.encoded, to: &plain)

        var other = TableLawTests.replica(2)
        // Submissions first: what can't be placed is refused, and would come again.
        var rest = deltas.filter { $0.submission == nil }
        rest += rest.filter { _ in Bool.random(using: &generator) }
        rest =
            deltas.filter { $0.submission != nil }.shuffled(using: &generator)
            + rest.shuffled(using: &generator)
        while !rest.isEmpty {
            let portion = Array(rest.prefix(Int.random(in: 1...9, using: &generator)))
            rest.removeFirst(portion.count)
            let size = Int.random(in: 1...400, using: &generator)
            for part in TablePart.divide(portion, sizeBytesMax: size) {
                let bytes = part.message {
                    TableMessage.encodePush(ack: 0, reach: .none, into: &$0)
                }
                _ = TableLawTests.deliver(bytes, to: &other)
            }
        }
        #expect(plain.canonicalBytes() == other.canonicalBytes())
        #expect(plain.digest == other.digest)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `a delta does what the full state does`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        let deltas = TableLawTests.deltas(30, &generator)
        var origin = TableLawTests.replica(1)
        var byDeltas = TableLawTests.replica(2)
        var byStates = TableLawTests.replica(3)
        for delta in deltas {
            let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta])).encoded
            _ = TableLawTests.deliver(push, to: &origin)
            _ = TableLawTests.deliver(push, to: &byDeltas)
            let states = TableDeltas(origin.records.map(TaskDelta.init))
            let message = TableMessage.records(states, voids: [], isMore: false)
            _ = TableLawTests.deliver(message.encoded, to: &byStates)
            #expect(byDeltas.canonicalBytes() == byStates.canonicalBytes())
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `what a replica is sent makes it the join of both, and is all news to it`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var left = TableLawTests.replica(1)
        var right = TableLawTests.replica(2)
        var both = TableLawTests.replica(3)
        for (number, drawn) in TableLawTests.deltas(30, &generator).enumerated() {
            var delta = drawn
            delta.dots = [Dot(origin: generator.next() % 3, sequence: UInt64(number))]
            let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta])).encoded
            _ = TableLawTests.deliver(push, to: &both)
            let choice = generator.next() % 3
            if choice != 0 || delta.submission != nil {
                _ = TableLawTests.deliver(push, to: &left)
            }
            if choice != 1 || delta.submission != nil {
                _ = TableLawTests.deliver(push, to: &right)
            }
        }
        let question = TableMessage.context(DotPage(set: right.context), wantsReply: false)
        let before = right
        for answer in TableLawTests.deliver(question.encoded, to: &left) {
            if case .records(let deltas, let voids, _)? = try? TableMessage(decoding: answer) {
                for delta in deltas.readable {
                    #expect(delta.dots.contains { !before.context.contains($0) })
                }
                for void in voids {
                    #expect(!before.context.contains(void.interval, of: void.origin))
                }
            }
            _ = TableLawTests.deliver(answer, to: &right)
        }
        // Replica 3 has heard everything, in the order in which it happened.
        let reply = TableMessage.context(DotPage(set: left.context), wantsReply: false)
        for answer in TableLawTests.deliver(reply.encoded, to: &right) {
            _ = TableLawTests.deliver(answer, to: &left)
        }
        #expect(left.context.isSubset(of: right.context))
        #expect(left.canonicalBytes() == right.canonicalBytes())
        #expect(right.canonicalBytes() == both.canonicalBytes())
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `ranges alone make two replicas equal`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var replicas = [TableLawTests.replica(1), TableLawTests.replica(2)]
        for number in 0..<(seed * 7 % 300) {
            var delta = TaskDelta(
                id: TaskID(Wide128(high: 5, low: generator.next() >> (number % 40))),
                dots: [Dot(origin: 7, sequence: number + 1)])
            delta.submission = TaskRecord.Submission(
                birth: BirthDot(origin: BootID(7), sequence: number + 1),
                spec: TaskSpec(command: ["x"]), submitted: WallTime(milliseconds: 1))
            for index in replicas.indices where generator.next() % 8 != 0 {
                let push = TableMessage.push(ack: 0, reach: .none, TableDeltas([delta]))
                _ = TableLawTests.deliver(push.encoded, to: &replicas[index])
            }
        }
        var packets: [(to: Int, bytes: [UInt8])] = []
        replicas[0].beginRanges(with: NodeID(Wide128(high: 0, low: 99))) { effect in
            if case .send(let bytes, _, _) = effect { packets.append((1, bytes)) }
        }
        var steps = 0
        while !packets.isEmpty, steps < 1_000 {
            steps += 1
            let packet = packets.removeFirst()
            for answer in TableLawTests.deliver(packet.bytes, to: &replicas[packet.to]) {
                packets.append((1 - packet.to, answer))
            }
        }
        #expect(steps < 1_000)
        #expect(replicas[0].canonicalBytes() == replicas[1].canonicalBytes())
    }
}
