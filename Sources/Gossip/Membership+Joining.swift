import Model

/// A join that is under way.
struct Joining: Sendable {
    var seeds: [PeerAddress]
    var token: JoinToken
    /// Comes back in the answer, so that an old answer is inert.
    var number: UInt64
    var asked = 0
    /// When the next seed is asked, or the join given up.
    var due: Instant
}

/// Joining: shown a token, checked by a seed, answered with the whole view.
extension Membership {
    mutating func beginJoin(
        seeds: [PeerAddress], token: JoinToken, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard ring == nil, !seeds.isEmpty else { return emit(.joinUnreachable) }
        joining = Joining(seeds: seeds, token: token, number: random.next(), due: now)
        continueJoin(at: now, emit: emit)
    }

    /// Asks the next seed, or gives up.
    mutating func continueJoin(at now: Instant, emit: (GossipEffect) -> Void) {
        guard var joining, joining.due <= now else { return }
        guard joining.asked < configuration.joinAttemptsMax else {
            self.joining = nil
            return emit(.joinUnreachable)
        }
        let seed = joining.seeds[joining.asked % joining.seeds.count]
        joining.asked += 1
        joining.due = now + configuration.joinTimeout
        self.joining = joining
        let cluster = joining.token.cluster
        own.signature = key.sign(own.statement(in: cluster))
        let tokenSecret = scheme.keyPair(seed: joining.token.seed).secret
        let request = GossipMessage.JoinRequest(
            key: key.publicKey, number: joining.number, invitation: joining.token.invitation,
            tokenSignature: scheme.sign(
                Admission.tokenStatement(nodeKey: key.publicKey, cluster: cluster),
                secret: tokenSecret),
            alive: own)
        counter += 1
        let bytes = Envelope.seal(
            GossipMessage.joinRequest(request).encoded, by: key, boot: boot, counter: counter,
            cluster: cluster, to: .none)
        emit(.send(bytes, to: seed, via: .stream))
    }

    // MARK: The seed

    /// Somebody whom nobody has admitted: only a request to join is heard, on a stream.
    mutating func receiveStranger(
        _ envelope: Envelope, _ bytes: [UInt8], via channel: Channel, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        guard channel == .stream, let key = GossipMessage.strangerKey(in: envelope.payload),
            key.id == envelope.sender,
            Envelope.isGenuine(bytes, by: key, to: .none, scheme: scheme),
            case .joinRequest(let request)? = try? GossipMessage(decoding: envelope.payload)
        else {
            askForAdmission(of: envelope.sender, at: now, emit: emit)
            return emit(.dropped(reason: "unknown sender"))
        }
        do {
            try admit(request, at: now, emit: emit)
        } catch {
            refuse(request, error, emit: emit)
        }
    }

    /// A sender that is unknown here may be known to others: rumours reach most nodes, not all.
    ///
    /// The sender itself gets no answer, and a flood of strangers makes few questions.
    private mutating func askForAdmission(
        of node: NodeID, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard now >= nextAdmissionAsk else { return }
        nextAdmissionAsk = now + Membership.admissionAskInterval
        let known = order.filter { $0 != id && table[$0]?.state.isProbed == true }
        guard let member = known.randomElement(using: &random) else { return }
        transmit(.wantAdmission(node), to: member, via: .datagram, emit: emit)
    }

    /// How often a node asks others for the admission of an unknown sender at most.
    static let admissionAskInterval: Duration = .milliseconds(50)

    /// A request to join another cluster is answered too, so that the joiner can say what is wrong.
    mutating func receiveForeign(
        _ bytes: [UInt8], via channel: Channel, emit: (GossipEffect) -> Void
    ) {
        guard channel == .stream, bytes.count > Envelope.overheadSizeBytes,
            let key = GossipMessage.strangerKey(in: Envelope.payload(of: bytes)),
            Envelope.isGenuine(bytes, by: key, to: .none, scheme: scheme),
            case .joinRequest(let request)? = try? GossipMessage(
                decoding: Envelope.payload(of: bytes))
        else { return emit(.dropped(reason: "foreign")) }
        refuse(request, .wrongCluster, emit: emit)
    }

