import Model

extension GossipMessage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        writer.byte(kind.rawValue)
        switch self {
        case .ping(let number, let view, let rumours), .ack(let number, let view, let rumours):
            writer.fixed64(number)
            writer.fixed64(view)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .pingRequest(let number, let target):
            writer.fixed64(number)
            target.encode(into: &writer)
        case .indirectPing(let number, let origin, let rumours):
            writer.fixed64(number)
            origin.encode(into: &writer)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .indirectAck(let number, let origin, let packet):
            writer.fixed64(number)
            origin.encode(into: &writer)
            writer.blob(packet)
        case .nack(let number): writer.fixed64(number)
        case .rumours(let rumours): writer.list(rumours) { $1.encode(into: &$0) }
        case .exchange(let rumours, let wantsReply):
            writer.bool(wantsReply)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .challenge(let number, let boot):
            writer.fixed64(number)
            boot.encode(into: &writer)
        case .challengeAnswer(let number, let floor):
            writer.fixed64(number)
            writer.fixed64(floor)
        case .lifeQuestion(let number, let age), .lifeAnswer(let number, let age):
            writer.fixed64(number)
            writer.fixed64(age)
        case .refusal(let boot, let elder, let address):
            boot.encode(into: &writer)
            elder.encode(into: &writer)
            address.encode(into: &writer)
        case .wantAdmission(let node): node.encode(into: &writer)
        case .application(let payload): writer.raw(payload)
        case .joinRequest(let request): request.encode(into: &writer)
        case .joinReply(let key, let number, let genesis, let rumours):
            key.encode(into: &writer)
            writer.fixed64(number)
            genesis.encode(into: &writer)
            writer.list(rumours) { $1.encode(into: &$0) }
        case .joinRefused(let key, let number, let refusal):
            key.encode(into: &writer)
            writer.fixed64(number)
            writer.byte(refusal.rawValue)
        case .passedOn(let packet): writer.blob(packet)
        case .introduction(let key, let credentials):
            key.encode(into: &writer)
            writer.list(credentials) { $1.encode(into: &$0) }
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        switch kind {
        case .ping, .ack:
            let number = try reader.fixed64()
            let view = try reader.fixed64()
            let news = try GossipMessage.rumours(from: &reader)
            self =
                kind == .ping
                ? .ping(number: number, view: view, news)
                : .ack(number: number, view: view, news)
        case .pingRequest, .indirectPing, .indirectAck:
            self = try GossipMessage.indirect(kind, from: &reader)
        case .nack: self = .nack(number: try reader.fixed64())
        case .rumours: self = .rumours(try GossipMessage.rumours(from: &reader))
        case .exchange:
            let wantsReply = try reader.bool()
            self = .exchange(
                try GossipMessage.rumours(from: &reader), wantsReply: wantsReply)
        case .challenge:
            let number = try reader.fixed64()
            self = .challenge(number: number, boot: try BootID(from: &reader))
        case .challengeAnswer:
            let number = try reader.fixed64()
            self = .challengeAnswer(number: number, floor: try reader.fixed64())
        case .lifeQuestion, .lifeAnswer:
            let number = try reader.fixed64()
            let age = try reader.fixed64()
            self =
                kind == .lifeQuestion
                ? .lifeQuestion(number: number, ageMilliseconds: age)
                : .lifeAnswer(number: number, ageMilliseconds: age)
        case .refusal:
            let boot = try BootID(from: &reader)
            let elder = try BootID(from: &reader)
            self = .refusal(of: boot, elder: elder, at: try PeerAddress(from: &reader))
        case .wantAdmission: self = .wantAdmission(try NodeID(from: &reader))
        case .application: self = .application(reader.rest())
        case .joinRequest: self = .joinRequest(try JoinRequest(from: &reader))
        case .joinReply, .joinRefused:
            self = try GossipMessage.joinAnswer(kind, from: &reader)
        case .passedOn:
            self = .passedOn(
                try reader.blob(
                    max: GossipMessage.joinRequestSizeBytesMax))
        case .introduction:
            let key = try PublicKey(from: &reader)
            let credentials = try reader.list(max: GossipMessage.credentialsMax) {
                (reader) throws(CodecError) in try Rumour(from: &reader)
            }
            self = .introduction(key: key, credentials)
        }
    }

    private static func indirect(
        _ kind: Kind, from reader: inout ByteReader
    ) throws(CodecError) -> GossipMessage {
        let number = try reader.fixed64()
        let node = try NodeID(from: &reader)
        switch kind {
        case .pingRequest: return .pingRequest(number: number, target: node)
        case .indirectPing:
            return .indirectPing(number: number, origin: node, try rumours(from: &reader))
        default:
            let packet = Array(try reader.blob(max: forwardedSizeBytesMax))
            return .indirectAck(number: number, origin: node, packet: packet)
        }
    }

    private static func joinAnswer(
        _ kind: Kind, from reader: inout ByteReader
    ) throws(CodecError) -> GossipMessage {
        let key = try PublicKey(from: &reader)
        let number = try reader.fixed64()
        guard kind == .joinReply else {
            guard let refusal = JoinRefusal(rawValue: try reader.byte()) else { throw .malformed }
            return .joinRefused(key: key, number: number, refusal)
        }
        let genesis = try Genesis(from: &reader)
        return .joinReply(key: key, number: number, genesis, try rumours(from: &reader))
    }

    private static func rumours(
        from reader: inout ByteReader
    ) throws(CodecError) -> [Rumour] {
        try reader.list(max: rumoursMax) { (reader) throws(CodecError) in
            try Rumour(from: &reader)
        }
    }

    private var kind: Kind {
        switch self {
        case .ping: .ping
        case .ack: .ack
        case .pingRequest: .pingRequest
        case .indirectPing: .indirectPing
        case .indirectAck: .indirectAck
        case .nack: .nack
        case .rumours: .rumours
        case .exchange: .exchange
        case .challenge: .challenge
        case .challengeAnswer: .challengeAnswer
        case .lifeQuestion: .lifeQuestion
        case .lifeAnswer: .lifeAnswer
        case .refusal: .refusal
        case .wantAdmission: .wantAdmission
        case .application: .application
        case .joinRequest: .joinRequest
        case .joinReply: .joinReply
        case .joinRefused: .joinRefused
        case .passedOn: .passedOn
        case .introduction: .introduction
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
