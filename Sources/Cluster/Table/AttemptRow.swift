import CRDT
package import Model

/// One attempt at a task: written by its holder alone, joined whole under a total order.
package struct AttemptRow: Hashable, Sendable {
    /// How far an attempt has come; a later phase outranks an earlier one.
    package enum Phase: UInt8, Hashable, Comparable, Sendable, CaseIterable {
        /// The lock granted the claim.
        case claimed = 1
        /// The container is being started.
        case starting = 2
        /// The program runs.
        case running = 3
        /// Nobody knows how it ended. A late truthful report outranks this.
        case lost = 4
        /// A user ended it.
        case canceled = 5
        /// It ended with a failure.
        case failed = 6
        /// It ended well.
        case complete = 7

        /// Orders by raw value.
        package static func < (left: Phase, right: Phase) -> Bool {
            left.rawValue < right.rawValue
        }

        /// Whether the attempt has ended, as far as is known.
        package var isTerminal: Bool { self >= .lost }
    }

    /// What names an attempt within its task.
    package struct Key: Hashable, Comparable, Sendable {
        /// The claim's token.
        package var token: FencingToken
        /// The session that claimed it.
        package var session: SessionID

        /// Orders by token, then by session.
        package static func < (left: Key, right: Key) -> Bool {
            (left.token, left.session) < (right.token, right.session)
        }
    }

    /// The claim's token.
    package var token: FencingToken
    /// How far it has come.
    package var phase: Phase
    /// Which of the times there are, by the bits of `Part`.
    private var times: UInt8 = 0
    /// The session that claimed it.
    package var session: SessionID
    /// The holder.
    package var node: NodeID
    /// How often the task was tried, this attempt included unless it never ran.
    package var count = AttemptCount.first
    /// The process's exit, once there is one.
    package var exit: ExitStatus?
    /// Why it is in this phase, when there is more to say.
    package var reason: String {
        get { remarks?.content.reason ?? "" }
        set { remark { $0.reason = TaskOutcome.cut(newValue) } }
    }
    /// When it was claimed.
    package var claimed: WallTime? {
        get { time(Part.claimed, claimedMilliseconds) }
        set { set(newValue, Part.claimed, \.claimedMilliseconds) }
    }
    /// When the program started.
    package var started: WallTime? {
        get { time(Part.started, startedMilliseconds) }
        set { set(newValue, Part.started, \.startedMilliseconds) }
    }
    /// When it ended.
    package var ended: WallTime? {
        get { time(Part.ended, endedMilliseconds) }
        set { set(newValue, Part.ended, \.endedMilliseconds) }
    }
    /// What its processes have used up, once they have ended and that much is known.
    package var usage: ResourceUsage? {
        get { remarks?.content.usage }
        set { remark { $0.usage = newValue } }
    }
    /// What a newer version wrote behind all this.
    package private(set) var unknownTail: [UInt8] {
        get { remarks?.content.unknownTail ?? [] }
        set { remark { $0.unknownTail = newValue } }
    }
    // Optional times take twice the room, and a table has hundreds of thousands of rows.
    private var claimedMilliseconds: Int64 = 0
    private var startedMilliseconds: Int64 = 0
    private var endedMilliseconds: Int64 = 0
    private var remarks: Box<Remarks>?

    /// What there is to say about few attempts, or about ended ones alone.
    private struct Remarks: Hashable, Sendable {
        var reason = ""
        var usage: ResourceUsage?
        var unknownTail: [UInt8] = []
    }

    /// Makes a row.
    package init(token: FencingToken, session: SessionID, node: NodeID, phase: Phase) {
        self.token = token
        self.session = session
        self.node = node
        self.phase = phase
    }

    /// How the attempt ended, as far as its task's policy asks; `nil` while it has not, or when a
    /// user ended it.
    package var end: AttemptEnd? {
        switch phase {
        case .claimed, .starting, .running, .canceled: nil
        case .lost: .loss
        case .failed: .failure
        case .complete: .success
        }
    }

    /// What names the attempt.
    package var key: Key { Key(token: token, session: session) }

    private mutating func remark(_ change: (inout Remarks) -> Void) {
        var content = remarks?.content ?? Remarks()
        change(&content)
        remarks = content == Remarks() ? nil : Box(content)
    }

    private func time(_ part: UInt8, _ milliseconds: Int64) -> WallTime? {
        times & part == 0 ? nil : WallTime(milliseconds: milliseconds)
    }

    private mutating func set(
        _ time: WallTime?, _ part: UInt8, _ stored: WritableKeyPath<AttemptRow, Int64>
    ) {
        self[keyPath: stored] = time?.milliseconds ?? 0
        if time == nil { times &= ~part } else { times |= part }
    }
}

