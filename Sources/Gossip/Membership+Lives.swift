import Model

/// Which life of a sender is alive; packets of all others are inert.
///
/// A boot ID that is new here must first answer a challenge: a packet recorded in an earlier life,
/// or before this node started, gets no further. No clocks of two nodes are compared.
extension Membership {
    /// Whether the packet belongs to the sender's living boot ID; else it is dealt with here.
    mutating func settle(
        _ message: GossipMessage, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) -> Bool {
        if envelope.sender == id {
            settleClone(message, envelope, packet, emit: emit)
            return false
        }
        let life = lives[envelope.sender] ?? PeerLife()
        let isSettled = life.boot == envelope.boot
        if life.isRetired(envelope.boot) {
            settleFormer(message, envelope, packet, emit: emit)
            return false
        }
        switch message {
        case .challenge(let number, let questioned):
            // Answered to whoever asks, in no more bytes than the question.
            answer(number, questioned, of: envelope.sender, packet, emit: emit)
            if isSettled { lives[envelope.sender]?.take(envelope.counter, via: packet.channel) }
            return false
        case _ where isSettled:
            return true
        case .challengeAnswer(let number, let floor) where isProof(number, of: envelope):
            accept(envelope, above: min(floor, envelope.counter - 1), emit: emit)
            return false
        case .ack(let number, _, _) where probes[number]?.target == envelope.sender:
            // It names a number that was drawn a moment ago: that is an answer, too. What was
            // sent before it may be a replay.
            accept(envelope, above: envelope.counter - 1, emit: emit)
            return true
        default:
            challenge(envelope, packet, emit: emit)
            return false
        }
    }

    /// A packet of a life that was replaced is a recording, or that life goes on beside the newer.
    ///
    /// Whoever proves to be the latter is told of the other. When the other is silent for longer
    /// than a proof is good, it was the earlier one, and its proof came late: lives follow each
    /// other, and who proves itself now is alive now.
    private mutating func settleFormer(
        _ message: GossipMessage, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        emit(.dropped(reason: "former boot"))
        guard packet.channel == .datagram else { return }
        guard case .challengeAnswer(let number, let floor) = message,
            isProof(number, of: envelope)
        else { return question(envelope, packet, at: packet.source, emit: emit) }
        let proofAge = Membership.challengeSlot * 2
        if lives[envelope.sender]?.isSilent(for: proofAge, at: now) == true {
            return accept(envelope, above: min(floor, envelope.counter - 1), emit: emit)
        }
        guard let alive = table[envelope.sender]?.alive,
            let bytes = seal(
                GossipMessage.rumours([.alive(alive)]).encoded, to: envelope.sender,
                via: .datagram)
        else { return }
        emit(.send(bytes, to: packet.source, via: .datagram))
    }

    private mutating func accept(
        _ envelope: Envelope, above floor: UInt64, emit: (GossipEffect) -> Void
    ) {
        var life = lives[envelope.sender] ?? PeerLife()
        let held = life.settle(envelope.boot, above: floor)
        life.take(envelope.counter, via: .datagram)
        life.take(envelope.counter, via: .stream)
        life.lastHeard = now
        lives[envelope.sender] = life
        for packet in held { open(packet, emit: emit) }
    }

    private mutating func challenge(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        var life = lives[envelope.sender] ?? PeerLife()
        if life.asks(envelope.boot, at: now) {
            let target =
                packet.channel == .datagram
                ? packet.source : table[envelope.sender]?.alive.address
            question(envelope, packet, at: target, emit: emit)
        }
        if !life.hold(packet, of: envelope.boot) { emit(.dropped(reason: "unproven boot")) }
        lives[envelope.sender] = life
    }

    private mutating func question(
        _ envelope: Envelope, _ packet: PeerLife.Held, at target: PeerAddress?,
        emit: (GossipEffect) -> Void
    ) {
        let message = GossipMessage.challenge(
            number: challengeNumber(for: envelope.sender, envelope.boot, slot: challengeSlot),
            boot: envelope.boot)
        // Never more bytes than came: nobody can use this node to flood another.
        let payload = message.encoded
        guard payload.count + Envelope.overheadSizeBytes <= packet.bytes.count, let target,
            let bytes = seal(payload, to: envelope.sender, via: packet.channel)
        else { return }
        emit(.send(bytes, to: target, via: packet.channel))
    }

    private mutating func answer(
        _ number: UInt64, _ questioned: BootID, of sender: NodeID, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        let target =
            packet.channel == .datagram ? packet.source : table[sender]?.alive.address
        guard questioned == boot, let target else { return }
        let floor = marks.floor(at: now, counter: counter)
        let payload = GossipMessage.challengeAnswer(number: number, floor: floor).encoded
        guard let bytes = seal(payload, to: sender, via: packet.channel) else { return }
        emit(.send(bytes, to: target, via: packet.channel))
    }

    // MARK: Numbers

    /// How long the number of a challenge holds, and as long again.
    private static let challengeSlot: Duration = .seconds(4)

    private var challengeSlot: Int64 { now.nanoseconds / Membership.challengeSlot.nanoseconds }

    /// The number that a challenge bears.
    ///
    /// It is computed, not stored: a flood of old packets can't push out the challenge that the
    /// living boot ID is about to answer.
    private func challengeNumber(for sender: NodeID, _ boot: BootID, slot: Int64) -> UInt64 {
        var label = ByteWriter()
        label.raw("challenge".utf8)
        self.boot.encode(into: &label)
        sender.encode(into: &label)
        boot.encode(into: &label)
        label.signed(slot)
        return key.derive(label.bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func isProof(_ number: UInt64, of envelope: Envelope) -> Bool {
        [challengeSlot, challengeSlot - 1].contains { slot in
            number == challengeNumber(for: envelope.sender, envelope.boot, slot: slot)
        }
    }

    // MARK: Clones

    /// Asks at an address whether this node's key lives there under another boot ID.
    mutating func questionClone(
        _ suspected: BootID, at address: PeerAddress, emit: (GossipEffect) -> Void
    ) {
        guard lives[id, default: PeerLife()].asks(suspected, at: now) else { return }
        let message = GossipMessage.challenge(
            number: challengeNumber(for: id, suspected, slot: challengeSlot), boot: suspected)
        for channel in [Channel.datagram, .stream] {
            guard let bytes = seal(message.encoded, to: id, via: channel) else { continue }
            emit(.send(bytes, to: address, via: channel))
        }
    }

    /// A packet under this node's own key and another boot ID: a recording, or a clone.
    private mutating func settleClone(
        _ message: GossipMessage, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        switch message {
        case .challengeAnswer(let number, _) where isProof(number, of: envelope):
            guard !isCloned else { return }
            isCloned = true
            emit(.cloneDetected)
        case .challenge(let number, let questioned) where packet.channel == .datagram:
            answer(number, questioned, of: id, packet, emit: emit)
            fallthrough
        default:
            guard !isCloned else { return }
            emit(.dropped(reason: "own key under another boot"))
            if packet.channel == .datagram {
                questionClone(envelope.boot, at: packet.source, emit: emit)
            }
        }
    }
}
