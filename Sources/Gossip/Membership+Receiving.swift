import Model

/// Packets come in here: rate, genuineness, freshness, and only then what they say.
extension Membership {
    mutating func receive(
        _ bytes: [UInt8], from source: PeerAddress, via channel: Channel,
        emit: (GossipEffect) -> Void
    ) {
        let sizeMax =
            channel == .datagram ? Channel.datagramSizeBytesMax : Channel.frameSizeBytesMax
        guard bytes.count <= sizeMax else { return emit(.dropped(reason: "oversize")) }
        guard !isDeaf else { return }
        let isAdmitted =
            switch channel {
            case .datagram: datagramLimiter.admits(source, at: now)
            case .stream: streamLimiter.admits(source, at: now)
            }
        guard isAdmitted else { return emit(.dropped(reason: "rate")) }
        open(PeerLife.Held(bytes: bytes, source: source, channel: channel), emit: emit)
    }

    /// Looks into a packet whose sender may send as many as it does.
    mutating func open(_ packet: PeerLife.Held, emit: (GossipEffect) -> Void) {
        // The ring is not held meanwhile: what changes it would have to copy it.
        guard let cluster = ring?.cluster else {
            return receiveAsJoiner(packet.bytes, via: packet.channel, emit: emit)
        }
        guard let envelope = Envelope.open(packet.bytes, cluster: cluster) else {
            return receiveForeign(packet.bytes, via: packet.channel, emit: emit)
        }
        guard ring?.isEvicted(envelope.sender) == false else {
            return receiveEvicted(envelope, packet, emit: emit)
        }
        guard let sender = ring?[envelope.sender] else {
            return receiveStranger(envelope, packet, emit: emit)
        }
        if packet.channel == .stream, GossipMessage.isIntroduction(envelope.payload) {
            return receiveIntroduction(envelope, packet, emit: emit)
        }
        guard envelope.sender != id || envelope.boot != boot else {
            return emit(.dropped(reason: "own packet"))
        }
        let isFresh = lives[envelope.sender]?.admits(
            envelope.boot, envelope.counter, via: packet.channel, at: now)
        guard isFresh ?? true else { return emit(.dropped(reason: "replay")) }
        let isGenuine = Envelope.isGenuine(
            packet.bytes, by: sender, to: id, via: packet.channel, scheme: scheme)
        guard isGenuine else {
            // A member that starts anew says its request as a stranger does, to no one by name.
            if packet.channel == .stream, GossipMessage.strangerKey(in: envelope.payload) != nil {
                receiveStranger(envelope, packet, emit: emit)
            } else {
                receiveUnderOtherKey(envelope, packet, emit: emit)
            }
            return
        }
        guard let payload = unveiled(envelope, of: sender, via: packet.channel) else {
            return receiveUnreadable(envelope, emit: emit)
        }
        guard let message = try? GossipMessage(decoding: payload) else {
            isDeaf = configuration.mutation == .stopsAtMalformed
            return emit(.dropped(reason: "malformed"))
        }
        guard envelope.sender == id || proving == nil else {
            return emit(.dropped(reason: "not begun yet"))
        }
        if case .wantAdmission(id) = message, lives[envelope.sender]?.boot != envelope.boot {
            // It may not be able to answer before it knows the key.
            introduce(to: envelope.sender, emit: emit)
        }
        guard settle(message, envelope, packet, emit: emit) else { return }
        lives[envelope.sender, default: PeerLife()].take(envelope.counter, via: packet.channel)
        heard(from: envelope.sender)
        take(message, from: envelope.sender, packet, emit: emit)
    }

    /// What a genuine packet says; datagrams are veiled.
    private mutating func unveiled(
        _ envelope: Envelope, of sender: PublicKey, via channel: Channel
    ) -> ArraySlice<UInt8>? {
        switch channel {
        case .datagram: veil.lift(envelope, of: sender, for: key).map { $0[...] }
        case .stream: envelope.payload
        }
    }

