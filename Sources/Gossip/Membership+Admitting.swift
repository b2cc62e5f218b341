import Model

/// The seed's side: strangers get no answer, except to a request to join by stream.
extension Membership {
    /// Somebody of whose admission nothing is known: only a request to join, or who shows its admission,
    /// is heard, on a stream.
    mutating func receiveStranger(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        guard packet.channel == .stream,
            let key = GossipMessage.strangerKey(in: envelope.payload), key.id == envelope.sender
        else {
            askForAdmission(of: envelope.sender, emit: emit)
            return emit(.dropped(reason: "unknown sender"))
        }
        guard !GossipMessage.isIntroduction(envelope.payload) else {
            return receiveIntroduction(envelope, packet, emit: emit)
        }
        guard let request = joinRequest(in: packet.bytes, by: key) else {
            return emit(.dropped(reason: "unknown sender"))
        }
        guard strangers.admits(at: now) else { return emit(.dropped(reason: "busy")) }
        answerJoiner(request, packet.bytes, emit: emit)
    }

    /// Lets a joiner in, has it let in, or tells it why not.
    mutating func answerJoiner(
        _ request: GossipMessage.JoinRequest, _ packet: [UInt8], emit: (GossipEffect) -> Void
    ) {
        do {
            try admit(request, packet, emit: emit)
        } catch {
            refuse(request, error, emit: emit)
        }
    }

    /// A request to join another cluster is answered too, so that the joiner can say what is wrong.
    mutating func receiveForeign(
        _ bytes: [UInt8], via channel: Channel, emit: (GossipEffect) -> Void
    ) {
        guard channel == .stream, let payload = Envelope.payload(of: bytes),
            let key = GossipMessage.strangerKey(in: payload),
            let request = joinRequest(in: bytes, by: key)
        else { return emit(.dropped(reason: "foreign")) }
        guard strangers.admits(at: now) else { return emit(.dropped(reason: "busy")) }
        refuse(request, .wrongCluster, emit: emit)
    }

    /// Reads a request that the owner of `key` has signed.
    func joinRequest(
        in bytes: [UInt8], by key: PublicKey
    ) -> GossipMessage.JoinRequest? {
        guard Envelope.isGenuine(bytes, by: key, to: .none, via: .stream, scheme: scheme),
            let payload = Envelope.payload(of: bytes),
            case .joinRequest(let request)? = try? GossipMessage(decoding: payload)
        else { return nil }
        return request
    }

    /// A sender that is unknown here may be known to others: rumours reach most nodes, not all.
    ///
    /// The sender itself gets no answer, and a flood of strangers makes few questions.
    mutating func askForAdmission(of node: NodeID, emit: (GossipEffect) -> Void) {
        guard now >= nextAdmissionAsk else { return }
        nextAdmissionAsk = now + Membership.admissionAskInterval
        // A member with a new key can show it itself, and may not know of this node's.
        transmit(.wantAdmission(node), to: node, via: .datagram, emit: emit)
        introduce(to: node, emit: emit)
        guard let member = drawOther() else { return }
        transmit(.wantAdmission(node), to: member, via: .datagram, emit: emit)
    }

    /// How often a node asks others for the admission of an unknown sender at most.
    static let admissionAskInterval: Duration = .milliseconds(50)

    private mutating func admit(
        _ request: GossipMessage.JoinRequest, _ packet: [UInt8], emit: (GossipEffect) -> Void
    ) throws(JoinRefusal) {
        guard let ring else { return }
        let joiner = request.key.id
        guard !ring.isEvicted(joiner) else { throw .evicted }
        guard joiner != id, request.alive.subject == joiner,
            (try? NodeMetadata(decoding: request.alive.metadata)) != nil,
            scheme.verify(
                request.alive.signature[...], of: request.alive.statement(in: ring.cluster),
                by: request.key)
        else { throw .malformed }
        if let known = ring[joiner] {
            guard known == request.key else { throw .retiredKey }
        } else {
            try certify(request, packet, in: ring, emit: emit)
        }
        hear([.alive(request.alive)], from: nil, emit: emit)
        sendFirstView(to: request, emit: emit)
    }

    private mutating func certify(
        _ request: GossipMessage.JoinRequest, _ packet: [UInt8], in ring: KeyRing,
        emit: (GossipEffect) -> Void
    ) throws(JoinRefusal) {
        guard request.invitation.cluster == ring.cluster else { throw .wrongCluster }
        guard !ring.isEvicted(request.invitation.inviter) else { throw .evictedInviter }
        guard ring[request.invitation.inviter] != nil else {
            // Perhaps the inviter has joined a moment ago; others know.
            askForAdmission(of: request.invitation.inviter, emit: emit)
            throw .unknownInviter
        }
        guard ring.isInvitationValid(request.invitation),
            scheme.verify(
                request.tokenSignature[...],
                of: Admission.tokenStatement(nodeKey: request.key, cluster: ring.cluster),
                by: request.invitation.tokenKey)
        else { throw .badToken }
        if request.invitation.inviter == id {
            try checkOwnToken(request.invitation, in: ring)
        } else if configuration.mutation != .admitsByAnyToken {
            return try passOn(request, packet, emit: emit)
        }
        // What the present key signs now would not be among what it leaves behind.
        guard !isRenewing else { throw .inviterAsked }
        guard !ring.isFull else { throw .full }
        var admission = Admission(
            nodeKey: request.key, invitation: request.invitation,
            tokenSignature: request.tokenSignature, admitter: id)
        admission.signature = key.sign(admission.statement)
        guard self.ring?.add(admission) == .added else { throw .badToken }
        emit(.persist([MembershipRows.admission(admission)]))
        spread(.admission(admission))
    }

    /// The first page certifies the joiner and this node; more follow as to any member.
    private mutating func sendFirstView(
        to request: GossipMessage.JoinRequest, emit: (GossipEffect) -> Void
    ) {
        guard let ring else { return }
        let joiner = request.key.id
        let mine = ring.chain(of: id)
        let sent = Set(mine.map(\.nodeKey.id))
        let theirs = ring.chain(of: joiner).filter { !sent.contains($0.nodeKey.id) }
        let pages = viewPages(beginningWith: mine + theirs)
        let reply = GossipMessage.joinReply(
            key: key.publicKey, number: request.number, ring.genesis, pages[0])
        let bytes = seal(reply.encoded, to: joiner, cluster: ring.cluster)
        emit(.send(bytes, to: request.alive.address, of: joiner, via: .stream))
        for page in pages.dropFirst() {
            transmit(
                .exchange(page, wantsReply: false), to: joiner, via: .stream, emit: emit)
        }
    }

    private mutating func refuse(
        _ request: GossipMessage.JoinRequest, _ refusal: JoinRefusal,
        emit: (GossipEffect) -> Void
    ) {
        // Sealed for the cluster that the joiner asked for: it listens to no other.
        let message = GossipMessage.joinRefused(
            key: key.publicKey, number: request.number, refusal)
        let bytes = seal(
            message.encoded, to: request.key.id, cluster: request.invitation.cluster)
        // Whatever key answers: who is refused may have one that was retired, and this is no secret.
        emit(.send(bytes, to: request.alive.address, of: .none, via: .stream))
        emit(.dropped(reason: "join refused"))
    }
}
