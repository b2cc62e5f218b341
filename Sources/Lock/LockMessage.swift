import Model
import Raft

/// What the locks of two nodes say to each other.
indirect enum LockMessage: Hashable, Sendable {
    /// Among the members of the log.
    case raft(RaftMessage)
    /// To the leader: apply this.
    case request(LockRequest)
    /// From the leader: that life's request was applied, with these answers and hints on when to
    /// retry.
    case reply(boot: BootID, sequence: UInt64, results: [LockResult], retryAfter: [Duration])
    /// I do not lead; ask this node, if I know one.
    case redirect(leader: NodeID?)
    /// To the leader: I still live; the number comes back. What I know of amendments has this
    /// fingerprint.
    case renew(SessionID, number: UInt64, amendments: UInt64 = 0)
    /// From the leader: the lease is good for this long, from when the renewal was sent; and so
    /// that those who do not vote know where to turn, who votes.
    case renewed(SessionID, number: UInt64, leaseLength: Duration, voters: [NodeID])
    /// From the leader: this session is not alive, or about to be expired.
    case renewalRefused(SessionID, number: UInt64)
    /// To the leader: choose other voters than me, I am leaving.
    case leaving
    /// From the leader: you have no vote any more, and may go.
    case departed
    /// The log is committed up to there at least: a voter has signed it.
    case floor(LockFloor)
    /// Tell me the highest floor that you know: I have just started.
    case askFloor
    /// Of a later generation than the first; the content is of another kind than this.
    case ofGeneration(UInt32, LockMessage)
}

extension LockMessage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .raft(let message):
            writer.byte(1)
            message.encode(into: &writer)
        case .request(let request):
            writer.byte(2)
            request.encode(into: &writer)
        case .reply(let boot, let sequence, let results, let retryAfter):
            writer.byte(3)
            boot.encode(into: &writer)
            writer.varint(sequence)
            writer.list(results) { $1.encode(into: &$0) }
            writer.list(retryAfter) { $0.varint(UInt64(clamping: $1.nanoseconds)) }
        case .redirect(let leader):
            writer.byte(4)
            writer.optional(leader) { $1.encode(into: &$0) }
        case .renew(let session, let number, let amendments):
            writer.byte(5)
            session.encode(into: &writer)
            writer.varint(number)
            // Earlier versions know of none.
            if amendments != 0 { writer.fixed64(amendments) }
        case .renewed(let session, let number, let leaseLength, let voters):
            writer.byte(6)
            session.encode(into: &writer)
            writer.varint(number)
            writer.varint(UInt64(clamping: leaseLength.nanoseconds))
            writer.list(voters) { $1.encode(into: &$0) }
        case .renewalRefused(let session, let number):
            writer.byte(7)
            session.encode(into: &writer)
            writer.varint(number)
        case .leaving:
            writer.byte(8)
        case .departed:
            writer.byte(9)
        case .floor(let floor):
            writer.byte(11)
            floor.encode(into: &writer)
        case .askFloor:
            writer.byte(12)
        case .ofGeneration(let generation, let message):
            writer.byte(LockMessage.generationKind)
            writer.varint(UInt64(generation))
            message.encode(into: &writer)
        }
    }

    private static let generationKind: UInt8 = 10

    init(from reader: inout ByteReader) throws(CodecError) {
        let kind = try reader.byte()
        guard kind == LockMessage.generationKind else {
            self = try LockMessage.content(of: kind, from: &reader)
            return
        }
        let generation = try reader.varint32()
        guard generation > 1 else { throw .notCanonical }
        let inner = try LockMessage.content(of: try reader.byte(), from: &reader)
        self = .ofGeneration(generation, inner)
    }

    private static func content(
        of kind: UInt8, from reader: inout ByteReader
    ) throws(CodecError) -> LockMessage {
        switch kind {
        case 1: return .raft(try RaftMessage(from: &reader))
        case 2: return .request(try LockRequest(from: &reader))
        case 3:
            let boot = try BootID(from: &reader)
            let sequence = try reader.varint()
            let results = try reader.list(max: LockConfiguration.operationsMax) {
                (reader) throws(CodecError) in try LockResult(from: &reader)
            }
            let retryAfter = try reader.list(max: LockConfiguration.operationsMax) {
                (reader) throws(CodecError) in try reader.duration()
            }
            guard retryAfter.count == results.count else { throw .malformed }
            return .reply(boot: boot, sequence: sequence, results: results, retryAfter: retryAfter)
        case 4:
            return .redirect(
                leader: try reader.optional { (reader) throws(CodecError) in
                    try NodeID(from: &reader)
                })
        case 5:
            let session = try SessionID(from: &reader)
            let number = try reader.varint()
            guard reader.remaining > 0 else {
                return .renew(session, number: number, amendments: 0)
            }
            let amendments = try reader.fixed64()
            // None are left out.
            guard amendments != 0 else { throw .notCanonical }
            return .renew(session, number: number, amendments: amendments)
        case 6:
            let session = try SessionID(from: &reader)
            let number = try reader.varint()
            let length = try reader.leaseLength()
            return .renewed(
                session, number: number, leaseLength: length, voters: try reader.voters())
        case 7:
            let session = try SessionID(from: &reader)
            return .renewalRefused(session, number: try reader.varint())
        case 8: return .leaving
        case 9: return .departed
        case 11: return .floor(try LockFloor(from: &reader))
        case 12: return .askFloor
        default: throw .malformed
        }
    }
}

extension ByteReader {
    fileprivate mutating func voters() throws(CodecError) -> [NodeID] {
        try list(max: RaftMembers.countMax) { (reader) throws(CodecError) in
            try NodeID(from: &reader)
        }
    }
}
