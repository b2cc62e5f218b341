import Model

/// The table as a snapshot: canonical, so that equal tables have equal bytes.
extension LockTable: WireCodable {
    /// The most entries, sessions or clients that a snapshot may hold.
    static let countMax = 4 << 20

    func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(generation))
        writer.bool(isRecovering)
        writer.varint(clock)
        writer.varint(UInt64(clamping: leaseLength.nanoseconds))
        writer.varint(UInt64(clamping: longestLease.nanoseconds))
        writer.rows(entries) { $1.encode(into: &$0) }
        writer.rows(sessions) {
            $1.node.encode(into: &$0)
            $1.machine.encode(into: &$0)
        }
        writer.rows(lastSessions) { $1.encode(into: &$0) }
        writer.rows(clients) { $1.encode(into: &$0) }
        collected.encode(into: &writer)
        collectedTasks.encode(into: &writer)
        // Earlier versions know of none.
        guard !amendments.all.isEmpty else { return }
        writer.list(amendments.all) { $1.encode(into: &$0) }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let generation = try reader.varint32()
        let isRecovering = try reader.bool()
        let clock = try reader.varint()
        self.init(generation: generation, clock: clock, leaseLength: try reader.leaseLength())
        self.isRecovering = isRecovering
        longestLease = try reader.leaseLength()
        let entries = try reader.rows { (reader) throws(CodecError) -> (TaskID, Entry) in
            let task = try TaskID(from: &reader)
            return (task, try Entry(from: &reader))
        }
        let sessions = try reader.rows { (reader) throws(CodecError) -> (SessionID, Session) in
            let session = try SessionID(from: &reader)
            let node = try NodeID(from: &reader)
            return (session, Session(node: node, machine: try MachineID(from: &reader)))
        }
        for (session, state) in sessions { self.sessions[session] = state }
        for (task, entry) in entries { try take(entry, for: task) }
        let last = try reader.rows { (reader) throws(CodecError) -> (NodeID, SessionID) in
            let node = try NodeID(from: &reader)
            return (node, try SessionID(from: &reader))
        }
        lastSessions = Dictionary(uniqueKeysWithValues: last)
        let clients = try reader.rows { (reader) throws(CodecError) -> (NodeID, Client) in
            let node = try NodeID(from: &reader)
            return (node, try Client(from: &reader))
        }
        for (node, client) in clients { put(client, for: node) }
        collected = try BirthIntervals(from: &reader)
        restore(try CollectedTasks(from: &reader))
        guard reader.remaining > 0 else { return }
        amendments = try Amendments(from: &reader)
        // None are left out, so that one table has one encoding.
        guard !amendments.all.isEmpty else { throw .malformed }
    }

    /// Files an entry, and with it what is derived from the entries.
    private mutating func take(_ entry: Entry, for task: TaskID) throws(CodecError) {
        put(entry, for: task)
        guard case .held(let claim) = entry else { return }
        if let node = claim.formerHolder {
            waiting[node, default: []].insert(task)
        } else {
            guard sessions[claim.session] != nil else { throw .malformed }
            sessions[claim.session]?.claims.insert(task)
        }
    }
}

extension LockTable.Entry: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .held(let claim):
            writer.byte(1)
            claim.token.encode(into: &writer)
            claim.session.encode(into: &writer)
            claim.birth.encode(into: &writer)
            claim.count.encode(into: &writer)
            writer.bool(claim.isLastAttempt)
            writer.bool(claim.waits)
            writer.optional(claim.formerHolder) { $1.encode(into: &$0) }
            claim.machine.encode(into: &writer)
        case .open(let lastToken, let birth, let next, let notBefore):
            writer.byte(2)
            lastToken.encode(into: &writer)
            birth.encode(into: &writer)
            next.encode(into: &writer)
            writer.varint(notBefore)
        case .closed(let outcome, let token, let birth):
            writer.byte(3)
            outcome.encode(into: &writer)
            writer.optional(token) { $1.encode(into: &$0) }
            writer.optional(birth) { $1.encode(into: &$0) }
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1:
            let token = try FencingToken(from: &reader)
            let session = try SessionID(from: &reader)
            let birth = try BirthDot(from: &reader)
            let count = try AttemptCount(from: &reader)
            let isLastAttempt = try reader.bool()
            let waits = try reader.bool()
            let former = try reader.optional { (reader) throws(CodecError) in
                try NodeID(from: &reader)
            }
            self = .held(
                LockTable.Claim(
                    token: token, session: session, birth: birth, count: count,
                    isLastAttempt: isLastAttempt, waits: waits, formerHolder: former,
                    machine: try MachineID(from: &reader)))
        case 2:
            let lastToken = try FencingToken(from: &reader)
            let birth = try BirthDot(from: &reader)
            let next = try AttemptCount(from: &reader)
            self = .open(
                lastToken: lastToken, birth: birth, next: next, notBefore: try reader.varint())
        case 3:
            let outcome = try TaskOutcome(from: &reader)
            let token = try reader.optional { (reader) throws(CodecError) in
                try FencingToken(from: &reader)
            }
            let birth = try reader.optional { (reader) throws(CodecError) in
                try BirthDot(from: &reader)
            }
            self = .closed(outcome, token, birth: birth)
        default: throw .malformed
        }
    }
}

extension ByteWriter {
    /// Writes a dictionary as rows in rising order of their keys.
    fileprivate mutating func rows<Key: WireCodable & Comparable, Value>(
        _ rows: [Key: Value], _ write: (inout ByteWriter, Value) -> Void
    ) {
        list(rows.sorted { $0.key < $1.key }) { writer, row in
            row.key.encode(into: &writer)
            write(&writer, row.value)
        }
    }
}

extension ByteReader {
    /// Reads rows; refuses them in any other order than the rising one of their keys.
    fileprivate mutating func rows<Key: Comparable, Value>(
        _ read: (inout ByteReader) throws(CodecError) -> (Key, Value)
    ) throws(CodecError) -> [(Key, Value)] {
        let rows = try list(max: LockTable.countMax, read)
        for (left, right) in zip(rows, rows.dropFirst()) where left.0 >= right.0 {
            throw .notCanonical
        }
        return rows
    }
}
