package import Model

/// Changes of the ring of keys: agreed on by the lock, told by its voters, and never taken back.
extension Membership {
    // MARK: Queries

    /// The fingerprint of all amendments that this node knows.
    package var amendmentsFingerprint: UInt64 {
        amendments.reduce(0) { $0 ^ $1.fingerprint }
    }

    /// All amendments that this node knows, the earliest first.
    package var amendments: [Amendment] { ring?.amendments.map(\.amendment) ?? [] }

    /// What has shut this node itself out.
    package var shutOut: Amendment? { eviction(of: id) }

    /// What has shut a node out.
    package func eviction(of node: NodeID) -> Amendment? { ring?.eviction(of: node) }

    /// Whom an eviction of a node is to name: with a cascade everybody whom it let in, directly or by
    /// way of others; else those stay whom it let in itself.
    package func plannedEviction(
        of node: NodeID, isCascading: Bool, at now: Instant
    ) -> Eviction {
        let cascade = isCascading ? ring?.letIn(by: [node], isTransitive: true) ?? [] : []
        let nodes = [node] + cascade.filter { ring?.isEvicted($0) == false }
        let spared = isCascading ? [] : ring?.letIn(by: nodes, isTransitive: false) ?? []
        return Eviction(nodes: nodes, spared: spared, author: id, time: wallTime(at: now))
    }

    // MARK: Events

    /// This node's own log says so: it signs that for the others.
    mutating func agreed(_ amendment: Amendment, emit: (GossipEffect) -> Void) {
        guard ring?.knows(amendment.mark) == false,
            let certificate = certificate(of: amendment)
        else { return }
        // Those whom it concerns: it is the last word from here to who is shut out.
        let concerned = amendment.evicted + [amendment.renewed].compactMap { $0 }
        for node in concerned where ring?[node] != nil {
            transmit(.rumours([.amendment(certificate)]), to: node, via: .stream, emit: emit)
        }
        take(certificate, emit: emit)
    }

    /// This node's lock knows who votes; what it knew last is still good after a restart.
    mutating func heard(ofVoters list: [NodeID], emit: (GossipEffect) -> Void) {
        guard !list.isEmpty, voters != Set(list) else { return }
        voters = Set(list)
        if isMember { emit(.persist([MembershipRows.voters(list.sorted())])) }
    }

    /// Shows amendments that stand in this node's log to a member that lacks some.
    mutating func show(
        _ amendments: [Amendment], to member: NodeID, emit: (GossipEffect) -> Void
    ) {
        for amendment in amendments {
            guard let certificate = certificate(of: amendment) else { return }
            transmit(.rumours([.amendment(certificate)]), to: member, via: .stream, emit: emit)
        }
    }

    /// What this node shows of the keys and the end of a node.
    ///
    /// A voter signs what is about others itself, under the key that all know: who was away may not know
    /// the voter that everybody has heard of it from.
    func certificates(about node: NodeID) -> [AmendmentCertificate] {
        guard let ring else { return [] }
        let known = ring.certificates(about: node)
        guard node != id, voters.contains(id), ring.certificates(about: id).isEmpty else {
            return known
        }
        return known.map { certificate(of: $0.amendment) ?? $0 }
    }

    private func certificate(of amendment: Amendment) -> AmendmentCertificate? {
        guard let ring else { return nil }
        var certificate = AmendmentCertificate(amendment: amendment, signer: id)
        certificate.signature = key.sign(certificate.statement(in: ring.cluster))
        return certificate
    }

    /// Somebody tells of an amendment; returns whether that is genuine, or of no interest.
    ///
    /// Of who votes each node hears from the lock's leader. Whose signer is not known to vote, that
    /// one is passed over: the leader will show it.
    mutating func heard(
        _ certificate: AmendmentCertificate, emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let ring, !ring.knows(certificate.amendment.mark) else { return true }
        if isOwnSuccession(certificate.amendment) {
            take(certificate, emit: emit)
            return true
        }
        guard
            voters.contains(certificate.signer)
                || configuration.mutation == .believesAnyAmendment,
            ring[certificate.signer] != nil
        else { return true }
        guard
            ring.verify(
                certificate.signature, of: certificate.statement(in: ring.cluster),
                by: certificate.signer)
        else {
            // Under a key that the voter has renewed since: the leader will show it.
            return ring.verify(
                certificate.signature, of: certificate.statement(in: ring.cluster),
                byFormer: certificate.signer)
        }
        take(certificate, emit: emit)
        return true
    }

