import Model

/// Failure detection. Source: SWIM §3 and §4.3; Lifeguard §IV.
extension Membership {
    /// Ends the round of the last probe, and probes the next member.
    mutating func beginProbe(at now: Instant, emit: (GossipEffect) -> Void) {
        let stretch = Double(health + 1)
        schedule.probe = now + configuration.probeInterval * stretch
        guard probe == nil, let target = nextProbeTarget() else { return }
        let number = random.next()
        probe = Probe(
            target: target, number: number, helpAt: now + configuration.probeTimeout * stretch,
            endsAt: now + configuration.probeInterval * stretch)
        ping(target, number: number, via: .datagram, emit: emit)
        // The others that are under suspicion are asked too, without waiting for their turn.
        for suspect in urgentProbes.prefix(8) where suspect != target {
            trial(of: suspect, emit: emit)
        }
        urgentProbes.removeFirst(min(urgentProbes.count, 8))
    }

    private mutating func nextProbeTarget() -> NodeID? {
        while let urgent = urgentProbes.first {
            urgentProbes.removeFirst()
            if table[urgent]?.state.isProbed == true { return urgent }
        }
        for _ in 0..<2 {
            while let next = probeRing.popLast() {
                if table[next]?.state.isProbed == true { return next }
            }
            probeRing = order.filter { $0 != id && table[$0]?.state.isProbed == true }
            probeRing.shuffle(using: &random)
        }
        return nil
    }

    /// Sends a ping outside of the rounds; an answer shows that the member lives.
    mutating func trial(of node: NodeID, emit: (GossipEffect) -> Void) {
        let number = random.next()
        if trials.count >= Membership.relaysMax { trials = [:] }
        trials[number] = node
        ping(node, number: number, via: .datagram, emit: emit)
    }

    private mutating func ping(
        _ node: NodeID, number: UInt64, via channel: Channel, emit: (GossipEffect) -> Void
    ) {
        transmit(.ping(number: number, piggyback(for: node)), to: node, via: channel, emit: emit)
    }

    /// Looks whether the probe under way needs help, or has failed.
    mutating func checkProbe(at now: Instant, emit: (GossipEffect) -> Void) {
        guard var probe else { return }
        if !probe.hasAskedForHelp, probe.helpAt <= now {
            probe.hasAskedForHelp = true
            let helpers = order.filter {
                $0 != id && $0 != probe.target && table[$0]?.state == .alive
            }.shuffled(using: &random).prefix(configuration.indirectCount)
            probe.nacksExpected = helpers.count
            self.probe = probe
            for helper in helpers {
                transmit(
                    .pingRequest(number: probe.number, target: probe.target), to: helper,
                    via: .datagram, emit: emit)
            }
            ping(probe.target, number: probe.number, via: .stream, emit: emit)
        }
        guard probe.endsAt <= now else { return }
        self.probe = nil
        // Helpers that say nothing are a sign that this node's own link is bad.
        let missing = probe.nacksExpected - probe.nacks
        adjustHealth(by: probe.nacksExpected == 0 ? 1 : missing)
        suspect(probe.target, at: now, emit: emit)
    }

    mutating func acknowledged(
        _ number: UInt64, by sender: NodeID, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        if let probe, probe.number == number, probe.target == sender || probe.hasAskedForHelp {
            self.probe = nil
            adjustHealth(by: -1)
            clear(probe.target, isFirsthand: probe.target == sender, at: now, emit: emit)
        } else if trials.removeValue(forKey: number) == sender {
            clear(sender, isFirsthand: true, at: now, emit: emit)
        } else if let relay = relays.removeValue(forKey: number) {
            transmit(
                .ack(number: relay.theirNumber, []), to: relay.requester, via: .datagram,
                emit: emit)
        }
    }

    /// The member has answered in person: it is alive, whatever was said.
    private mutating func clear(
        _ node: NodeID, isFirsthand: Bool, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard isFirsthand, var member = table[node],
            member.state == .suspect || member.state == .dead
        else { return }
        let previous = member.state
        member.state = .alive
        member.stateSince = now
        member.suspicion = nil
        member.accusation = nil
        member.clearedIncarnation = member.incarnation
        place(member)
        emit(.memberChanged(member.info, previous: previous))
        if previous == .dead {
            // It has missed news while it was away, and so have we.
            sendExchange(to: node, wantsReply: true, emit: emit)
        }
    }

    // MARK: Pings for others

    mutating func pingForOther(
        _ target: NodeID, number: UInt64, requester: NodeID, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        // Only members are pinged, and only so many: nobody can use this node against others.
        guard table[target] != nil, target != id, relays.count < Membership.relaysMax else {
            return
        }
        let own = random.next()
        relays[own] = Relay(
            requester: requester, theirNumber: number,
            nackAt: now + configuration.probeTimeout * 0.8,
            endsAt: now + configuration.probeInterval)
        ping(target, number: own, via: .datagram, emit: emit)
    }

