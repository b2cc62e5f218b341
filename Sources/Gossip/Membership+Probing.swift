import Model

/// Who is asked when, and what an answer means. Source: SWIM §3.1 and §4.3; Lifeguard §IV.A.
extension Membership {
    /// Probes the member whose turn has come.
    mutating func beginRound(emit: (GossipEffect) -> Void) {
        schedule.probe = now + configuration.probeInterval * health.stretch
        askRival(emit: emit)
        guard probes.hasRoom, let target = nextInRound() else { return }
        probe(target, because: .round, emit: emit)
    }

    /// The next member of the round; the order of each round is drawn anew.
    private mutating func nextInRound() -> NodeID? {
        for _ in 0..<2 {
            while let next = probeRing.popLast() {
                if table.state(of: next)?.isProbed == true, !probes.isProbing(next) { return next }
            }
            probeRing = others(where: \.isProbed).shuffled(using: &random)
        }
        return nil
    }

    /// Lets a suspect be probed out of turn, soon: not by all nodes in the same moment.
    mutating func probeSoon(_ node: NodeID) {
        if probes.waiting.isEmpty {
            schedule.urgent = now + random.duration(upTo: configuration.probeInterval / 2)
        }
        probes.enqueue(node)
    }

    /// Probes suspects that wait, as many as there is room for.
    mutating func probeWaiting(emit: (GossipEffect) -> Void) {
        while probes.hasRoom, let next = probes.dequeue() {
            guard let member = table[next], member.state.isProbed, !probes.isProbing(next),
                member.state == .suspect || !member.doubters.isEmpty
            else { continue }
            probe(next, because: .suspicion, emit: emit)
        }
    }

    private mutating func probe(
        _ target: NodeID, because reason: Probe.Reason, via channel: Channel = .datagram,
        emit: (GossipEffect) -> Void
    ) {
        let number = random.next()
        let stretch = reason == .reconnection ? 1 : health.stretch
        probes.begin(
            Probe(
                target: target, number: number, reason: reason,
                helpAt: now + configuration.probeTimeout * stretch,
                endsAt: now + configuration.probeInterval * stretch))
        ping(target, number: number, via: channel, emit: emit)
    }

    private mutating func ping(
        _ node: NodeID, number: UInt64, via channel: Channel, emit: (GossipEffect) -> Void
    ) {
        // Who has never spoken to this node, or does so no more, may not know it: whoever let this
        // one in may be gone, and the news with it.
        if channel == .stream, lives[node]?.boot == nil || table.state(of: node) != .alive {
            introduce(to: node, withAdmissions: true, emit: emit)
        }
        transmit(
            .ping(number: number, view: fingerprint, piggyback(for: node)), to: node,
            via: channel, emit: emit)
    }

    /// Looks whether probes need help, or have failed.
    mutating func checkProbes(emit: (GossipEffect) -> Void) {
        for probe in probes.due(at: now) {
            if probe.reason == .reconnection {
                probes.end(probe.number)
            } else if probe.hasAskedForHelp {
                fail(probe.number, emit: emit)
            } else {
                askForHelp(probe, emit: emit)
            }
        }
    }

    /// Lets others ask, and asks over a stream: datagrams alone may be what is lost.
    private mutating func askForHelp(_ probe: Probe, emit: (GossipEffect) -> Void) {
        let helpers = helpers(with: probe.target)
        probes.askedForHelp(probe.number, helpers: Array(helpers))
        for helper in helpers {
            transmit(
                .pingRequest(number: probe.number, target: probe.target), to: helper,
                via: .datagram, emit: emit)
        }
        ping(probe.target, number: probe.number, via: .stream, emit: emit)
    }

    /// Members that can help with a probe: drawn from those heard of last, since a member on the
    /// far side of a partition is no help, and its silence would tell nothing about this node.
    private mutating func helpers(with target: NodeID) -> ArraySlice<NodeID> {
        let wanted = 2 * configuration.indirectCount
        var candidates = recentlyHeard.filter { $0 != target && table.state(of: $0) == .alive }
        if !isLarge || candidates.count < wanted {
            candidates = others { $0 == .alive }.filter { $0 != target }
                .map { (node: $0, heard: lives[$0]?.lastHeard ?? .zero) }
                .sorted { ($0.heard, $0.node) > ($1.heard, $1.node) }.map(\.node)
        }
        return candidates.prefix(wanted).shuffled(using: &random)
            .prefix(configuration.indirectCount)
    }

    private mutating func fail(_ number: UInt64, emit: (GossipEffect) -> Void) {
        guard let probe = probes.end(number) else { return }
        health.probeFailed(nacksExpected: probe.nacksExpected, nacks: probe.nacks)
        probeFailed(probe.target, emit: emit)
        if schedule.urgent <= now { probeWaiting(emit: emit) }
    }

    /// The target has answered in person, by whichever way: the answer is sealed by it.
    mutating func acknowledged(
        _ number: UInt64, by sender: NodeID, emit: (GossipEffect) -> Void
    ) {
        guard probes[number]?.target == sender, let probe = probes.end(number) else { return }
        refusers.remove(sender)
        if probe.reason != .reconnection { health.improve() }
        clear(sender, emit: emit)
        if schedule.urgent <= now { probeWaiting(emit: emit) }
    }

    /// This node was late by so much that it must have stood still: nobody is to blame for what
    /// did not arrive in the meantime.
    ///
    /// One that is always late gives everybody more time already, as its health says. If it forgave
    /// that, too, it would never find anybody dead.
    mutating func forgiveStandstill(of lateness: Duration) {
        guard lateness > configuration.probeTimeout * health.stretch else { return }
        health.stoodStill(forIntervals: lateness / configuration.probeInterval)
        probes.abandon()
        inquiries.prolong(until: now + configuration.lifeTimeout)
        for node in suspects.sorted() {
            if var member = table[node] {
                member.suspicion?.standstill += lateness
                table.put(member)
            }
            probes.enqueue(node)
        }
    }

    // MARK: Reconnection

    /// Tries one of the dead members again, for ever: partitions heal by themselves.
    mutating func reconnect(emit: (GossipEffect) -> Void) {
        schedule.reconnect =
            now + configuration.reconnectInterval * (0.75 + random.fraction() / 2)
        var dead = table.dead.filter { !probes.isProbing($0) }
        if configuration.mutation == .stopsReconnecting {
            dead = dead.filter { now - (table[$0]?.stateSince ?? now) < .seconds(86_400) }
        }
        guard let target = dead.randomElement(using: &random) else { return }
        // Now and then by stream, for networks that let nothing else through.
        let channel: Channel = random.next() % 4 == 0 ? .stream : .datagram
        probe(target, because: .reconnection, via: channel, emit: emit)
        askFormer(target, emit: emit)
    }

    /// Looks for a dead member where it was before, too: the life that was believed last may have
    /// been a copy, and who was there first knows a copy's address of this node, perhaps.
    private mutating func askFormer(_ node: NodeID, emit: (GossipEffect) -> Void) {
        let known = table.address(of: node)
        let elsewhere = lives[node]?.retired.filter { $0.address != nil && $0.address != known }
        guard let former = elsewhere?.randomElement(using: &random), let address = former.address
        else { return }
        question(former.boot, of: node, at: address, emit: emit)
    }
}
