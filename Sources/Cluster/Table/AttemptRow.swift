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
    /// The session that claimed it.
    package var session: SessionID
    /// The holder.
    package var node: NodeID
    /// How far it has come.
    package var phase: Phase
    /// The process's exit, once there is one.
    package var exit: ExitStatus?
    /// Why it is in this phase, when there is more to say.
    package var reason: String = ""
    /// When it was claimed.
    package var claimed: WallTime?
    /// When the program started.
    package var started: WallTime?
    /// When it ended.
    package var ended: WallTime?

    /// Makes a row.
    package init(token: FencingToken, session: SessionID, node: NodeID, phase: Phase) {
        self.token = token
        self.session = session
        self.node = node
        self.phase = phase
    }

    /// What names the attempt.
    package var key: Key { Key(token: token, session: session) }
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
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        writer.byte(phase.rawValue)
        token.encode(into: &writer)
        session.encode(into: &writer)
        node.encode(into: &writer)
        writer.bool(exit != nil)
        if let exit {
            writer.signed(Int64(exit.code))
            writer.bool(exit.wasOutOfMemory)
        }
        writer.string(String(reason.prefix(TaskOutcome.reasonSizeBytesMax / 4)))
        for time in [claimed, started, ended] {
            writer.bool(time != nil)
            time?.encode(into: &writer)
        }
    }

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        guard let phase = Phase(rawValue: try reader.byte()) else { throw .malformed }
        let token = try FencingToken(from: &reader)
        let session = try SessionID(from: &reader)
        self.init(
            token: token, session: session, node: try NodeID(from: &reader), phase: phase)
        if try reader.bool() {
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            exit = ExitStatus(code: code, wasOutOfMemory: try reader.bool())
        }
        reason = try reader.string(max: TaskOutcome.reasonSizeBytesMax)
        claimed = try reader.bool() ? try WallTime(from: &reader) : nil
        started = try reader.bool() ? try WallTime(from: &reader) : nil
        ended = try reader.bool() ? try WallTime(from: &reader) : nil
    }
}
