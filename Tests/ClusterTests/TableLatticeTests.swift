import CRDT
import LatticeLaws
import Model
import Testing

@testable import Cluster

/// A whole table as a lattice: tasks and collected births, joined by the messages of replicas.
struct TableLattice: Lattice, Equatable {
    enum Step {
        case delta(TaskDelta)
        /// The task's birth was collected somewhere.
        case collected(TaskID)
    }

    private(set) var replica: TableReplica

    init(_ steps: [Step], mutation: TableMutation? = nil) {
        var configuration = TableConfiguration(retention: .seconds(60))
        configuration.mutation = mutation
        replica = TableReplica(
            node: NodeID(Wide128(high: 0, low: 1)), bootID: BootID(1_001),
            restored: DurableImage(), configuration: configuration, seed: 1, at: .zero)
        for step in steps {
            switch step {
            case .delta(let delta): deliver(.push(ack: 0, reach: .none, TableDeltas([delta])))
            case .collected(let id):
                var births = DotSet()
                births.insert(TableLattice.birth(of: id).dot)
                deliver(.collected(DotPage(set: births), wantsReply: false))
            }
        }
    }

    static func birth(of id: TaskID) -> BirthDot {
        BirthDot(origin: BootID(50), sequence: id.value.low)
    }

    static func draw(_ generator: inout Splitmix) -> Step {
        var delta = TableDraws.delta(&generator)
        if Int.random(in: 0..<6, using: &generator) == 0 { return .collected(delta.id) }
        // The content of a submission is fixed, and so is its birth.
        delta.births = []
        delta.submission = TaskRecord.Submission(
            birth: birth(of: delta.id), spec: TaskSpec(command: ["run"]),
            submitted: WallTime(milliseconds: 7))
        return .delta(delta)
    }

    mutating func deliver(_ message: TableMessage) {
        step(.received(message.encoded, from: NodeID(Wide128(high: 0, low: 99))))
    }

    mutating func step(_ event: TableEvent) {
        var tickets: [TableTicket] = []
        replica.handle(event, at: .zero) { effect in
            if case .persist(_, let ticket) = effect { tickets.append(ticket) }
        }
        for ticket in tickets { replica.handle(.persisted(ticket), at: .zero) { _ in } }
    }

    @discardableResult
    mutating func join(_ other: TableLattice) -> Bool {
        let before = replica.canonicalBytes()
        let records = TableDeltas(other.replica.records.map(TaskDelta.init))
        deliver(.records(records, voids: [], isMore: false))
        deliver(.collected(DotPage(set: other.replica.collected), wantsReply: false))
        return replica.canonicalBytes() != before
    }

    /// By content; fingerprints must tell the same, and the indices must fit.
    static func == (left: TableLattice, right: TableLattice) -> Bool {
        for table in [left, right] {
            table.replica.tasks.checkInvariants()
            table.replica.index.checkInvariants()
        }
        let isEqual = left.replica.canonicalBytes() == right.replica.canonicalBytes()
        precondition(
            isEqual == (left.replica.contentFingerprint == right.replica.contentFingerprint),
            "the fingerprint says something else")
        return isEqual
    }
}

@Suite struct TableLatticeTests {
    @Test func `a table with collected tasks obeys the laws`() {
        let laws = LatticeLaws(
            hasDeltas: true, draw: TableLattice.draw, build: { TableLattice($0) })
        guard let found = laws.counterexample(seeds: 0..<60, stepsMax: 6) else { return }
        Issue.record("the table is not \(found.law), seed \(found.seed): \(found.steps)")
    }

    @Test func `a table that replaces what it knows by what comes is found out, in few steps`() {
        let laws = LatticeLaws(
            hasDeltas: true, draw: TableLattice.draw,
            build: { TableLattice($0, mutation: .replacesByOlder) })
        let found = laws.counterexample(seeds: 0..<60, stepsMax: 6)
        #expect(found != nil)
        #expect(found?.steps.map(\.count).reduce(0, +) ?? 9 <= 3)
    }

    @Test func `the rows of one attempt obey the laws`() {
        let laws = LatticeLaws<AttemptRow, HeldRow>(hasDeltas: true) { generator in
            var row = TableDraws.row(&generator)
            row.token = FencingToken(generation: 1, index: 1)
            row.session = SessionID(1)
            return row
        } build: { rows in
            var first = AttemptRow(
                token: FencingToken(generation: 1, index: 1), session: SessionID(1),
                node: NodeID(Wide128(high: 0, low: 0)), phase: .claimed)
            for row in rows { first.join(row) }
            return HeldRow(first)
        }
        guard let found = laws.counterexample(seeds: 0..<400) else { return }
        Issue.record("a row is not \(found.law), seed \(found.seed): \(found.steps)")
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func `every change of one's own is a step up`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var table = TableLattice([])
        for number in 0..<40 as Range<UInt64> {
            let before = table
            let id = TableDraws.tasks.randomElement(using: &generator) ?? TableDraws.tasks[0]
            switch Int.random(in: 0..<5, using: &generator) {
            case 0 where table.replica.record(id) == nil:
                table.step(
                    .submit(
                        TaskSpec(command: ["run", "\(number)"]), id: id,
                        wall: WallTime(milliseconds: 1), wantedCopies: 1))
            case 1: table.step(.cancel(id))
            case 2:
                table.step(
                    .close(
                        id, TaskOutcome(kind: .complete), token: nil,
                        wall: WallTime(milliseconds: Int64(number))))
            default: table.step(.writeAttempt(id, TableDraws.row(&generator)))
            }
            var joined = table
            joined.join(before)
            #expect(joined == table, "seed \(seed), step \(number)")
            var fromBelow = before
            fromBelow.join(table)
            #expect(fromBelow == table, "seed \(seed), step \(number)")
        }
    }

    @Test func `a record's fingerprint follows its content, however it came about`() throws {
        var prints: [UInt64: [UInt8]] = [:]
        for seed in 0..<300 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            let steps = (0..<12).map { _ in TableDraws.delta(&generator) }
            let record = RecordLattice(steps).record
            let read = try TaskDelta(decoding: TaskDelta(record).encoded)
            var copy = TaskRecord(
                id: record.id, submission: try #require(read.boxedSubmission))
            _ = copy.join(read)
            #expect(copy.fingerprint == record.fingerprint)
            let content = TaskDelta(record).contentBytes
            #expect(prints[record.fingerprint] ?? content == content)
            prints[record.fingerprint] = content
        }
        #expect(prints.count > 200)
    }

    @Test func `whatever can be read of a row or a patch has one form`() {
        for seed in 0..<400 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            let row = TableDraws.row(&generator)
            let patch = RowPatch(
                from: nil, to: row, sender: NodeID(Wide128(high: 1, low: seed % 4)))
            for bytes in [row.encoded, patch?.encoded ?? []] {
                var torn = bytes
                for _ in 0...(generator.next() % 3) where !torn.isEmpty {
                    let position = Int(generator.next() % UInt64(torn.count))
                    torn[position] ^= 1 << (generator.next() % 8)
                }
                if let read = try? AttemptRow(decoding: torn) { #expect(read.encoded == torn) }
                if let read = try? RowPatch(decoding: torn) { #expect(read.encoded == torn) }
                _ = try? TaskDelta(decoding: torn)
                _ = try? DotPage(decoding: torn)
            }
        }
    }
}
