import Model

/// Which of two lives of a member is believed: the one that was known first, as long as it lives.
///
/// A newcomer that answers from the known life's own address has taken its place: there is no room
/// for two. Otherwise the known life is asked, and has `lifeTimeout` to answer. When it does, the
/// newcomer is a clone, and told so; when not, it is over.
extension Membership {
    /// The life of a member that others would displace.
    struct Incumbent {
        var boot: BootID
        var address: PeerAddress
    }

    /// The life of a member that is known here, at first hand or else by its word.
    func incumbent(of node: NodeID) -> Incumbent? {
        guard configuration.mutation != .believesNewest, table[node]?.state != .left else {
            return nil
        }
        let alive = table[node]?.alive
        guard let boot = lives[node]?.boot ?? alive?.boot,
            let address = alive?.boot == boot ? alive?.address : lives[node]?.source
        else { return nil }
        return Incumbent(boot: boot, address: address)
    }

    /// A boot ID that was not believed yet has answered; returns whether it is believed now.
    mutating func proved(
        _ envelope: Envelope, above floor: UInt64, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) -> Bool {
        let proof = PeerLife.Proof(
            at: now, floor: floor, counter: envelope.counter, source: packet.source,
            channel: packet.channel)
        guard let incumbent = incumbent(of: envelope.sender), incumbent.boot != envelope.boot,
            !isInPlace(of: incumbent, envelope.sender, packet)
        else {
            accept(envelope.boot, of: envelope.sender, proof, emit: emit)
            return true
        }
        lives[envelope.sender, default: PeerLife()].prove(envelope.boot, proof)
        inquire(about: envelope.sender, incumbent, emit: emit)
        return false
    }

    /// Whether an answer came from where the known life was.
    ///
    /// Questions by stream go nowhere else.
    private func isInPlace(
        of incumbent: Incumbent, _ node: NodeID, _ packet: PeerLife.Held
    ) -> Bool {
        switch packet.channel {
        case .datagram:
            packet.source == incumbent.address || packet.source == lives[node]?.source
        case .stream: table[node]?.alive.address == incumbent.address
        }
    }

    /// Whether a member's word was said in a life that has to wait for another one's end.
    ///
    /// If so, it is seen to.
    mutating func isContested(_ alive: AliveStatement, emit: (GossipEffect) -> Void) -> Bool {
        guard let incumbent = incumbent(of: alive.subject), incumbent.boot != alive.boot,
            table[alive.subject]?.alive.boot != alive.boot
        else { return false }
        if lives[alive.subject]?.isRetired(alive.boot) == true {
            // It was known first. Perhaps it is not over at all.
            question(alive.boot, of: alive.subject, at: alive.address, emit: emit)
            return true
        }
        guard alive.address != incumbent.address else { return false }
        inquire(about: alive.subject, incumbent, emit: emit)
        inquiries.contend(alive)
        return true
    }

    /// Asks the known life of a node whether it is still there; not without a pause.
    private mutating func inquire(
        about node: NodeID, _ incumbent: Incumbent, emit: (GossipEffect) -> Void
    ) {
        guard inquiries[node] == nil else { return }
        if let last = lives[node]?.vouchedAt, now - last < configuration.lifeTimeout { return }
        let number = configuration.mutation == .believesOldAnswers ? 1 : random.next()
        let inquiry = Inquiry(
            node: node, boot: incumbent.boot, address: incumbent.address, number: number,
            begun: now, endsAt: now + configuration.lifeTimeout, nextAsk: now)
        guard inquiries.begin(inquiry) else { return emit(.dropped(reason: "busy")) }
        ask(inquiry, emit: emit)
    }

    private mutating func ask(_ inquiry: Inquiry, emit: (GossipEffect) -> Void) {
        let message = GossipMessage.challenge(number: inquiry.number, boot: inquiry.boot).encoded
        // Once by stream, too: datagrams alone may be what is lost.
        for channel in inquiry.asked == 0 ? [Channel.datagram, .stream] : [.datagram] {
            guard let bytes = seal(message, to: inquiry.node, via: channel) else { continue }
            emit(.send(bytes, to: inquiry.address, of: inquiry.node, via: channel))
        }
        inquiries.ask(
            inquiry.node, at: now, interval: configuration.lifeTimeout / Inquiry.asksMax)
    }

    /// Asks again, or ends an inquiry that nobody has answered.
    mutating func checkInquiries(emit: (GossipEffect) -> Void) {
        for inquiry in inquiries.due(at: now) {
            if inquiry.endsAt <= now {
                succeed(inquiry, emit: emit)
            } else {
                ask(inquiry, emit: emit)
            }
        }
    }

    /// The known life is silent: another one takes its place.
    private mutating func succeed(_ inquiry: Inquiry, emit: (GossipEffect) -> Void) {
        inquiries.end(inquiry.node)
        let proven = (lives[inquiry.node]?.pending ?? []).compactMap { pending in
            pending.proof.map { (boot: pending.boot, proof: $0) }
        }
        if let newest = proven.max(by: { $0.proof.at < $1.proof.at }) {
            accept(newest.boot, of: inquiry.node, newest.proof, emit: emit)
        }
        if let contender = inquiry.contender { takeOver(contender, emit: emit) }
        if let boot = lives[inquiry.node]?.boot, boot != table[inquiry.node]?.alive.boot {
            ask(inquiry.node, for: inquiry.node, at: lives[inquiry.node]?.source, emit: emit)
        }
    }

    /// Whether this answers the inquiry about its sender; if so, others that use its key are told.
    mutating func vouches(
        _ number: UInt64, _ floor: UInt64, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let inquiry = inquiries[envelope.sender], inquiry.number == number,
            inquiry.boot == envelope.boot
        else { return false }
        inquiries.end(inquiry.node)
        let clones = (lives[inquiry.node]?.pending ?? []).filter { pending in
            // Who was heard of later may have followed it.
            pending.boot != inquiry.boot && pending.proof.map { $0.at <= inquiry.begun } ?? false
        }
        if lives[inquiry.node]?.boot != inquiry.boot {
            let proof = PeerLife.Proof(
                at: now, floor: min(floor, envelope.counter - 1), counter: envelope.counter,
                source: packet.source, channel: packet.channel)
            accept(inquiry.boot, of: inquiry.node, proof, emit: emit)
        }
        lives[inquiry.node]?.take(envelope.counter, via: packet.channel)
        heard(from: inquiry.node)
        lives[inquiry.node]?.vouch(at: now)
        for clone in clones {
            emit(.dropped(reason: "clone"))
            guard let proof = clone.proof, proof.channel == .datagram else { continue }
            refuse(clone.boot, of: inquiry.node, at: proof.source, emit: emit)
        }
        if let contender = inquiry.contender {
            // So that it outdoes what was said in its name.
            transmit(
                .rumours([.alive(contender)]), to: inquiry.node, via: .datagram, emit: emit)
        }
        return true
    }

    /// Tells a life of a member that an elder one is alive.
    ///
    /// It has answered from that address: nobody is flooded.
    mutating func refuse(
        _ clone: BootID, of node: NodeID, at address: PeerAddress, emit: (GossipEffect) -> Void
    ) {
        guard let elder = incumbent(of: node), elder.boot != clone else { return }
        let message = GossipMessage.refusal(of: clone, elder: elder.boot, at: elder.address)
        guard let bytes = seal(message.encoded, to: node, via: .datagram) else { return }
        emit(.send(bytes, to: address, of: node, via: .datagram))
    }
}
