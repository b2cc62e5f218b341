import Model

/// Another daemon with this node's key: a copied data directory, or a thief.
///
/// The younger of the two stops. It does so when a member that knew the other first has refused it,
/// and the other has answered it in person and says that it has lived for longer. So neither a
/// member nor a thief alone can stop a node. Who has lived for longer stops, too, when no member is
/// left that keeps to it; where none is in reach, the place that its own disk names is asked.
extension Membership {
    /// A start at another address than the disk tells of: perhaps the former life goes on there.
    struct Proving: Sendable {
        let address: PeerAddress
        let endsAt: Instant
        var nextAsk: Instant
    }

    /// Another life of this node's key, as it answered last.
    struct Twin: Hashable, Sendable {
        var boot: BootID
        var address: PeerAddress
        var age: Duration
        var isElder: Bool
    }

    /// Whether the node still waits for a former life to answer, and does nothing else.
    package var isProving: Bool { proving != nil }

    /// Begins to look for the former life where the disk says that it was.
    mutating func beginProving(at former: PeerAddress) {
        guard former != own.address else { return }
        formerAddress = former
        proving = Proving(address: former, endsAt: now + configuration.lifeTimeout, nextAsk: now)
    }

    /// Asks for the former life, or ends the wait for it.
    mutating func goOnProving(emit: (GossipEffect) -> Void) {
        guard var proving else { return }
        guard proving.endsAt > now else {
            self.proving = nil
            // The wait was no standstill.
            schedule.probe = max(schedule.probe, now)
            schedule.urgent = now
            schedule.exchange = max(schedule.exchange, now)
            schedule.reconnect = max(schedule.reconnect, now)
            schedule.rumour = max(schedule.rumour, now)
            return
        }
        guard proving.nextAsk <= now else { return }
        proving.nextAsk = now + configuration.lifeTimeout / Inquiry.asksMax
        self.proving = proving
        askTwin(at: proving.address, emit: emit)
    }

    // MARK: Questions

    private var ageMilliseconds: UInt64 { UInt64(max((now - born).nanoseconds, 0) / 1_000_000) }

    /// Asks at an address whether this node's key lives there under another boot ID.
    mutating func askTwin(at address: PeerAddress, emit: (GossipEffect) -> Void) {
        guard address != own.address, twinWords.admits(at: now) else { return }
        let number = challengeNumber(for: id, boot, slot: challengeSlot, via: .datagram)
        say(
            .lifeQuestion(number: number, ageMilliseconds: ageMilliseconds), at: address, emit: emit
        )
    }

    private mutating func say(
        _ message: GossipMessage, at address: PeerAddress, emit: (GossipEffect) -> Void
    ) {
        guard let bytes = seal(message.encoded, to: id, via: .datagram) else { return }
        emit(.send(bytes, to: address, of: id, via: .datagram))
    }

    /// A packet under this node's own key and another boot ID: a recording, or a twin.
    mutating func heardTwin(
        _ message: GossipMessage, _ envelope: Envelope, _ packet: PeerLife.Held,
        emit: (GossipEffect) -> Void
    ) {
        guard packet.channel == .datagram else {
            return emit(.dropped(reason: "own key under another boot"))
        }
        switch message {
        case .lifeAnswer(let number, let age) where isAnswerOfTwin(number):
            met(envelope.boot, at: packet.source, ageMilliseconds: age, emit: emit)
        case .lifeQuestion(let number, _):
            // First the own question: who stops for the answer says nothing after it.
            question(envelope.boot, at: packet.source, emit: emit)
            guard twinWords.admits(at: now) else { return emit(.dropped(reason: "busy")) }
            say(
                .lifeAnswer(number: number, ageMilliseconds: ageMilliseconds), at: packet.source,
                emit: emit)
        default:
            question(envelope.boot, at: packet.source, emit: emit)
        }
    }

    /// What came under another boot ID may be a recording; so its sender is asked.
    private mutating func question(
        _ other: BootID, at address: PeerAddress, emit: (GossipEffect) -> Void
    ) {
        emit(.dropped(reason: "own key under another boot"))
        guard lives[id, default: PeerLife()].asks(other, via: .datagram, at: now) else { return }
        askTwin(at: address, emit: emit)
    }

    /// Whether this node has asked for this number in this life, a moment ago.
    private func isAnswerOfTwin(_ number: UInt64) -> Bool {
        [challengeSlot, challengeSlot - 1].contains { slot in
            number == challengeNumber(for: id, boot, slot: slot, via: .datagram)
        }
    }

    // MARK: Verdicts

    private mutating func met(
        _ other: BootID, at address: PeerAddress, ageMilliseconds age: UInt64,
        emit: (GossipEffect) -> Void
    ) {
        let isElder = (age, boot) > (ageMilliseconds, other)
        let isNew = twin?.boot != other
        let most = UInt64(Membership.ageMillisecondsMax)
        let met = Twin(
            boot: other, address: address, age: .milliseconds(Int64(min(age, most))),
            isElder: isElder)
        twin = met
        if proving != nil || isDisplaced(by: met) { return stop(for: met, emit: emit) }
        if isNew, !isElder { emit(.cloneRefused(at: address)) }
    }

    /// Longer lives than this many milliseconds are shown as this long: a century.
    private static let ageMillisecondsMax: Int64 = 3_155_760_000_000

    /// A member says that it keeps to another life of this node's key.
    mutating func heardRefusal(
        of refused: BootID, by member: NodeID, at address: PeerAddress,
        emit: (GossipEffect) -> Void
    ) {
        guard refused == boot else { return emit(.dropped(reason: "refusal of another boot")) }
        refusers.insert(member)
        if configuration.mutation == .obeysRefusal {
            return stop(
                for: Twin(boot: BootID(0), address: address, age: .zero, isElder: true), emit: emit)
        }
        if let twin, isDisplaced(by: twin) { return stop(for: twin, emit: emit) }
        rival = address
        askTwin(at: address, emit: emit)
    }

    /// Asks again where members say that another life is: it may not have been in reach.
    mutating func askRival(emit: (GossipEffect) -> Void) {
        let target = refusers.isEmpty ? (isAlone ? formerAddress : nil) : rival
        if let target { askTwin(at: target, emit: emit) }
    }

    /// Whether no other member is in reach, as far as this one knows.
    private var isAlone: Bool { livingOthersCount == 0 }

    /// Whether the other life has the better right.
    private func isDisplaced(by twin: Twin) -> Bool {
        // Who is alone has nobody to ask but the place that its own disk names, as at its start.
        guard !refusers.isEmpty else { return isAlone && twin.address == formerAddress }
        return twin.isElder || others(where: \.isProbed).allSatisfy { refusers.contains($0) }
    }

    /// This life is the younger one: it says nothing and hears nothing any more.
    private mutating func stop(for elder: Twin, emit: (GossipEffect) -> Void) {
        isStopped = true
        let since = wallTime(at: now) + (.zero - elder.age)
        emit(.refusedAsClone(of: elder.address, since: since))
    }
}
