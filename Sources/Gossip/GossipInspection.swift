package import Model

/// Reads packets for people: nothing is verified, and nothing is decided by it.
package enum GossipInspection {
    /// What a packet says, and the payload when it is for another part of the node.
    ///
    /// Of datagrams those of simulated nodes alone can be read, whose veil hides nothing.
    package static func describe(
        _ bytes: [UInt8], via channel: Channel
    ) -> (text: String, payload: [UInt8]?) {
        guard var content = Envelope.payload(of: bytes) else { return ("no packet", nil) }
        if channel == .datagram { content = content.dropLast(DatagramVeil.overheadSizeBytes) }
        guard let message = try? GossipMessage(decoding: content) else {
            return ("unreadable", nil)
        }
        if case .application(let payload) = message { return ("", Array(payload)) }
        return (text(of: message), nil)
    }

    /// The first byte of what a packet says: its kind.
    ///
    /// Of simulated nodes; other ones' datagrams are veiled.
    package static func kind(of bytes: [UInt8]) -> UInt8? { Envelope.payload(of: bytes)?.first }

    /// The kind of a probe, and of what a newcomer's first packets are answered with.
    package static let (pingKind, challengeKind) = (
        GossipMessage.Kind.ping.rawValue, GossipMessage.Kind.challenge.rawValue
    )

    private static func text(of message: GossipMessage) -> String {
        switch message {
        case .ping(let number, _, let rumours): "ping \(short(number)) \(list(rumours))"
        case .ack(let number, _, let rumours): "ack \(short(number)) \(list(rumours))"
        case .pingRequest(let number, let target): "ping-req \(short(number)) of \(short(target))"
        case .indirectPing(let number, let origin, let rumours):
            "indirect-ping \(short(number)) for \(short(origin)) \(list(rumours))"
        case .indirectAck(let number, let origin, _):
            "indirect-ack \(short(number)) for \(short(origin))"
        case .nack(let number): "nack \(short(number))"
        case .rumours(let rumours): "rumours \(list(rumours))"
        case .exchange(let rumours, let wantsReply):
            "exchange\(wantsReply ? "?" : "") \(list(rumours))"
        case .challenge(let number, _): "challenge \(short(number))"
        case .challengeAnswer(let number, _): "challenge-answer \(short(number))"
        case .lifeQuestion(let number, let age): "life-question \(short(number)) of age \(age) ms"
        case .lifeAnswer(let number, let age): "life-answer \(short(number)) of age \(age) ms"
        case .refusal(let boot, let elder, _): "refusal of \(boot), for \(elder)"
        case .wantAdmission(let node): "want-admission of \(short(node))"
        case .application(let payload): "payload of \(payload.count) B"
        case .joinRequest: "join-request"
        case .joinReply: "join-reply"
        case .joinRefused(_, _, let refusal): "join-refused \(refusal)"
        case .passedOn: "passed-on join-request"
        case .introduction(_, let credentials): "introduction \(list(credentials))"
        }
    }

    private static func list(_ rumours: [Rumour]) -> String {
        "[" + rumours.prefix(12).map(text).joined(separator: ", ")
            + (rumours.count > 12 ? ", … \(rumours.count)" : "") + "]"
    }

    private static func text(of rumour: Rumour) -> String {
        switch rumour {
        case .alive(let alive): "alive \(short(alive.subject)):\(alive.incarnation)"
        case .leave(let leave): "leave \(short(leave.subject)):\(leave.incarnation)"
        case .suspect(let suspect):
            "suspect \(short(suspect.subject)):\(suspect.incarnation) by \(short(suspect.accuser))"
        case .admission(let admission): "admission \(short(admission.nodeKey.id))"
        case .amendment(let certificate):
            "amendment \(certificate.amendment.mark) by \(short(certificate.signer))"
        }
    }

    private static func short(_ number: UInt64) -> String { String(number & 0xFFFF, radix: 16) }
    private static func short(_ node: NodeID) -> String { String(node.description.prefix(4)) }
}

extension Membership {
    /// How many rumours wait to be told; at most `GossipConfiguration.rumoursMax`.
    package var rumourCount: Int { rumours.count }
}
