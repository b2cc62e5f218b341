import Model

/// Packets come in here: rate, genuineness, freshness, and only then what they say.
extension Membership {
    mutating func receive(
        _ bytes: [UInt8], from source: PeerAddress, via channel: Channel, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        let sizeMax =
            channel == .datagram ? Channel.datagramSizeBytesMax : Channel.frameSizeBytesMax
        guard bytes.count <= sizeMax else { return emit(.dropped(reason: "oversize")) }
        guard limiter.admits(source, at: now) else { return emit(.dropped(reason: "rate")) }
        guard let ring else {
            return receiveAsJoiner(bytes, at: now, emit: emit)
        }
        guard let envelope = Envelope.open(bytes, cluster: ring.cluster) else {
            receiveForeign(bytes, via: channel, emit: emit)
            return
        }
        guard let sender = ring[envelope.sender] else {
            receiveStranger(envelope, bytes, via: channel, at: now, emit: emit)
            return
        }
        let life = lives[envelope.sender]
        if life?.boot == envelope.boot, life?.window.accepts(envelope.counter) == false {
            return emit(.dropped(reason: "replay"))
        }
        if envelope.sender == id, envelope.boot == boot {
            return emit(.dropped(reason: "own packet"))
        }
        guard Envelope.isGenuine(bytes, by: sender, to: id, scheme: scheme) else {
            // A member that starts anew says its request as a stranger does, to no one by name.
            if GossipMessage.strangerKey(in: envelope.payload) != nil {
                receiveStranger(envelope, bytes, via: channel, at: now, emit: emit)
            } else {
                emit(.dropped(reason: "bad signature"))
            }
            return
        }
        guard let message = try? GossipMessage(decoding: envelope.payload) else {
            return emit(.dropped(reason: "malformed"))
        }
        guard settle(message, envelope, bytes, from: source, via: channel, at: now, emit: emit)
        else { return }
        lives[envelope.sender, default: PeerLife()].window.insert(envelope.counter)
        take(message, from: envelope.sender, via: channel, at: now, emit: emit)
    }

    // MARK: Freshness

    /// Whether the packet belongs to the sender's living boot ID.
    ///
    /// A boot ID that is new here must first answer a challenge: a packet recorded in an earlier
    /// life, or before this node started, gets no further.
    private mutating func settle(
        _ message: GossipMessage, _ envelope: Envelope, _ bytes: [UInt8],
        from source: PeerAddress, via channel: Channel, at now: Instant,
        emit: (GossipEffect) -> Void
    ) -> Bool {
        if case .challenge(let number) = message {
            // Answered to whoever asks, in no more bytes than the question.
            answerChallenge(number, to: envelope.sender, at: source, via: channel, emit: emit)
            return false
        }
        let life = lives[envelope.sender] ?? PeerLife()
        if life.boot == envelope.boot { return true }
        if isProofOfLife(message, envelope, life) {
            accept(envelope, life, at: now, emit: emit)
            return false
        }
        if case .ack(let number, _) = message,
            probe?.number == number || trials[number] == envelope.sender
        {
            // It names a number that was drawn a moment ago: that is an answer, too.
            accept(envelope, life, at: now, emit: emit)
            return true
        }
        challenge(
            envelope, life, holding: bytes, from: source, via: channel, at: now, emit: emit)
        return false
    }

    private func isProofOfLife(
        _ message: GossipMessage, _ envelope: Envelope, _ life: PeerLife
    ) -> Bool {
        guard case .challengeAnswer(let number) = message, let challenge = life.challenge else {
            return false
        }
        return challenge.number == number && challenge.boot == envelope.boot
    }

    private mutating func accept(
        _ envelope: Envelope, _ life: PeerLife, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        if envelope.sender == id { return emit(.cloneDetected) }
        var renewed = PeerLife(boot: envelope.boot)
        renewed.window.insert(envelope.counter)
        lives[envelope.sender] = renewed
        for held in life.challenge?.held ?? [] {
            receive(held.bytes, from: held.source, via: held.channel, at: now, emit: emit)
        }
    }