extension AttemptRow: Lattice {
    /// The row of the later phase; between two of one phase, the one whose bytes are larger.
    @discardableResult
    package mutating func join(_ other: AttemptRow) -> Bool {
        guard self != other else { return false }
        if other.phase == phase {
            guard encoded.lexicographicallyPrecedes(other.encoded) else { return false }
        } else if other.phase < phase {
            return false
        }
        self = other
        return true
    }
}

extension AttemptRow: WireCodable {
    /// Which of the optional parts follow.
    private enum Part {
        static let exit: UInt8 = 1
        static let outOfMemory: UInt8 = 2
        static let reason: UInt8 = 4
        static let claimed: UInt8 = 8
        static let started: UInt8 = 16
        static let ended: UInt8 = 32
        static let count: UInt8 = 64
    }

    private var parts: UInt8 {
        var parts = times
        if exit != nil { parts |= Part.exit }
        if exit?.wasOutOfMemory == true { parts |= Part.outOfMemory }
        if !reason.isEmpty { parts |= Part.reason }
        if count != .first { parts |= Part.count }
        return parts
    }

    /// Writes all that there is; times as their distance from the one before.
    package func encode(into writer: inout ByteWriter) {
        writer.counted(encodeContent)
    }

    private func encodeContent(into row: inout ByteWriter) {
        let parts = self.parts
        row.byte(phase.rawValue)
        token.encode(into: &row)
        session.encode(into: &row)
        node.encode(into: &row)
        row.byte(parts)
        if count != .first { count.encode(into: &row) }
        if let exit { row.signed(Int64(exit.code)) }
        if !reason.isEmpty { row.string(reason) }
        var before: Int64 = 0
        func time(_ part: UInt8, _ milliseconds: Int64, _ row: inout ByteWriter) {
            guard times & part != 0 else { return }
            row.signed(milliseconds &- before)
            before = milliseconds
        }
        time(Part.claimed, claimedMilliseconds, &row)
        time(Part.started, startedMilliseconds, &row)
        time(Part.ended, endedMilliseconds, &row)
        if let usage { row.field(AttemptRow.usageTag) { usage.encode(into: &$0) } }
        row.raw(unknownTail)
    }

    /// A short number for the row's bytes.
    var print: UInt64 {
        var writer = ByteWriter(reservingBytes: 96)
        encodeContent(into: &writer)
        return Fingerprint.of(writer.bytes)
    }

    /// The largest encoding of a row.
    static let sizeBytesMax = 128 + TaskOutcome.reasonSizeBytesMax + UnknownFields.tailSizeBytesMax

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        var row = ByteReader(try reader.blob(max: AttemptRow.sizeBytesMax))
        guard let phase = Phase(rawValue: try row.byte()) else { throw .malformed }
        let token = try FencingToken(from: &row)
        let session = try SessionID(from: &row)
        self.init(token: token, session: session, node: try NodeID(from: &row), phase: phase)
        let parts = try row.byte()
        if parts & Part.count != 0 { count = try AttemptCount(from: &row) }
        if parts & Part.exit != 0 {
            guard let code = Int32(exactly: try row.signed()) else { throw .outOfBounds }
            exit = ExitStatus(code: code, wasOutOfMemory: parts & Part.outOfMemory != 0)
        }
        if parts & Part.reason != 0 {
            reason = try row.string(max: TaskOutcome.reasonSizeBytesMax)
        }
        var before: Int64 = 0
        func time(_ part: UInt8, _ row: inout ByteReader) throws(CodecError) -> WallTime? {
            guard parts & part != 0 else { return nil }
            before = before &+ (try row.signed())
            return WallTime(milliseconds: before)
        }
        claimed = try time(Part.claimed, &row)
        started = try time(Part.started, &row)
        ended = try time(Part.ended, &row)
        (usage, unknownTail) = AttemptRow.tail(
            try row.tail(max: UnknownFields.tailSizeBytesMax))
        // Parts that this version does not know, or that say nothing, have no canonical form.
        guard parts == self.parts else { throw .notCanonical }
    }

    /// The tail begins with the usage as a tagged field; older versions keep it as it came.
    private static let usageTag: UInt64 = 1

    /// Takes the usage off a tail; one of a newer form stays in it.
    private static func tail(_ bytes: [UInt8]) -> (ResourceUsage?, [UInt8]) {
        var reader = ByteReader(bytes)
        guard (try? reader.varint()) == usageTag,
            let content = try? reader.blob(max: UnknownFields.tailSizeBytesMax),
            let usage = try? ResourceUsage(decoding: Array(content)),
            usage.encoded == Array(content)
        else { return (nil, bytes) }
        return (usage, Array(reader.rest()))
    }
}
