import CRDT
import Model

/// How a holder's row differs from the one before: a fifth of the bytes of the row itself.
///
/// Who has the row before gets the whole row out of it, byte for byte; who has another one can't
/// place it, and asks for the record.
struct RowPatch: Hashable, Sendable {
    /// Of the row before.
    var base: UInt32
    var phase: AttemptRow.Phase
    /// What is new; what is absent is as it was.
    var exit: ExitStatus?
    var reason: String?
    var started: WallTime?
    var ended: WallTime?
    var usage: ResourceUsage?

    /// What names a row among those of its task.
    static func mark(of row: AttemptRow) -> UInt32 {
        UInt32(truncatingIfNeeded: Fingerprint.of(row.encoded))
    }

    /// The difference between two rows of one attempt; `nil` when a patch can't express it.
    init?(from before: AttemptRow, to after: AttemptRow) {
        base = RowPatch.mark(of: before)
        phase = after.phase
        if after.exit != before.exit { exit = after.exit }
        if after.reason != before.reason { reason = after.reason }
        if after.started != before.started { started = after.started }
        if after.ended != before.ended { ended = after.ended }
        if after.usage != before.usage { usage = after.usage }
        guard applied(to: before) == after else { return nil }
    }

    /// One patch for two in a row, when together they make `row` of what came before `middle`.
    func followed(by later: RowPatch, to row: AttemptRow, after middle: AttemptRow) -> RowPatch? {
        guard later.applied(to: middle) == row else { return nil }
        var both = self
        both.phase = later.phase
        both.exit = later.exit ?? exit
        both.reason = later.reason ?? reason
        both.started = later.started ?? started
        both.ended = later.ended ?? ended
        both.usage = later.usage ?? usage
        return both
    }

    /// The row that the patch makes of the one before.
    func applied(to before: AttemptRow) -> AttemptRow {
        var row = before
        row.phase = phase
        row.exit = exit ?? row.exit
        row.reason = reason ?? row.reason
        row.started = started ?? row.started
        row.ended = ended ?? row.ended
        row.usage = usage ?? row.usage
        return row
    }
}

extension RowPatch: WireCodable {
    private static let hasExit: UInt8 = 1
    private static let wasOutOfMemory: UInt8 = 2
    private static let hasReason: UInt8 = 4
    private static let hasStarted: UInt8 = 8
    private static let hasEnded: UInt8 = 16
    private static let hasUsage: UInt8 = 32

    private var parts: UInt8 {
        var parts: UInt8 = 0
        if exit != nil { parts |= RowPatch.hasExit }
        if exit?.wasOutOfMemory == true { parts |= RowPatch.wasOutOfMemory }
        if reason != nil { parts |= RowPatch.hasReason }
        if started != nil { parts |= RowPatch.hasStarted }
        if ended != nil { parts |= RowPatch.hasEnded }
        if usage != nil { parts |= RowPatch.hasUsage }
        return parts
    }

    func encode(into writer: inout ByteWriter) {
        for shift in [24, 16, 8, 0] as [UInt32] {
            writer.byte(UInt8(truncatingIfNeeded: base >> shift))
        }
        writer.byte(phase.rawValue)
        writer.byte(parts)
        if let exit { writer.signed(Int64(exit.code)) }
        if let reason { writer.string(reason) }
        started?.encode(into: &writer)
        ended?.encode(into: &writer)
        usage?.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        base = try reader.raw(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        guard let phase = AttemptRow.Phase(rawValue: try reader.byte()) else { throw .malformed }
        self.phase = phase
        let parts = try reader.byte()
        if parts & RowPatch.hasExit != 0 {
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            exit = ExitStatus(
                code: code, wasOutOfMemory: parts & RowPatch.wasOutOfMemory != 0)
        }
        if parts & RowPatch.hasReason != 0 {
            reason = try reader.string(max: TaskOutcome.reasonSizeBytesMax)
        }
        if parts & RowPatch.hasStarted != 0 { started = try WallTime(from: &reader) }
        if parts & RowPatch.hasEnded != 0 { ended = try WallTime(from: &reader) }
        if parts & RowPatch.hasUsage != 0 { usage = try ResourceUsage(from: &reader) }
        guard parts == self.parts else { throw .notCanonical }
    }
}