    mutating func checkRelays(at now: Instant, emit: (GossipEffect) -> Void) {
        for number in relays.keys.sorted() {
            guard let relay = relays[number] else { continue }
            if relay.endsAt <= now {
                relays[number] = nil
            } else if !relay.isNacked, relay.nackAt <= now {
                relays[number]?.isNacked = true
                transmit(
                    .nack(number: relay.theirNumber), to: relay.requester, via: .datagram,
                    emit: emit)
            }
        }
    }

    mutating func nacked(_ number: UInt64) {
        if probe?.number == number { probe?.nacks += 1 }
    }

    private mutating func adjustHealth(by change: Int) {
        health = min(max(health + change, 0), configuration.healthMax)
    }

    // MARK: Suspicion

    /// This node's own probe has failed.
    private mutating func suspect(
        _ node: NodeID, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard var member = table[node], let ring, member.state.isProbed, member.state != .dead
        else { return }
        var accusation = SuspectStatement(
            subject: node, incarnation: member.incarnation, accuser: id)
        accusation.signature = key.sign(accusation.statement(in: ring.cluster))
        member.accusation = accusation
        if member.state == .suspect {
            let isNews = member.suspicion?.confirm(by: id) ?? false
            place(member)
            if isNews { spread(.suspect(accusation), at: now) }
            return
        }
        member.suspicion = newSuspicion(by: id, at: now, count: order.count)
        change(&member, to: .suspect, at: now, emit: emit)
        spread(.suspect(accusation), at: now)
    }

    /// Another member's probe has failed: a reason to look, and to start the own timer.
    mutating func heardSuspicion(
        _ statement: SuspectStatement, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard let ring else { return }
        if statement.subject == id {
            guard statement.incarnation >= own.incarnation,
                ring.verify(
                    statement.signature, of: statement.statement(in: ring.cluster),
                    by: statement.accuser)
            else { return }
            return restate(above: statement.incarnation, at: now, emit: emit)
        }
        guard var member = table[statement.subject], statement.accuser != id,
            statement.incarnation == member.incarnation,
            member.state == .alive || member.state == .suspect,
            ring.verify(
                statement.signature, of: statement.statement(in: ring.cluster),
                by: statement.accuser)
        else { return }
        if !urgentProbes.contains(member.id) {
            urgentProbes.append(member.id)
            schedule.probe = min(schedule.probe, now + configuration.probeTimeout / 4)
        }
        // A member that has answered in person at this incarnation is only looked at again.
        guard member.clearedIncarnation != member.incarnation else { return }
        if member.state == .suspect {
            guard member.suspicion?.confirm(by: statement.accuser) == true else { return }
            place(member)
        } else {
            member.suspicion = newSuspicion(by: statement.accuser, at: now, count: order.count)
            change(&member, to: .suspect, at: now, emit: emit)
        }
        spread(.suspect(statement), at: now)
    }

    func newSuspicion(by witness: NodeID, at now: Instant, count: Int) -> Suspicion {
        let shortest =
            configuration.probeInterval * (configuration.suspicionFactor * Logarithm.scale(count))
        return Suspicion(
            at: now, witness: witness, shortest: shortest,
            longest: shortest * configuration.suspicionStretch,
            confirmationsNeeded: max(0, min(2, count - 2)))
    }

    mutating func checkSuspicions(at now: Instant, emit: (GossipEffect) -> Void) {
        for node in suspects.sorted() {
            guard var member = table[node], let suspicion = member.suspicion,
                suspicion.deadline <= now
            else { continue }
            member.suspicion = nil
            if member.accusation == nil, let ring {
                var accusation = SuspectStatement(
                    subject: node, incarnation: member.incarnation, accuser: id)
                accusation.signature = key.sign(accusation.statement(in: ring.cluster))
                member.accusation = accusation
            }
            change(&member, to: .dead, at: now, emit: emit)
        }
    }

    mutating func change(
        _ member: inout Member, to state: MembershipState, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        let previous = member.state
        member.state = state
        if previous != state { member.stateSince = now }
        place(member)
        emit(.memberChanged(member.info, previous: previous))
    }

    /// This node was late by so much that it must have stood still: nobody is to blame for what
    /// did not arrive in the meantime.
    mutating func forgiveStandstill(of lateness: Duration, at now: Instant) {
        guard lateness > configuration.probeTimeout else { return }
        health = configuration.healthMax
        probe = nil
        for node in suspects { table[node]?.suspicion?.standstill += lateness }
    }

    // MARK: Reconnection

    /// Tries one of the dead members again, for ever: partitions heal by themselves.
    mutating func reconnect(at now: Instant, emit: (GossipEffect) -> Void) {
        schedule.reconnect =
            now + configuration.reconnectInterval * (0.75 + random.fraction() / 2)
        let dead = order.filter { table[$0]?.state == .dead }
        guard let target = dead.randomElement(using: &random) else { return }
        trial(of: target, emit: emit)
    }
}

extension MembershipState {
    /// Whether such a member is probed in the rounds.
    var isProbed: Bool {
        switch self {
        case .alive, .suspect: true
        case .dead, .left: false
        }
    }
}