    private mutating func challenge(
        _ envelope: Envelope, _ life: PeerLife, holding bytes: [UInt8], from source: PeerAddress,
        via channel: Channel, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        var life = life
        if life.challenge?.boot != envelope.boot
            || now - (life.challenge?.sent ?? .zero) >= PeerLife.challengeInterval
        {
            let isSameLife = life.challenge?.boot == envelope.boot
            life.challenge = PeerLife.Challenge(
                boot: envelope.boot, number: random.next(), sent: now,
                held: isSameLife ? life.challenge?.held ?? [] : [])
            let question = seal(
                .challenge(number: life.challenge?.number ?? 0), to: envelope.sender)
            // Never more bytes than came: nobody can use this node to flood another.
            if let question, question.count <= bytes.count {
                let target =
                    channel == .datagram ? source : table[envelope.sender]?.alive.address
                if let target { emit(.send(question, to: target, via: channel)) }
            }
        }
        if let held = life.challenge?.held, held.count < PeerLife.heldMax {
            life.challenge?.held.append((bytes, source, channel))
        } else {
            emit(.dropped(reason: "unproven boot"))
        }
        lives[envelope.sender] = life
    }

    private mutating func answerChallenge(
        _ number: UInt64, to sender: NodeID, at source: PeerAddress, via channel: Channel,
        emit: (GossipEffect) -> Void
    ) {
        guard let answer = seal(.challengeAnswer(number: number), to: sender) else { return }
        if channel == .datagram {
            emit(.send(answer, to: source, via: .datagram))
        } else if let address = table[sender]?.alive.address {
            emit(.send(answer, to: address, via: .stream))
        }
    }

    // MARK: Content

    private mutating func take(
        _ message: GossipMessage, from sender: NodeID, via channel: Channel, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        switch message {
        case .ping(let number, let news):
            hear(news, from: sender, at: now, emit: emit)
            transmit(
                .ack(number: number, piggyback(for: sender)), to: sender, via: channel,
                emit: emit)
        case .ack(let number, let news):
            hear(news, from: sender, at: now, emit: emit)
            acknowledged(number, by: sender, at: now, emit: emit)
        case .pingRequest(let number, let target):
            pingForOther(target, number: number, requester: sender, at: now, emit: emit)
        case .nack(let number):
            nacked(number)
        case .rumours(let news):
            hear(news, from: sender, at: now, emit: emit)
        case .exchange(let news, let wantsReply):
            hear(news, from: sender, at: now, emit: emit)
            if wantsReply { sendExchange(to: sender, wantsReply: false, emit: emit) }
        case .wantAdmission(let node):
            guard let admission = ring?.admissions[node] else { return }
            var news: [Rumour] = [.admission(admission)]
            if let alive = table[node]?.alive { news.append(.alive(alive)) }
            transmit(.rumours(news), to: sender, via: .datagram, emit: emit)
        case .application(let payload):
            emit(.deliver(Array(payload), from: sender, via: channel))
        case .challenge, .challengeAnswer, .joinReply, .joinRefused:
            break  // settled before, or late answers to a join that is over
        case .joinRequest:
            break  // comes as a stranger's
        }
    }

    // MARK: Sending

    /// Signs a message for one receiver; `nil` before this node belongs to a cluster.
    mutating func seal(_ message: GossipMessage, to receiver: NodeID) -> [UInt8]? {
        guard let ring else { return nil }
        counter += 1
        return Envelope.seal(
            message.encoded, by: key, boot: boot, counter: counter, cluster: ring.cluster,
            to: receiver)
    }

    mutating func transmit(
        _ message: GossipMessage, to receiver: NodeID, via channel: Channel,
        emit: (GossipEffect) -> Void
    ) {
        guard let address = table[receiver]?.alive.address, receiver != id,
            let bytes = seal(message, to: receiver)
        else { return }
        let fits = bytes.count <= Channel.datagramSizeBytesMax
        guard bytes.count <= Channel.frameSizeBytesMax else {
            return emit(.dropped(reason: "oversize to send"))
        }
        emit(.send(bytes, to: address, via: channel == .datagram && fits ? .datagram : .stream))
    }
}