    private mutating func take(
        _ message: GossipMessage, from sender: NodeID, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        switch message {
        case .ping(let number, let view, let news):
            hear(news, from: sender, emit: emit)
            compare(view, with: sender, at: packet.source, via: packet.channel, emit: emit)
            transmit(
                .ack(number: number, view: fingerprint, piggyback(for: sender)), to: sender,
                via: packet.channel, at: packet.source, emit: emit)
        case .ack(let number, let view, let news):
            hear(news, from: sender, emit: emit)
            acknowledged(number, by: sender, emit: emit)
            compare(view, with: sender, at: packet.source, via: packet.channel, emit: emit)
        case .pingRequest(let number, let target):
            pingForOther(target, number: number, origin: sender, emit: emit)
        case .indirectPing(let number, let origin, let news):
            hear(news, from: sender, emit: emit)
            answerIndirectly(number, origin: origin, helper: sender, emit: emit)
        case .indirectAck(let number, let origin, let answer):
            passOn(answer, number: number, origin: origin, target: sender, emit: emit)
        case .nack(let number): probes.nacked(number, by: sender)
        case .rumours(let news): hear(news, from: sender, emit: emit)
        case .exchange(let news, let wantsReply):
            hear(news, from: sender, emit: emit)
            guard wantsReply else { return }
            guard lives[sender]?.admitsView(at: now) == true else {
                return emit(.dropped(reason: "busy"))
            }
            sendView(to: sender, wantsReply: false, emit: emit)
        case .refusal(let refused, _, let address):
            heardRefusal(of: refused, by: sender, at: address, emit: emit)
        case .wantAdmission(let node):
            guard lives[sender]?.admitsQuestion(at: now) == true else {
                return emit(.dropped(reason: "busy"))
            }
            show(node, to: sender, emit: emit)
        case .passedOn(let packet):
            guard strangers.admits(at: now) else { return emit(.dropped(reason: "busy")) }
            receivePassedOn(packet, emit: emit)
        case .application(let payload):
            emit(.deliver(Array(payload), from: sender, via: packet.channel))
        case .challenge, .challengeAnswer, .lifeQuestion, .lifeAnswer, .joinReply, .joinRefused,
            .joinRequest, .introduction:
            // Settled before, late answers to a join that is over, and what strangers say.
            emit(.dropped(reason: "out of place"))
        }
    }

    // MARK: Sending

    /// Whether what is known of a sender was said in another life than the one that is alive: it
    /// has restarted, or there are two of it.
    func isOutdated(_ sender: NodeID) -> Bool {
        guard let boot = lives[sender]?.boot else { return table.state(of: sender) == nil }
        return table.boot(of: sender) != boot
    }

    /// Signs a payload for one member, and veils what travels as a datagram; `nil` before this node
    /// belongs to a cluster, and where the receiver's key is not known.
    mutating func seal(
        _ payload: [UInt8], to receiver: NodeID, via channel: Channel
    ) -> [UInt8]? {
        guard let ring else { return nil }
        guard channel == .datagram else {
            return seal(payload, to: receiver, cluster: ring.cluster)
        }
        guard let other = ring[receiver] else { return nil }
        count()
        return veil.cover(payload, by: key, for: other, boot: boot, counter: counter).map {
            close($0, to: receiver, via: .datagram, cluster: ring.cluster)
        }
    }

    /// Signs a payload for one receiver, as a member of a cluster or as a stranger to it; for streams.
    mutating func seal(
        _ payload: [UInt8], to receiver: NodeID, cluster: ClusterID
    ) -> [UInt8] {
        count()
        return close(payload, to: receiver, via: .stream, cluster: cluster)
    }

    /// Each packet has a counter of its own.
    private mutating func count() {
        marks.note(counter, at: now)
        counter += 1
    }

    private func close(
        _ payload: [UInt8], to receiver: NodeID, via channel: Channel, cluster: ClusterID
    ) -> [UInt8] {
        Envelope.seal(
            payload, by: key, boot: boot, counter: counter, cluster: cluster, to: receiver,
            via: channel)
    }

    /// Signs and sends a message; what does not fit a datagram goes by stream.
    ///
    /// A receiver whose living boot ID has not said yet where it listens is answered where it
    /// asked from, and reached where it has shown that it is alive.
    mutating func transmit(
        _ message: GossipMessage, to receiver: NodeID, via wish: Channel,
        at source: PeerAddress? = nil, emit: (GossipEffect) -> Void
    ) {
        var target = table.address(of: receiver)
        if wish == .datagram, isOutdated(receiver) {
            target = source ?? lives[receiver]?.source ?? target
        }
        guard receiver != id, proving == nil, !isStopped, ring?.isEvicted(receiver) == false,
            let address = target
        else { return }
        let payload = message.encoded
        let isSmall =
            payload.count + Envelope.overheadSizeBytes(via: .datagram)
            <= Channel.datagramSizeBytesMax
        let channel = isSmall ? wish : .stream
        guard payload.count + Envelope.overheadSizeBytes <= Channel.frameSizeBytesMax else {
            return emit(.dropped(reason: "oversize to send"))
        }
        guard let bytes = seal(payload, to: receiver, via: channel) else { return }
        emit(.send(bytes, to: address, of: receiver, via: channel))
    }
}
