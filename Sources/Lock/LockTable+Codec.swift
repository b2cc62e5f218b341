import Model

/// The table as a snapshot: canonical, so that equal tables have equal bytes.
extension LockTable: WireCodable {
    /// The most entries, sessions or clients that a snapshot may hold.
    static let countMax = 4 << 20

    func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(generation))
        writer.varint(clock)
        writer.varint(UInt64(clamping: leaseLength.nanoseconds))
        writer.varint(UInt64(clamping: longestLease.nanoseconds))
        writer.list(entries.sorted { $0.key < $1.key }) { writer, row in
            row.key.encode(into: &writer)
            row.value.encode(into: &writer)
        }
        writer.list(sessions.sorted { $0.key < $1.key }) { writer, row in
            row.key.encode(into: &writer)
            row.value.node.encode(into: &writer)
        }
        writer.list(clients.sorted { $0.key < $1.key }) { writer, row in
            row.key.encode(into: &writer)
            row.value.boot.encode(into: &writer)
            writer.varint(row.value.sequence)
            writer.list(row.value.results) { $1.encode(into: &$0) }
        }
        collected.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let generation = try reader.varint32()
        let clock = try reader.varint()
        self.init(generation: generation, clock: clock, leaseLength: try reader.duration())
        longestLease = try reader.duration()
        let rows = try reader.list(max: LockTable.countMax) {
            (reader) throws(CodecError) -> (TaskID, Entry) in
            let task = try TaskID(from: &reader)
            return (task, try Entry(from: &reader))
        }
        for (task, entry) in rows { entries[task] = entry }
        let sessionRows = try reader.list(max: LockTable.countMax) {
            (reader) throws(CodecError) -> (SessionID, NodeID) in
            let session = try SessionID(from: &reader)
            return (session, try NodeID(from: &reader))
        }
        for (session, node) in sessionRows { sessions[session] = Session(node: node) }
        let clientRows = try reader.list(max: LockTable.countMax) {
            (reader) throws(CodecError) -> (NodeID, Client) in
            let node = try NodeID(from: &reader)
            let boot = try BootID(from: &reader)
            let sequence = try reader.varint()
            let results = try reader.list(max: LockConfiguration.operationsMax) {
                (reader) throws(CodecError) in try LockResult(from: &reader)
            }
            return (node, Client(boot: boot, sequence: sequence, results: results))
        }
        for (node, client) in clientRows { clients[node] = client }
        collected = try BirthIntervals(from: &reader)
        for (task, entry) in entries {
            guard case .held(let claim) = entry else { continue }
            if let node = claim.formerHolder {
                waiting[node, default: []].insert(task)
            } else {
                sessions[claim.session]?.claims.insert(task)
            }
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
            writer.bool(claim.isLastAttempt)
            writer.bool(claim.waits)
            writer.optional(claim.formerHolder) { $1.encode(into: &$0) }
        case .open(let lastToken, let birth, let notBefore):
            writer.byte(2)
            lastToken.encode(into: &writer)
            birth.encode(into: &writer)
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
            let isLastAttempt = try reader.bool()
            let waits = try reader.bool()
            let former = try reader.optional { (reader) throws(CodecError) in
                try NodeID(from: &reader)
            }
            self = .held(
                LockTable.Claim(
                    token: token, session: session, birth: birth, isLastAttempt: isLastAttempt,
                    waits: waits, formerHolder: former))
        case 2:
            let lastToken = try FencingToken(from: &reader)
            let birth = try BirthDot(from: &reader)
            self = .open(
                lastToken: lastToken, birth: birth, notBefore: try reader.varint())
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
