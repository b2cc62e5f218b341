import CRDT
import LatticeLaws
import Model

@testable import Cluster

/// Random parts of records, drawn from few values so that they meet.
enum TableDraws {
    static let tasks = (1...4 as ClosedRange<UInt64>).map { TaskID(Wide128(high: 5, low: $0)) }

    static func row(_ generator: inout Splitmix) -> AttemptRow {
        var row = AttemptRow(
            token: FencingToken(
                generation: 1, index: UInt64.random(in: 1...20, using: &generator)),
            session: SessionID(UInt64.random(in: 1...2, using: &generator)),
            node: NodeID(Wide128(high: 1, low: UInt64.random(in: 1...3, using: &generator))),
            phase: AttemptRow.Phase.allCases.randomElement(using: &generator) ?? .lost)
        if Bool.random(using: &generator) {
            row.exit = ExitStatus(
                code: Int32.random(in: -1...255, using: &generator),
                wasOutOfMemory: Bool.random(using: &generator))
        }
        row.reason = ["", "killed", "ended — 🐦"].randomElement(using: &generator) ?? ""
        row.claimed = time(&generator)
        row.started = time(&generator)
        row.ended = time(&generator)
        return row
    }

    private static func time(_ generator: inout Splitmix) -> WallTime? {
        let times: [Int64?] = [nil, 0, 1_700_000_000_000, .max, .min]
        return (times.randomElement(using: &generator) ?? nil).map(WallTime.init(milliseconds:))
    }

    static func submission(_ generator: inout Splitmix) -> TaskRecord.Submission {
        var spec = TaskSpec(command: ["run", "\(UInt64.random(in: 0..<2, using: &generator))"])
        if Bool.random(using: &generator) { spec.timeout = .seconds(4) }
        return TaskRecord.Submission(
            birth: birth(&generator), spec: spec, submitted: WallTime(milliseconds: 7))
    }

    static func birth(_ generator: inout Splitmix) -> BirthDot {
        BirthDot(
            origin: BootID(UInt64.random(in: 1...4, using: &generator)),
            sequence: UInt64.random(in: 1...3, using: &generator))
    }

    static func close(_ generator: inout Splitmix) -> TaskRecord.Close {
        TaskRecord.Close(
            outcome: TaskOutcome(
                kind: TaskOutcome.Kind.allCases.randomElement(using: &generator) ?? .lost,
                reason: Bool.random(using: &generator) ? "so" : ""),
            token: Bool.random(using: &generator) ? FencingToken(generation: 1, index: 3) : nil,
            time: WallTime(milliseconds: 9))
    }

    static func unknown(_ generator: inout Splitmix) -> UnknownFields {
        var frames = ByteWriter()
        for tag in [40, 41, 90] as [UInt64] where Bool.random(using: &generator) {
            frames.field(tag) { $0.byte(UInt8.random(in: 0..<3, using: &generator)) }
        }
        return (try? UnknownFields(frames: frames.bytes)) ?? UnknownFields()
    }

    /// A delta of one task; without a submission, except by chance.
    static func delta(_ generator: inout Splitmix) -> TaskDelta {
        let dots = (0..<Int.random(in: 0...2, using: &generator)).map { _ in
            Dot(
                origin: UInt64.random(in: 101...103, using: &generator),
                sequence: UInt64.random(in: 1...30, using: &generator))
        }
        var delta = TaskDelta(id: tasks.randomElement(using: &generator) ?? tasks[0], dots: [])
        for dot in dots where !delta.dots.contains(dot) { delta.dots.append(dot) }
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: delta.submission = submission(&generator)
        case 1: delta.isCancelRequested = true
        case 2, 3: delta.rows = [row(&generator)]
        case 4: delta.close = close(&generator)
        case 5: delta.births = [birth(&generator)]
        default: delta.unknown = unknown(&generator)
        }
        return delta
    }
}

/// A record as a lattice, without the dots: those are names for what was joined, no content.
struct RecordLattice: Lattice, Equatable {
    var record: TaskRecord

    static let id = TableDraws.tasks[0]
    static let bottom = TaskRecord.Submission(
        birth: BirthDot(origin: BootID(9), sequence: 9), spec: TaskSpec(command: ["zzz"]),
        submitted: WallTime(milliseconds: .max))

    init(_ deltas: [TaskDelta]) {
        record = TaskRecord(id: RecordLattice.id, submission: Box(RecordLattice.bottom))
        for delta in deltas { _ = record.join(delta) }
    }

    mutating func join(_ other: RecordLattice) -> Bool {
        record.join(TaskDelta(other.record))
    }

    static func == (left: RecordLattice, right: RecordLattice) -> Bool {
        TaskDelta(left.record).contentBytes == TaskDelta(right.record).contentBytes
    }
}