    private mutating func admit(
        _ request: GossipMessage.JoinRequest, at now: Instant, emit: (GossipEffect) -> Void
    ) throws(JoinRefusal) {
        guard let ring else { return }
        let joiner = request.key.id
        guard joiner != id, request.alive.subject == joiner,
            (try? NodeMetadata(decoding: request.alive.metadata)) != nil,
            scheme.verify(
                request.alive.signature[...], of: request.alive.statement(in: ring.cluster),
                by: request.key)
        else { throw .malformed }
        if ring[joiner] == nil {
            guard request.invitation.cluster == ring.cluster else { throw .wrongCluster }
            guard ring.isInvitationValid(request.invitation) else { throw .badToken }
            guard wallTime(at: now) < request.invitation.expiry else { throw .expiredToken }
            guard !ring.isFull else { throw .full }
            var admission = Admission(
                nodeKey: request.key, invitation: request.invitation,
                tokenSignature: request.tokenSignature, admitter: id)
            admission.signature = key.sign(admission.statement)
            guard self.ring?.add(admission) == true else { throw .badToken }
            emit(.persist([MembershipRows.admission(admission)]))
            spread(.admission(admission), at: now)
        }
        hear([.alive(request.alive)], from: nil, at: now, emit: emit)
        let reply = GossipMessage.joinReply(
            key: key.publicKey, number: request.number, ring.genesis, wholeView())
        sendToStranger(reply, joiner, at: request.alive.address, cluster: ring.cluster, emit: emit)
    }

    private mutating func refuse(
        _ request: GossipMessage.JoinRequest, _ refusal: JoinRefusal,
        emit: (GossipEffect) -> Void
    ) {
        // Sealed for the cluster that the joiner asked for: it listens to no other.
        sendToStranger(
            .joinRefused(key: key.publicKey, number: request.number, refusal), request.key.id,
            at: request.alive.address, cluster: request.invitation.cluster, emit: emit)
    }

    private mutating func sendToStranger(
        _ message: GossipMessage, _ receiver: NodeID, at address: PeerAddress, cluster: ClusterID,
        emit: (GossipEffect) -> Void
    ) {
        counter += 1
        let bytes = Envelope.seal(
            message.encoded, by: key, boot: boot, counter: counter, cluster: cluster,
            to: receiver)
        emit(.send(bytes, to: address, via: .stream))
    }

    // MARK: The joiner

    /// Before it belongs to a cluster, a node hears the answer to its own request and nothing else.
    mutating func receiveAsJoiner(
        _ bytes: [UInt8], at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard let joining, let envelope = Envelope.open(bytes, cluster: joining.token.cluster),
            let key = GossipMessage.strangerKey(in: envelope.payload), key.id == envelope.sender,
            Envelope.isGenuine(bytes, by: key, to: id, scheme: scheme),
            let message = try? GossipMessage(decoding: envelope.payload)
        else { return emit(.dropped(reason: "not a member yet")) }
        switch message {
        case .joinReply(_, let number, let genesis, let view) where number == joining.number:
            complete(genesis, view, envelope, at: now, emit: emit)
        case .joinRefused(_, let number, let refusal) where number == joining.number:
            self.joining = nil
            emit(.joinRefused(refusal))
        default:
            emit(.dropped(reason: "not a member yet"))
        }
    }

    private mutating func complete(
        _ genesis: Genesis, _ view: [Rumour], _ envelope: Envelope, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        // The token names the cluster by the hash of its founding: no other one can be slipped in,
        // and the chain of admissions must certify both the seed and this node.
        guard let joining, genesis.clusterID == joining.token.cluster else {
            return emit(.dropped(reason: "bad join reply"))
        }
        var candidate = KeyRing(genesis: genesis, scheme: scheme)
        let admissions = candidate.add(
            contentsOf: view.compactMap { rumour in
                if case .admission(let admission) = rumour { admission } else { nil }
            })
        guard candidate[envelope.sender] != nil, candidate[id] != nil else {
            return emit(.dropped(reason: "bad join reply"))
        }
        ring = candidate
        self.joining = nil
        var life = PeerLife(boot: envelope.boot)
        life.window.insert(envelope.counter)
        lives[envelope.sender] = life
        schedule = Schedule(
            probe: now + configuration.probeInterval, rumour: now,
            exchange: now + configuration.probeInterval,
            reconnect: now + configuration.reconnectInterval)
        enter(at: now)
        emit(.persist(foundingRows + admissions.map(MembershipRows.admission)))
        hear(view, from: envelope.sender, at: now, emit: emit)
        emit(.joined)
    }
}

extension Envelope {
    /// The payload of bytes that are long enough, whatever else they are.
    static func payload(of bytes: [UInt8]) -> ArraySlice<UInt8> {
        bytes[headerSizeBytes..<(bytes.count - Signature.sizeBytes)]
    }
}
