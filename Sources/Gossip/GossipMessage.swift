import Model

/// What the memberships of two nodes say to each other.
enum GossipMessage: Sendable {
    /// Are you there? The number comes back.
    case ping(number: UInt64, [Rumour])
    /// I am; answers a ping, or passes on that a member answered one for you.
    case ack(number: UInt64, [Rumour])
    /// Ping that member for me.
    case pingRequest(number: UInt64, target: NodeID)
    /// It has not answered me either, but I am there (Lifeguard §IV.A).
    case nack(number: UInt64)
    /// News.
    case rumours([Rumour])
    /// My whole view; send yours when `wantsReply`.
    case exchange([Rumour], wantsReply: Bool)
    /// Do you run under this boot ID? The number comes back.
    case challenge(number: UInt64)
    /// I do.
    case challengeAnswer(number: UInt64)
    /// I lack this node's admission.
    case wantAdmission(NodeID)
    /// For another part of the node.
    case application(ArraySlice<UInt8>)
    /// Let me in.
    case joinRequest(JoinRequest)
    /// You are in: the founding record, and the whole view.
    case joinReply(key: PublicKey, number: UInt64, Genesis, [Rumour])
    /// You are not let in.
    case joinRefused(key: PublicKey, number: UInt64, JoinRefusal)

    /// What a joiner shows.
    struct JoinRequest: Sendable {
        /// The joiner's key; first in the payload, since the signature is checked before parsing.
        var key: PublicKey
        var number: UInt64
        var invitation: JoinToken.Invitation
        var tokenSignature: [UInt8]
        var alive: AliveStatement
    }

    enum Kind: UInt8 {
        case ping = 1
        case ack = 2
        case pingRequest = 3
        case nack = 4
        case rumours = 5
        case exchange = 6
        case challenge = 7
        case challengeAnswer = 8
        case wantAdmission = 9
        case application = 10
        case joinRequest = 11
        case joinReply = 12
        case joinRefused = 13

        /// Whether the sender may be nobody's member yet; its key comes first in the payload.
        var isStrangers: Bool { rawValue >= Kind.joinRequest.rawValue }
    }

    /// The most rumours in one message: a whole view and every admission.
    static let rumoursMax = 4 * KeyRing.membersMax

    /// The key that a stranger claims, at its fixed place; `nil` when this is no stranger's message.
    static func strangerKey(in payload: ArraySlice<UInt8>) -> PublicKey? {
        guard let first = payload.first, Kind(rawValue: first)?.isStrangers == true,
            payload.count > PublicKey.sizeBytes
        else { return nil }
        return PublicKey(bytes: Array(payload.dropFirst().prefix(PublicKey.sizeBytes)))
    }
}

extension GossipMessage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        func numbered(_ kind: Kind, _ number: UInt64) {
            writer.byte(kind.rawValue)
            writer.fixed64(number)
        }
        switch self {
        case .ping(let number, let rumours):
            numbered(.ping, number)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .ack(let number, let rumours):
            numbered(.ack, number)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .pingRequest(let number, let target):
            numbered(.pingRequest, number)
            target.encode(into: &writer)
        case .nack(let number): numbered(.nack, number)
        case .rumours(let rumours):
            writer.byte(Kind.rumours.rawValue)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .exchange(let rumours, let wantsReply):
            writer.byte(Kind.exchange.rawValue)
            writer.bool(wantsReply)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .challenge(let number): numbered(.challenge, number)
        case .challengeAnswer(let number): numbered(.challengeAnswer, number)
        case .wantAdmission(let node):
            writer.byte(Kind.wantAdmission.rawValue)
            node.encode(into: &writer)
        case .application(let payload):
            writer.byte(Kind.application.rawValue)
            writer.raw(payload)
        case .joinRequest(let request):
            writer.byte(Kind.joinRequest.rawValue)
            request.encode(into: &writer)
        case .joinReply(let key, let number, let genesis, let rumours):
            writer.byte(Kind.joinReply.rawValue)
            key.encode(into: &writer)
            writer.fixed64(number)
            genesis.encode(into: &writer)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .joinRefused(let key, let number, let refusal):
            writer.byte(Kind.joinRefused.rawValue)
            key.encode(into: &writer)
            writer.fixed64(number)
            writer.byte(refusal.rawValue)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        switch kind {
        case .ping:
            let number = try reader.fixed64()
            self = .ping(number: number, try GossipMessage.rumours(from: &reader))
        case .ack:
            let number = try reader.fixed64()
            self = .ack(number: number, try GossipMessage.rumours(from: &reader))
        case .pingRequest:
            let number = try reader.fixed64()
            self = .pingRequest(number: number, target: try NodeID(from: &reader))
        case .nack: self = .nack(number: try reader.fixed64())
        case .rumours: self = .rumours(try GossipMessage.rumours(from: &reader))
        case .exchange:
            let wantsReply = try reader.bool()
            self = .exchange(
                try GossipMessage.rumours(from: &reader), wantsReply: wantsReply)
        case .challenge: self = .challenge(number: try reader.fixed64())
        case .challengeAnswer: self = .challengeAnswer(number: try reader.fixed64())
        case .wantAdmission: self = .wantAdmission(try NodeID(from: &reader))
        case .application: self = .application(reader.rest())
        case .joinRequest: self = .joinRequest(try JoinRequest(from: &reader))
        case .joinReply:
            let key = try PublicKey(from: &reader)
            let number = try reader.fixed64()
            let genesis = try Genesis(from: &reader)
            self = .joinReply(
                key: key, number: number, genesis, try GossipMessage.rumours(from: &reader))
        case .joinRefused:
            let key = try PublicKey(from: &reader)
            let number = try reader.fixed64()
            guard let refusal = JoinRefusal(rawValue: try reader.byte()) else {
                throw .malformed
            }
            self = .joinRefused(key: key, number: number, refusal)
        }
    }

    private static func rumours(
        from reader: inout ByteReader
    ) throws(CodecError) -> [Rumour] {
        try reader.list(max: rumoursMax) { (reader) throws(CodecError) in
            try Rumour(from: &reader)
        }
    }
}

extension GossipMessage.JoinRequest: WireCodable {
    func encode(into writer: inout ByteWriter) {
        key.encode(into: &writer)
        writer.fixed64(number)
        invitation.encode(into: &writer)
        writer.raw(tokenSignature)
        alive.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        key = try PublicKey(from: &reader)
        number = try reader.fixed64()
        invitation = try JoinToken.Invitation(from: &reader)
        tokenSignature = Array(try reader.raw(Signature.sizeBytes))
        alive = try AliveStatement(from: &reader)
    }
}
