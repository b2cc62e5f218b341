import LatticeLaws
import Model
import Testing

@testable import CRDT
@testable import Cluster

/// The deltas of a message are looked at together before the first of them is joined.
@Suite struct TableFirstLookTests {
    private static let sender = NodeID(Wide128(high: 0, low: 99))

    private static func replica() -> TableReplica {
        let configuration = TableConfiguration(retention: .seconds(60))
        return TableReplica(
            node: NodeID(Wide128(high: 0, low: 1)), bootID: BootID(1_001),
            restored: DurableImage(), configuration: configuration, seed: 1, at: .zero)
    }

    /// Each task is submitted and goes through some phases, told as patches of each other.
    private static func history(_ generator: inout Splitmix) -> [TaskDelta] {
        var deltas: [TaskDelta] = []
        var sequence: UInt64 = 0
        func delta(_ id: TaskID) -> TaskDelta {
            sequence += 1
            return TaskDelta(id: id, dots: [Dot(origin: 500, sequence: sequence)])
        }
        for number in (1...40 as ClosedRange<UInt64>).shuffled(using: &generator) {
            let id = TaskID(Wide128(high: 7, low: number << 50))
            var submission = delta(id)
            submission.submission = TaskRecord.Submission(
                birth: BirthDot(origin: BootID(500), sequence: number),
                spec: TaskSpec(command: ["run"]), submitted: WallTime(milliseconds: 7))
            deltas.append(submission)
            var before: HeldRow?
            for phase in [.claimed, .starting, .running, .complete] as [AttemptRow.Phase] {
                var row = AttemptRow(
                    token: FencingToken(generation: 1, index: number), session: SessionID(3),
                    node: sender, phase: phase)
                row.claimed = WallTime(milliseconds: 10)
                var change = delta(id)
                change.rows = [row]
                change.patches[row.key] = RowPatch(from: before, to: row, sender: sender)
                deltas.append(change)
                before = HeldRow(row)
                guard Int.random(in: 0..<4, using: &generator) > 0 else { break }
            }
        }
        return deltas
    }

    /// The replica takes in one message; returns the tasks that it asks for.
    private static func deliver(
        _ deltas: [TaskDelta], hops: UInt8, to replica: inout TableReplica
    ) -> [TaskID] {
        let message = TableMessage.push(ack: 0, reach: .rumour(hops: hops), TableDeltas(deltas))
        var lacking: [TaskID] = []
        replica.handle(.received(message.encoded, from: sender), at: .zero) { effect in
            if case .send(let bytes, _, _) = effect,
                case .lacking(let ids)? = try? TableMessage(decoding: bytes)
            {
                lacking += ids
            }
        }
        return lacking
    }

    /// Nearly sorted: most changes come after what they build upon, some before, some twice.
    private static func disordered(
        _ deltas: [TaskDelta], _ generator: inout Splitmix
    ) -> [TaskDelta] {
        var all = deltas
        for _ in 0..<Int.random(in: 0..<30, using: &generator) {
            let from = Int.random(in: 0..<all.count, using: &generator)
            let to = Int.random(in: 0..<all.count, using: &generator)
            if Bool.random(using: &generator) {
                all.insert(all[from], at: to)
            } else {
                all.swapAt(from, to)
            }
        }
        return all
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `a message gives the same table as its deltas one by one`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        let all = TableFirstLookTests.disordered(
            TableFirstLookTests.history(&generator), &generator)
        let hops = UInt8(seed % 3)
        // Some of the tasks are known before, so that others' records come between theirs.
        let known = Int.random(in: 0..<all.count, using: &generator)
        var together = TableFirstLookTests.replica()
        var apart = TableFirstLookTests.replica()
        var lacking: (together: [TaskID], apart: [TaskID]) = ([], [])
        for part in [all[..<known], all[known...]] {
            lacking.together += TableFirstLookTests.deliver(
                Array(part), hops: hops, to: &together)
            for delta in part {
                lacking.apart += TableFirstLookTests.deliver([delta], hops: hops, to: &apart)
            }
        }
        #expect(together.canonicalBytes() == apart.canonicalBytes())
        #expect(together.revision == apart.revision)
        #expect(lacking.together == lacking.apart)
        #expect(together.records.map(\.dots) == apart.records.map(\.dots))
        together.tasks.checkInvariants()
    }

    @Test func `what comes again with a message is known, and nothing is written`() {
        var generator = Splitmix(state: 1)
        let all = TableFirstLookTests.history(&generator)
        var replica = TableFirstLookTests.replica()
        _ = TableFirstLookTests.deliver(all, hops: 0, to: &replica)
        let revision = replica.revision
        var writes = 0
        let message = TableMessage.push(ack: 0, reach: .none, TableDeltas(all + all))
        replica.handle(.received(message.encoded, from: TableFirstLookTests.sender), at: .zero) {
            if case .persist = $0 { writes += 1 }
        }
        #expect(replica.revision == revision)
        #expect(writes == 0)
    }
}