    private mutating func take(
        _ certificate: AmendmentCertificate, emit: (GossipEffect) -> Void
    ) {
        let amendment = certificate.amendment
        guard let void = ring?.amend(certificate) else { return }
        fingerprint ^= amendment.fingerprint
        emit(.persist([MembershipRows.amendment(certificate)]))
        guard shutOut == nil else { return beShutOut(by: amendment, emit: emit) }
        for node in (amendment.evicted + void).sorted() { shut(node, emit: emit) }
        // Everybody tells a few others once; what that misses, fingerprints and the lock find. Of its own
        // new key a node tells all, under the old one.
        let isOwn = amendment.renewed == id
        let listeners = drawOthers(isOwn ? Membership.goodbyesMax : Membership.amendmentFanout)
        for listener in listeners {
            transmit(
                .rumours([.amendment(certificate)]), to: listener, via: isOwn ? .stream : .datagram,
                emit: emit)
        }
        if isOwn { renewKey(emit: emit) }
        guard !isStopped else { return }
        emit(.amended(amendment))
    }

    /// How many members each one tells of an amendment.
    static let amendmentFanout = 6

    private mutating func shut(_ node: NodeID, emit: (GossipEffect) -> Void) {
        lives[node] = nil
        inquiries.end(node)
        refusers.remove(node)
        guard var member = table[node], member.state != .evicted else { return }
        member.suspicion = nil
        member.accusation = nil
        member.doubters = []
        change(&member, to: .evicted, emit: emit)
    }

    private mutating func beShutOut(by amendment: Amendment, emit: (GossipEffect) -> Void) {
        isStopped = true
        if var member = table[id] { change(&member, to: .evicted, emit: emit) }
        emit(.shutOut(amendment))
    }

    // MARK: Those who are shut out

    /// Whatever comes from somebody who is shut out is dropped unread, but for a wish to join: that
    /// one is answered, so that a person learns why it is in vain.
    mutating func receiveEvicted(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        guard packet.channel == .stream else { return emit(.dropped(reason: "evicted")) }
        if GossipMessage.strangerKey(in: envelope.payload) != nil,
            !GossipMessage.isIntroduction(envelope.payload)
        {
            return receiveStranger(envelope, packet, emit: emit)
        }
        emit(.dropped(reason: "evicted"))
        tellAbout(envelope.sender, as: envelope, emit: emit)
    }

    /// Where somebody who is shut out says that it listens, as it introduces itself: the copy of a disk may
    /// be elsewhere than its node was.
    private func ownAddress(in envelope: Envelope) -> PeerAddress? {
        guard let ring, GossipMessage.isIntroduction(envelope.payload),
            case .introduction(_, let credentials)? = try? GossipMessage(
                decoding: envelope.payload)
        else { return nil }
        for case .alive(let word) in credentials where word.subject == envelope.sender {
            let isGenuine = ring.verify(
                word.signature, of: word.statement(in: ring.cluster), byFormer: word.subject)
            return isGenuine ? word.address : nil
        }
        return nil
    }

    /// A node that has not heard of it goes on asking: it is told where it is known to be, and where
    /// a flood in its name would come to nothing.
    ///
    /// Whatever key it shows: amendments are no secret.
    mutating func tellAbout(
        _ node: NodeID, as envelope: Envelope? = nil, emit: (GossipEffect) -> Void
    ) {
        guard lastWords.admits(at: now),
            let address = envelope.flatMap(ownAddress) ?? table.address(of: node),
            let message = introduction(about: node),
            let bytes = seal(message.encoded, to: node, via: .stream)
        else { return }
        emit(.send(bytes, to: address, of: .none, via: .stream))
    }

    /// What somebody said of itself before it was shut out: kept to be shown, and for nothing else.
    mutating func heardOfEvicted(
        _ alive: AliveStatement, emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let ring, table.state(of: alive.subject) == nil else { return true }
        guard
            ring.verify(
                alive.signature, of: alive.statement(in: ring.cluster), byFormer: alive.subject)
        else { return false }
        guard placeEvicted(alive) else { return true }
        emit(.persist([MembershipRows.member(alive)]))
        if let info = table[alive.subject]?.info { emit(.memberChanged(info, previous: nil)) }
        return true
    }

    /// Puts somebody who is shut out into the table; returns whether its description can be read.
    @discardableResult
    mutating func placeEvicted(_ alive: AliveStatement) -> Bool {
        guard let metadata = try? NodeMetadata(decoding: alive.metadata) else { return false }
        place(Member(alive: alive, metadata: metadata, state: .evicted, stateSince: now))
        return true
    }

    /// Whether others are told what a node said of itself: not of whom nobody vouches any more.
    func isShown(_ node: NodeID) -> Bool {
        ring.map { $0[node] != nil || $0.isEvicted(node) } ?? false
    }
}
