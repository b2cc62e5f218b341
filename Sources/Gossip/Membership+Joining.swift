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
    /// What the seeds have said so far, when that may change.
    var refusal: JoinRefusal?

    /// The most seeds that are kept; more are not asked.
    static let seedsMax = 16
}

/// The joiner's side: a token is shown to a seed, which answers with the whole view.
extension Membership {
    mutating func beginJoin(
        seeds: [PeerAddress], token: JoinToken, emit: (GossipEffect) -> Void
    ) {
        guard ring == nil, !seeds.isEmpty else { return emit(.joinUnreachable) }
        joining = Joining(
            seeds: Array(seeds.prefix(Joining.seedsMax)), token: token, number: random.next(),
            due: now)
        continueJoin(emit: emit)
    }

    /// Asks the next seed, or gives up.
    mutating func continueJoin(emit: (GossipEffect) -> Void) {
        guard var joining, joining.due <= now else { return }
        guard joining.asked < max(configuration.joinAttemptsMax, joining.seeds.count) else {
            self.joining = nil
            return emit(joining.refusal.map(GossipEffect.joinRefused) ?? .joinUnreachable)
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
        let bytes = seal(
            GossipMessage.joinRequest(request).encoded, to: .none, cluster: cluster)
        emit(.send(bytes, to: seed, of: .none, via: .stream))
    }

    /// Before it belongs to a cluster, a node hears the answer to its own request and nothing else.
    mutating func receiveAsJoiner(
        _ bytes: [UInt8], via channel: Channel, emit: (GossipEffect) -> Void
    ) {
        guard let joining, channel == .stream,
            let envelope = Envelope.open(bytes, cluster: joining.token.cluster),
            let key = GossipMessage.strangerKey(in: envelope.payload),
            Envelope.isGenuine(bytes, by: key, to: id, via: .stream, scheme: scheme),
            let message = try? GossipMessage(decoding: envelope.payload)
        else { return emit(.dropped(reason: "not a member yet")) }
        switch message {
        case .joinReply(_, let number, let genesis, let view) where number == joining.number:
            complete(genesis, view, envelope, by: key, emit: emit)
        case .joinRefused(_, let number, let refusal)
        where number == joining.number && refusal.isProvisional:
            // News travels: the same seed may know it in a moment, and another one already. And who
            // was asked may answer.
            self.joining?.refusal = refusal
        case .joinRefused(_, let number, let refusal) where number == joining.number:
            self.joining = nil
            emit(.joinRefused(refusal))
        default:
            emit(.dropped(reason: "not a member yet"))
        }
    }

    private mutating func complete(
        _ genesis: Genesis, _ view: [Rumour], _ envelope: Envelope, by seed: PublicKey,
        emit: (GossipEffect) -> Void
    ) {
        // The token names the cluster by the hash of its founding: no other one can be slipped in,
        // and the chain of admissions must certify both the seed and this node.
        guard let joining, genesis.clusterID == joining.token.cluster else {
            return emit(.dropped(reason: "bad join reply"))
        }
        var candidate = KeyRing(genesis: genesis, scheme: scheme)
        candidate.mutation = configuration.mutation
        // Who voted when, a newcomer can't know. But it has come because it trusts whoever made its
        // token.
        var amendments: [AmendmentCertificate] = []
        if envelope.sender == joining.token.invitation.inviter {
            for case .amendment(let certificate) in view where candidate.amend(certificate) != nil {
                amendments.append(certificate)
            }
        }
        let (admissions, isForged) = candidate.add(
            contentsOf: view.compactMap { rumour in
                if case .admission(let admission) = rumour { admission } else { nil }
            })
        // Whoever has a key that was retired before the token was made is no maker of it.
        guard !isForged, candidate[envelope.sender] == seed, candidate[id] != nil,
            candidate.isInvitationValid(joining.token.invitation)
        else {
            return emit(.dropped(reason: "bad join reply"))
        }
        ring = candidate
        self.joining = nil
        var life = PeerLife()
        _ = life.settle(envelope.boot, above: envelope.counter)
        life.settledAt = now
        lives[envelope.sender] = life
        schedule = Schedule(
            probe: now + configuration.probeInterval, urgent: now, rumour: now,
            exchange: now + configuration.rumourInterval * (2 + random.fraction()),
            reconnect: now + configuration.reconnectInterval)
        for certificate in amendments { fingerprint ^= certificate.amendment.fingerprint }
        enter()
        emit(
            .persist(
                foundingRows + amendments.map(MembershipRows.amendment)
                    + admissions.map(MembershipRows.admission)))
        for certificate in amendments { emit(.amended(certificate.amendment)) }
        hear(view, from: envelope.sender, emit: emit)
        emit(.joined)
    }
}
