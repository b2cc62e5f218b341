import Model

/// "I am here": what a member says of itself, signed by it.
struct AliveStatement: Hashable, Sendable {
    var subject: NodeID
    var incarnation: UInt64
    /// The life in which it says so: two lives at once are a clone.
    var boot: BootID
    var address: PeerAddress
    /// The metadata as its subject encoded it, so that the signature holds across versions.
    var metadata: [UInt8]
    var signature: [UInt8] = []

    func statement(in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-alive-1".utf8)
        cluster.encode(into: &writer)
        encodeBody(into: &writer)
        return writer.bytes
    }

    private func encodeBody(into writer: inout ByteWriter) {
        subject.encode(into: &writer)
        writer.varint(incarnation)
        boot.encode(into: &writer)
        address.encode(into: &writer)
        writer.blob(metadata)
    }

    /// Whether this takes the place of another statement of its subject; a total order, so that
    /// all nodes keep the same one even of two that a clone has made.
    func isNewer(than other: AliveStatement) -> Bool {
        (incarnation, boot) > (other.incarnation, other.boot)
    }
}

/// "I am leaving": signed by its subject.
struct LeaveStatement: Hashable, Sendable {
    var subject: NodeID
    var incarnation: UInt64
    var signature: [UInt8] = []

    func statement(in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-leave-1".utf8)
        cluster.encode(into: &writer)
        subject.encode(into: &writer)
        writer.varint(incarnation)
        return writer.bytes
    }
}

/// "It did not answer me": signed by its accuser, and no more than a reason to look.
struct SuspectStatement: Hashable, Sendable {
    var subject: NodeID
    var incarnation: UInt64
    var accuser: NodeID
    var signature: [UInt8] = []

    func statement(in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-suspect-1".utf8)
        cluster.encode(into: &writer)
        subject.encode(into: &writer)
        writer.varint(incarnation)
        accuser.encode(into: &writer)
        return writer.bytes
    }
}

/// A piece of news that spreads from member to member.
enum Rumour: Hashable, Sendable {
    case alive(AliveStatement)
    case leave(LeaveStatement)
    case suspect(SuspectStatement)
    case admission(Admission)
    case amendment(AmendmentCertificate)

    /// What a rumour is about: a newer one takes the place of an older one.
    enum Topic: Hashable, Comparable {
        case admission(NodeID)
        case state(NodeID)
        case suspicion(NodeID, by: NodeID)
        case amendment(FencingToken)
    }

    var topic: Topic {
        switch self {
        case .alive(let alive): .state(alive.subject)
        case .leave(let leave): .state(leave.subject)
        case .suspect(let suspect): .suspicion(suspect.subject, by: suspect.accuser)
        case .admission(let admission): .admission(admission.nodeKey.id)
        case .amendment(let certificate): .amendment(certificate.amendment.mark)
        }
    }
}

extension AliveStatement: WireCodable {
    func encode(into writer: inout ByteWriter) {
        encodeBody(into: &writer)
        writer.raw(signature)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        subject = try NodeID(from: &reader)
        incarnation = try reader.varint()
        boot = try BootID(from: &reader)
        address = try PeerAddress(from: &reader)
        metadata = Array(try reader.blob(max: NodeMetadata.sizeBytesMax + 4))
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}

extension LeaveStatement: WireCodable {
    func encode(into writer: inout ByteWriter) {
        subject.encode(into: &writer)
        writer.varint(incarnation)
        writer.raw(signature)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        subject = try NodeID(from: &reader)
        incarnation = try reader.varint()
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}

extension SuspectStatement: WireCodable {
    func encode(into writer: inout ByteWriter) {
        subject.encode(into: &writer)
        writer.varint(incarnation)
        accuser.encode(into: &writer)
        writer.raw(signature)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        subject = try NodeID(from: &reader)
        incarnation = try reader.varint()
        accuser = try NodeID(from: &reader)
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}

extension Rumour: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .alive(let alive):
            writer.byte(1)
            alive.encode(into: &writer)
        case .leave(let leave):
            writer.byte(2)
            leave.encode(into: &writer)
        case .suspect(let suspect):
            writer.byte(3)
            suspect.encode(into: &writer)
        case .admission(let admission):
            writer.byte(4)
            admission.encode(into: &writer)
        case .amendment(let certificate):
            writer.byte(5)
            certificate.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1: self = .alive(try AliveStatement(from: &reader))
        case 2: self = .leave(try LeaveStatement(from: &reader))
        case 3: self = .suspect(try SuspectStatement(from: &reader))
        case 4: self = .admission(try Admission(from: &reader))
        case 5: self = .amendment(try AmendmentCertificate(from: &reader))
        default: throw .malformed
        }
    }
}
