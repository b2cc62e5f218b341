import Model

/// What the memberships of two nodes say to each other.
enum GossipMessage: Sendable {
    /// Are you there? The number comes back. The view is `Membership.fingerprint`.
    case ping(number: UInt64, view: UInt64, [Rumour])
    /// I am: answers a ping.
    case ack(number: UInt64, view: UInt64, [Rumour])
    /// Ping that member for me.
    case pingRequest(number: UInt64, target: NodeID)
    /// A ping that the origin could not bring home; answer it by way of me.
    case indirectPing(number: UInt64, origin: NodeID, [Rumour])
    /// Answers an indirect ping: an `ack` packet, sealed for the origin, to be sent on as it is.
    /// The helper can neither make nor change it.
    case indirectAck(number: UInt64, origin: NodeID, packet: [UInt8])
    /// It has not answered me either, but I am there (Lifeguard §IV.A).
    case nack(number: UInt64)
    /// News.
    case rumours([Rumour])
    /// My whole view, or a page of it; send yours when `wantsReply`.
    case exchange([Rumour], wantsReply: Bool)
    /// Do you run under this boot ID? The number comes back.
    case challenge(number: UInt64, boot: BootID)
    /// I do; and a moment ago my counter stood at `floor`, so believe no packet before it.
    case challengeAnswer(number: UInt64, floor: UInt64)
    /// I lack this node's admission, or what it says of itself.
    case wantAdmission(NodeID)
    /// Is there a life of our key at this address? I have lived for so long. To another life of the
    /// sender's own key.
    case lifeQuestion(number: UInt64, ageMilliseconds: UInt64)
    /// There is, and it has lived for so long. The number comes back.
    case lifeAnswer(number: UInt64, ageMilliseconds: UInt64)
    /// That boot ID of yours is refused: an elder one is alive at that address.
    case refusal(of: BootID, elder: BootID, at: PeerAddress)
    /// For another part of the node.
    case application(ArraySlice<UInt8>)
    /// Let me in.
    case joinRequest(JoinRequest)
    /// You are in: the founding record, and the first page of the whole view.
    case joinReply(key: PublicKey, number: UInt64, Genesis, [Rumour])
    /// You are not let in.
    case joinRefused(key: PublicKey, number: UInt64, JoinRefusal)
    /// Somebody showed me a token that you have made: a whole packet with a `joinRequest`, as it came.
    case passedOn(ArraySlice<UInt8>)

    /// This is why I am a member, why I have this key by now, or why you are not heard: admissions,
    /// amendments, and my own word; signed with the key.
    case introduction(key: PublicKey, [Rumour])

    /// What a joiner shows.
    struct JoinRequest: Sendable {
        /// The joiner's key; first in the payload, since the signature is checked before parsing.
        var key: PublicKey
        var number: UInt64
        var invitation: JoinToken.Invitation
        var tokenSignature: [UInt8]
        var alive: AliveStatement
    }

    /// The numbers stand on the wire and never change their meaning.
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
        case indirectPing = 14
        case indirectAck = 15
        case lifeQuestion = 16
        case lifeAnswer = 17
        case refusal = 18
        case passedOn = 19
        case introduction = 20

        /// Whether the sender's key may be unknown yet; it comes first in the payload.
        var isStrangers: Bool {
            switch self {
            case .joinRequest, .joinReply, .joinRefused, .introduction: true
            default: false
            }
        }
    }

    /// The most rumours in one message.
    static let rumoursMax = 4 * KeyRing.membersMax
    /// The most rumours in an introduction.
    static let credentialsMax = 1_024
    /// How many bytes an introduction may take, or what a node is told of itself; the largest
    /// amendment fits.
    static let introductionSizeBytesMax = 80 << 10
    /// The most admissions among them, of some 340 bytes each: a node's own, and those of its nearest
    /// ancestors.
    static let admissionsShownMax = 48
    /// The largest ack that is sent on, in bytes; it fits a datagram with the message around it.
    static let forwardedSizeBytesMax = 512
    /// The largest request to join that is passed on, in bytes: its signatures, keys and numbers,
    /// and metadata of the largest size.
    static let joinRequestSizeBytesMax = 1_024 + NodeMetadata.sizeBytesMax

    /// Whether a member introduces itself: to one who may not know its newest key, or it.
    static func isIntroduction(_ payload: ArraySlice<UInt8>) -> Bool {
        payload.first == Kind.introduction.rawValue
    }

    /// The key that a stranger claims, at its fixed place; `nil` when this is no stranger's message.
    static func strangerKey(in payload: ArraySlice<UInt8>) -> PublicKey? {
        guard let first = payload.first, Kind(rawValue: first)?.isStrangers == true,
            payload.count > PublicKey.sizeBytes
        else { return nil }
        return PublicKey(bytes: Array(payload.dropFirst().prefix(PublicKey.sizeBytes)))
    }
}
