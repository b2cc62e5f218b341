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
            heardTwin(message, envelope, packet, emit: emit)
            return false
        }
        let life = lives[envelope.sender] ?? PeerLife()
        let isSettled = life.boot == envelope.boot
        if case .challenge(let number, let questioned) = message {
            // Answered to whoever asks, in no more bytes than the question: also to a life that is
            // not believed any more. Two that lost each other to copies would else wait for ever,
            // each for the other's answer.
            answer(number, questioned, of: envelope.sender, packet, emit: emit)
            if isSettled { lives[envelope.sender]?.take(envelope.counter, via: packet.channel) }
            return false
        }
        if life.isRetired(envelope.boot) {
            settleFormer(message, envelope, packet, emit: emit)
            return false
        }
        switch message {
        case .challengeAnswer(let number, let floor)
        where vouches(number, floor, envelope, packet, emit: emit):
            return false
        case _ where isSettled:
            return true
        case .challengeAnswer(let number, let floor)
        where isProof(number, of: envelope, via: packet.channel):
            _ = proved(
                envelope, above: min(floor, envelope.counter - 1), packet, emit: emit)
            return false
        case .ack(let number, _, _)
        where packet.channel == .datagram && probes[number]?.target == envelope.sender:
            // It names a number that was drawn a moment ago: that is an answer, too. What was
            // sent before it may be a replay.
            return proved(envelope, above: envelope.counter - 1, packet, emit: emit)
        default:
            challenge(envelope, packet, emit: emit)
            return false
        }
    }

    /// A packet of a life that was replaced is a recording, or that life goes on.
    ///
    /// When it answers what was asked after its successor was believed, it is alive and was there
    /// first: it takes its place again. The successor is a clone, or its proof had come late, from
    /// an earlier life.
    private mutating func settleFormer(
        _ message: GossipMessage, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        guard packet.channel == .datagram else {
            return emit(.dropped(reason: "former boot"))
        }
        guard case .challengeAnswer(let number, let floor) = message,
            isProof(number, of: envelope, via: packet.channel)
        else {
            emit(.dropped(reason: "former boot"))
            return question(envelope, packet, at: packet.source, emit: emit)
        }
        let successor = lives[envelope.sender]
        let proof = PeerLife.Proof(
            at: now, floor: min(floor, envelope.counter - 1), counter: envelope.counter,
            source: packet.source, channel: packet.channel)
        accept(envelope.boot, of: envelope.sender, proof, emit: emit)
        if let clone = successor?.boot, let address = successor?.source, address != packet.source {
            refuse(clone, of: envelope.sender, at: address, emit: emit)
        }
        // What it said of itself may have been turned down before.
        if table.boot(of: envelope.sender) != envelope.boot {
            ask(envelope.sender, for: envelope.sender, at: packet.source, emit: emit)
        }
    }

    /// A boot ID is the living one from now on; what waited for this is taken in.
    mutating func accept(
        _ boot: BootID, of sender: NodeID, _ proof: PeerLife.Proof, emit: (GossipEffect) -> Void
    ) {
        inquiries.end(sender)
        let former = incumbent(of: sender)?.address
        var life = lives[sender] ?? PeerLife()
        let held = life.settle(boot, above: proof.floor, inPlaceOf: former)
        life.take(proof.counter, via: .datagram)
        life.take(proof.counter, via: .stream)
        life.settledAt = now
        life.source = proof.channel == .datagram ? proof.source : nil
        lives[sender] = life
        heard(from: sender)
        for packet in held { open(packet, emit: emit) }
    }

    private mutating func challenge(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        var life = lives[envelope.sender] ?? PeerLife()
        if life.asks(envelope.boot, via: packet.channel, at: now) {
            let target =
                packet.channel == .datagram
                ? packet.source : table.address(of: envelope.sender)
            question(envelope, packet, at: target, emit: emit)
        }
        if !life.hold(packet, of: envelope.boot) { emit(.dropped(reason: "unproven boot")) }
        lives[envelope.sender] = life
    }

    private mutating func question(
        _ envelope: Envelope, _ packet: PeerLife.Held, at target: PeerAddress?,
        emit: (GossipEffect) -> Void
    ) {
        let message = challenge(to: envelope.boot, of: envelope.sender, via: packet.channel)
        // Never more bytes than came: nobody can use this node to flood another.
        let payload = message.encoded
        guard payload.count + Envelope.overheadSizeBytes(via: packet.channel) <= packet.bytes.count,
            let target,
            let bytes = seal(payload, to: envelope.sender, via: packet.channel)
        else { return }
        emit(.send(bytes, to: target, of: envelope.sender, via: packet.channel))
    }

    /// Asks a former life at an address; as often as its packets are looked at.
    mutating func question(
        _ boot: BootID, of node: NodeID, at address: PeerAddress, emit: (GossipEffect) -> Void
    ) {
        guard lives[node]?.admitsFormer(at: now) == true,
            let bytes = seal(
                challenge(to: boot, of: node, via: .datagram).encoded, to: node, via: .datagram)
        else { return }
        emit(.send(bytes, to: address, of: node, via: .datagram))
    }

    private func challenge(
        to boot: BootID, of node: NodeID, via channel: Channel
    ) -> GossipMessage {
        .challenge(
            number: challengeNumber(for: node, boot, slot: challengeSlot, via: channel), boot: boot)
    }

    private mutating func answer(
        _ number: UInt64, _ questioned: BootID, of sender: NodeID, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        let target =
            packet.channel == .datagram ? packet.source : table.address(of: sender)
        guard questioned == boot, let target else { return }
        let floor = marks.floor(at: now, counter: counter)
        let payload = GossipMessage.challengeAnswer(number: number, floor: floor).encoded
        guard let bytes = seal(payload, to: sender, via: packet.channel) else { return }
        emit(.send(bytes, to: target, of: sender, via: packet.channel))
    }

    // MARK: Numbers

    /// How long the number of a challenge holds, and as long again.
    private static let challengeSlot: Duration = .seconds(4)

    var challengeSlot: Int64 { now.nanoseconds / Membership.challengeSlot.nanoseconds }

    /// The number that a challenge bears.
    ///
    /// It is computed, not stored: a flood of old packets can't push out the challenge that the
    /// living boot ID is about to answer. It changes with each life that is believed, so that an
    /// answer proves that its life goes on beside that one; and it is another one for each channel,
    /// since what is asked by stream is asked at the known address alone.
    func challengeNumber(
        for sender: NodeID, _ boot: BootID, slot: Int64, via channel: Channel
    ) -> UInt64 {
        var label = ByteWriter()
        label.raw("challenge".utf8)
        self.boot.encode(into: &label)
        sender.encode(into: &label)
        boot.encode(into: &label)
        label.signed(slot)
        label.signed((lives[sender]?.settledAt ?? .zero).nanoseconds)
        label.byte(channel.rawValue)
        return key.derive(label.bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func isProof(
        _ number: UInt64, of envelope: Envelope, via channel: Channel
    ) -> Bool {
        [challengeSlot, challengeSlot - 1].contains { slot in
            number
                == challengeNumber(for: envelope.sender, envelope.boot, slot: slot, via: channel)
        }
    }
}
