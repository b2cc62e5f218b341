import CRDT
import Model

/// How a holder's row came to be from the one before, or from nothing: less than the row itself.
///
/// Who has the row before gets the whole row out of it, byte for byte; who has another one can't
/// place it, and asks for the record.
struct RowPatch: Hashable, Sendable {
    /// What the patch is applied to.
    enum Base: Hashable, Sendable {
        /// The row of this mark.
        case row(UInt32)
        /// A new attempt; without a node it is that of who sends the patch.
        case new(AttemptRow.Key, node: NodeID?, count: AttemptCount)
    }

    var base: Base
    var phase: AttemptRow.Phase
    /// Whether it is applied to no row.
    var isNew: Bool {
        if case .new = base { true } else { false }
    }
    /// What is new; what is absent is as it was.
    var exit: ExitStatus?
    var reason: String?
    /// Of a new attempt only, in milliseconds.
    var claimed: Int64?
    /// In milliseconds after the claim, or after no time at all.
    var started: Int64?
    /// In milliseconds after the start, or after what is known before it.
    var ended: Int64?
    var usage: ResourceUsage?

    /// What makes `after` of the row before, if there is one; `nil` when a patch can't express it.
    init?(from before: HeldRow?, to after: AttemptRow, sender: NodeID) {
        let known: AttemptRow
        if let before {
            base = .row(before.mark)
            known = before.row
        } else {
            base = .new(
                after.key, node: after.node == sender ? nil : after.node, count: after.count)
            known = AttemptRow(
                token: after.token, session: after.session, node: after.node, phase: after.phase)
            claimed = after.claimed?.milliseconds
        }
        phase = after.phase
        if after.exit != known.exit { exit = after.exit }
        if after.reason != known.reason { reason = after.reason }
        if after.started != known.started {
            started = after.started.map { $0.milliseconds &- RowPatch.startBase(of: after) }
        }
        if after.ended != known.ended {
            ended = after.ended.map { $0.milliseconds &- RowPatch.endBase(of: after) }
        }
        if after.usage != known.usage { usage = after.usage }
        let made = before.map { applied(to: $0.row) } ?? newRow(from: sender)
        guard made == after else { return nil }
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
        // Its end was counted from another start.
        guard later.started == nil || later.ended != nil || ended == nil else { return nil }
        return both
    }

    /// Where a record with these rows has what the patch is applied to; `nil` when it lacks that.
    func base(in rows: TaskRecord.Rows, isStrict: Bool) -> Int? {
        guard case .row(let mark) = base else { return nil }
        return rows.lastIndex { !isStrict || $0.mark == mark }
    }

    /// The patch as another node says it that heard it from `sender`.
    func passedOn(from sender: NodeID) -> RowPatch {
        guard case .new(let key, nil, let count) = base else { return self }
        var patch = self
        patch.base = .new(key, node: sender, count: count)
        return patch
    }

    /// The row that the patch makes of the one before.
    func applied(to before: AttemptRow) -> AttemptRow {
        var row = before
        apply(to: &row)
        return row
    }

    /// Makes the row of the one before in its place.
    func apply(to row: inout AttemptRow) {
        row.phase = phase
        if let exit { row.exit = exit }
        if let reason { row.reason = reason }
        if let started {
            row.started = WallTime(milliseconds: RowPatch.startBase(of: row) &+ started)
        }
        if let ended { row.ended = WallTime(milliseconds: RowPatch.endBase(of: row) &+ ended) }
        if let usage { row.usage = usage }
    }

    /// The row of a new attempt; `nil` when the patch is of one before.
    func newRow(from sender: NodeID) -> AttemptRow? {
        guard case .new(let key, let node, let count) = base else { return nil }
        var row = AttemptRow(
            token: key.token, session: key.session, node: node ?? sender, phase: phase)
        row.count = count
        row.claimed = claimed.map(WallTime.init(milliseconds:))
        return applied(to: row)
    }

    private static func startBase(of row: AttemptRow) -> Int64 { row.claimed?.milliseconds ?? 0 }

    private static func endBase(of row: AttemptRow) -> Int64 {
        row.started?.milliseconds ?? startBase(of: row)
    }
}

extension RowPatch: WireCodable {
    private enum Part {
        static let exit: UInt8 = 1
        static let outOfMemory: UInt8 = 2
        static let reason: UInt8 = 4
        static let claimed: UInt8 = 8
        static let started: UInt8 = 16
        static let ended: UInt8 = 32
        static let isNew: UInt8 = 64
        static let node: UInt8 = 128
    }

    /// Beside the phase: whether it is not the first attempt.
    private static let countBit: UInt8 = 8
    /// Beside the phase: whether it says what was used up.
    private static let usageBit: UInt8 = 16

    private var parts: UInt8 {
        var parts: UInt8 = 0
        if exit != nil { parts |= Part.exit }
        if exit?.wasOutOfMemory == true { parts |= Part.outOfMemory }
        if reason != nil { parts |= Part.reason }
        if claimed != nil { parts |= Part.claimed }
        if started != nil { parts |= Part.started }
        if ended != nil { parts |= Part.ended }
        if case .new(_, let node, _) = base { parts |= Part.isNew | (node == nil ? 0 : Part.node) }
        return parts
    }

    func encode(into writer: inout ByteWriter) {
        writer.byte(parts)
        let head = phase.rawValue | (usage == nil ? 0 : RowPatch.usageBit)
        switch base {
        case .row(let mark):
            writer.byte(head)
            for shift in [24, 16, 8, 0] as [UInt32] {
                writer.byte(UInt8(truncatingIfNeeded: mark >> shift))
            }
        case .new(let key, let node, let count):
            writer.byte(head | (count == .first ? 0 : RowPatch.countBit))
            key.token.encode(into: &writer)
            key.session.encode(into: &writer)
            node?.encode(into: &writer)
            if count != .first { count.encode(into: &writer) }
        }
        if let exit { writer.signed(Int64(exit.code)) }
        if let reason { writer.string(reason) }
        for time in [claimed, started, ended] {
            if let time { writer.signed(time) }
        }
        usage?.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let parts = try reader.byte()
        let head = try reader.byte()
        guard
            let phase = AttemptRow.Phase(
                rawValue: head & ~(RowPatch.countBit | RowPatch.usageBit))
        else {
            throw .malformed
        }
        self.phase = phase
        let isFirst = head & RowPatch.countBit == 0
        if parts & Part.isNew != 0 {
            let token = try FencingToken(from: &reader)
            let key = AttemptRow.Key(token: token, session: try SessionID(from: &reader))
            let node = parts & Part.node == 0 ? nil : try NodeID(from: &reader)
            let count = isFirst ? AttemptCount.first : try AttemptCount(from: &reader)
            guard isFirst || count != .first else { throw .notCanonical }
            base = .new(key, node: node, count: count)
        } else {
            guard isFirst, parts & Part.claimed == 0 else { throw .notCanonical }
            base = .row(try reader.raw(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) })
        }
        if parts & Part.exit != 0 {
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            exit = ExitStatus(code: code, wasOutOfMemory: parts & Part.outOfMemory != 0)
        }
        if parts & Part.reason != 0 {
            reason = try reader.string(max: TaskOutcome.reasonSizeBytesMax)
        }
        if parts & Part.claimed != 0 { claimed = try reader.signed() }
        if parts & Part.started != 0 { started = try reader.signed() }
        if parts & Part.ended != 0 { ended = try reader.signed() }
        if head & RowPatch.usageBit != 0 { usage = try ResourceUsage(from: &reader) }
        guard parts == self.parts else { throw .notCanonical }
    }
}
