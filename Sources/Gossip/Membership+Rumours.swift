import Model

/// Dissemination: piggybacked rumours, and the exchange of whole views. Source: SWIM §4.1.
extension Membership {
    /// What travels on a probe or its answer: first what concerns the receiver itself, so that it
    /// can refute (Lifeguard §IV.C, buddy notification), then the least told news.
    mutating func piggyback(for receiver: NodeID) -> [Rumour] {
        var news: [Rumour] = []
        var left = GossipConfiguration.datagramPayloadSizeBytesMax - 32
        if let accusation = table[receiver]?.accusation {
            news.append(.suspect(accusation))
            left -= Rumour.suspect(accusation).encoded.count
        }
        return news + rumours.take(sizeBytesMax: left, tellingsMax: tellingsMax)
    }

    /// Tells waiting rumours to a few members, the dead ones not excluded: they may only seem so.
    mutating func tellRumours(at now: Instant, emit: (GossipEffect) -> Void) {
        schedule.rumour = now + configuration.rumourInterval
        guard !rumours.isEmpty else {
            schedule.rumour = .distantFuture
            return
        }
        let listeners = order.filter { $0 != id && table[$0]?.state.isProbed == true }
            .shuffled(using: &random).prefix(configuration.rumourFanout)
        for listener in listeners {
            let news = piggyback(for: listener)
            guard !news.isEmpty else { break }
            transmit(.rumours(news), to: listener, via: .datagram, emit: emit)
        }
        if listeners.isEmpty { schedule.rumour = .distantFuture }
    }

    /// Takes in news: admissions first, since statements of new members hang on them.
    mutating func hear(
        _ news: [Rumour], from sender: NodeID?, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        let admissions = news.compactMap { rumour in
            if case .admission(let admission) = rumour { admission } else { nil }
        }
        for admission in ring?.add(contentsOf: admissions) ?? [] {
            emit(.persist([MembershipRows.admission(admission)]))
            spread(.admission(admission), at: now)
        }
        for rumour in news {
            switch rumour {
            case .admission: break
            case .alive(let alive): heard(alive, from: sender, at: now, emit: emit)
            case .leave(let leave): heard(leave, at: now, emit: emit)
            case .suspect(let suspect): heardSuspicion(suspect, at: now, emit: emit)
            }
        }
    }

    private mutating func heard(
        _ alive: AliveStatement, from sender: NodeID?, at now: Instant,
        emit: (GossipEffect) -> Void
    ) {
        guard let ring else { return }
        if alive.subject == id {
            // Said in an earlier life of this node: outdo it.
            guard alive.incarnation > own.incarnation,
                ring.verify(
                    alive.signature, of: alive.statement(in: ring.cluster), by: id)
            else { return }
            return restate(above: alive.incarnation, at: now, emit: emit)
        }
        if let known = table[alive.subject], alive.incarnation <= known.incarnation { return }
        guard ring[alive.subject] != nil else {
            if let sender {
                transmit(.wantAdmission(alive.subject), to: sender, via: .datagram, emit: emit)
            }
            return
        }
        guard let metadata = try? NodeMetadata(decoding: alive.metadata),
            ring.verify(
                alive.signature, of: alive.statement(in: ring.cluster), by: alive.subject)
        else { return emit(.dropped(reason: "bad alive statement")) }
        let known = table[alive.subject]
        let since = known?.state == .alive ? known?.stateSince ?? now : now
        place(Member(alive: alive, metadata: metadata, state: .alive, stateSince: since))
        emit(.persist([MembershipRows.member(alive)]))
        if let info = table[alive.subject]?.info {
            emit(.memberChanged(info, previous: known?.state))
        }
        spread(.alive(alive), at: now)
    }

    private mutating func heard(
        _ leave: LeaveStatement, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard let ring else { return }
        if leave.subject == id {
            guard leaving == nil, leave.incarnation >= own.incarnation,
                ring.verify(leave.signature, of: leave.statement(in: ring.cluster), by: id)
            else { return }
            return restate(above: leave.incarnation, at: now, emit: emit)
        }
        guard var member = table[leave.subject], leave.incarnation >= member.incarnation,
            member.state != .left,
            ring.verify(
                leave.signature, of: leave.statement(in: ring.cluster), by: leave.subject)
        else { return }
        member.leave = leave
        member.suspicion = nil
        member.accusation = nil
        change(&member, to: .left, at: now, emit: emit)
        spread(.leave(leave), at: now)
    }

    // MARK: Exchange of views

    /// Exchanges the whole view with a random member.
    mutating func exchange(at now: Instant, emit: (GossipEffect) -> Void) {
        schedule.exchange = now + configuration.exchangeInterval * (0.75 + random.fraction() / 2)
        let partners = order.filter { $0 != id && table[$0]?.state.isProbed == true }
        guard let partner = partners.randomElement(using: &random) else { return }
        sendExchange(to: partner, wantsReply: true, emit: emit)
    }

    mutating func sendExchange(
        to partner: NodeID, wantsReply: Bool, emit: (GossipEffect) -> Void
    ) {
        transmit(
            .exchange(wholeView(), wantsReply: wantsReply), to: partner, via: .stream, emit: emit)
    }

    /// Every admission, what every member says of itself, and this node's own accusations.
    func wholeView() -> [Rumour] {
        var view: [Rumour] = []
        if let admissions = ring?.admissions {
            view += admissions.keys.sorted().compactMap { admissions[$0].map(Rumour.admission) }
        }
        for node in order {
            guard let member = table[node] else { continue }
            view.append(.alive(member.alive))
            if let leave = member.leave { view.append(.leave(leave)) }
            if let accusation = member.accusation { view.append(.suspect(accusation)) }
        }
        return view
    }

    // MARK: Leaving

    /// Says goodbye to everybody, or in a large cluster to many, and stays a moment.
    mutating func leave(at now: Instant, emit: (GossipEffect) -> Void) {
        guard let ring, leaving == nil else { return }
        var goodbye = LeaveStatement(subject: id, incarnation: own.incarnation)
        goodbye.signature = key.sign(goodbye.statement(in: ring.cluster))
        leaving = now + configuration.leaveLinger
        if var member = table[id] {
            member.leave = goodbye
            change(&member, to: .left, at: now, emit: emit)
        }
        let listeners = order.filter { $0 != id && table[$0]?.state.isProbed == true }
            .shuffled(using: &random).prefix(Membership.goodbyesMax)
        for listener in listeners {
            transmit(.rumours([.leave(goodbye)]), to: listener, via: .datagram, emit: emit)
        }
        spread(.leave(goodbye), at: now)
    }

    /// How many members a leaving node tells in person.
    static let goodbyesMax = 64
}
