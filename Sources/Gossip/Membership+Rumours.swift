import Model

/// Dissemination by piggybacked rumours. Source: SWIM §4.1; Lifeguard §IV.C.
extension Membership {
    /// Queues a rumour; it goes out soon, also without a probe to travel on.
    mutating func spread(_ rumour: Rumour) {
        rumours.insert(rumour)
        schedule.rumour = min(schedule.rumour, now + eagerRumourInterval)
    }

    /// How long news waits that was never told: several changes may share a packet.
    private var eagerRumourInterval: Duration { configuration.rumourInterval / 8 }

    /// What travels on a probe or its answer: first what concerns the receiver itself, so that it
    /// can refute (Lifeguard §IV.C, buddy notification), then the least told news.
    mutating func piggyback(for receiver: NodeID) -> [Rumour] {
        var news: [Rumour] = []
        var left = GossipConfiguration.datagramPayloadSizeBytesMax - 32
        if let accusation = table[receiver]?.accusation {
            news.append(.suspect(accusation))
        }
        if isOutdated(receiver), let alive = table[receiver]?.alive {
            // So that it can outdo what it said before, or notice that somebody else says it.
            news.append(.alive(alive))
        }
        for rumour in news { left -= rumour.encoded.count }
        return news + rumours.take(sizeBytesMax: left, tellingsMax: tellingsMax)
    }

    /// Tells waiting rumours to a few members.
    mutating func tellRumours(emit: (GossipEffect) -> Void) {
        let listeners = drawOthers(configuration.rumourFanout)
        for listener in listeners {
            guard !rumours.isEmpty else { break }
            transmit(.rumours(piggyback(for: listener)), to: listener, via: .datagram, emit: emit)
        }
        guard !rumours.isEmpty, !listeners.isEmpty else {
            schedule.rumour = .distantFuture
            return
        }
        // A backlog is told at the faster rate too: many members that come at once.
        let isUrgent = rumours.untoldCount > 0 || rumours.count > Membership.rumourBacklog
        schedule.rumour = now + (isUrgent ? eagerRumourInterval : configuration.rumourInterval)
    }

    /// More waiting rumours than this are a backlog: what two packets hold.
    static let rumourBacklog = 10

    // MARK: Hearing

    /// Takes in news: who may not speak first, then admissions, since statements of new members
    /// hang on them.
    ///
    /// Members tell only what they have verified. So one forged statement ends the reading: its
    /// sender must not make this node verify thousands.
    mutating func hear(_ news: [Rumour], from sender: NodeID?, emit: (GossipEffect) -> Void) {
        for case .amendment(let certificate) in news {
            guard heard(certificate, emit: emit) else {
                return emit(.dropped(reason: "forged statement"))
            }
        }
        guard !isStopped else { return }
        let admissions = news.compactMap { rumour in
            if case .admission(let admission) = rumour { admission } else { nil }
        }
        guard admissions.isEmpty || hear(admissions, emit: emit) else { return }
        for rumour in news {
            let isGenuine =
                switch rumour {
                case .admission, .amendment: true
                case .alive(let alive): heard(alive, from: sender, emit: emit)
                case .leave(let leave): heard(leave, emit: emit)
                case .suspect(let suspect): heardSuspicion(suspect, emit: emit)
                }
            guard isGenuine else { return emit(.dropped(reason: "forged statement")) }
        }
    }

    private mutating func hear(
        _ admissions: [Admission], emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let (added, isForged) = ring?.add(contentsOf: admissions) else { return false }
        for admission in added {
            emit(.persist([MembershipRows.admission(admission)]))
            spread(.admission(admission))
        }
        if isForged { emit(.dropped(reason: "forged statement")) }
        return !isForged
    }

    /// A member says that it is there; returns whether that is genuine, or of no interest.
    private mutating func heard(
        _ alive: AliveStatement, from sender: NodeID?, emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let ring else { return true }
        if alive.subject == id { return heardOfSelf(alive, emit: emit) }
        if ring.isEvicted(alive.subject) { return heardOfEvicted(alive, emit: emit) }
        var known = table[alive.subject]
        if let known, !alive.isNewer(than: known.alive) {
            let isRevived = configuration.mutation == .revivesByOldView && known.state == .dead
            guard isRevived else { return true }
        }
        if configuration.mutation == .leavesDeadForGood, known?.state == .dead { return true }
        guard ring[alive.subject] != nil else {
            if let sender { ask(sender, for: alive.subject, emit: emit) }
            return true
        }
        guard
            ring.verify(
                alive.signature, of: alive.statement(in: ring.cluster), by: alive.subject)
        else { return false }
        guard let metadata = try? NodeMetadata(decoding: alive.metadata) else {
            emit(.dropped(reason: "unreadable metadata"))
            return true
        }
        let isAdmitted = known?.admitsWord(at: now) ?? true
        if let known { table.put(known) }
        guard isAdmitted else {
            emit(.dropped(reason: "busy"))
            return true
        }
        if isContested(alive, emit: emit) { return true }
        takeIn(alive, metadata, emit: emit)
        return true
    }

    /// What was said in a member's name counts, for the life that was in its way is over.
    mutating func takeOver(_ alive: AliveStatement, emit: (GossipEffect) -> Void) {
        guard table[alive.subject].map({ alive.isNewer(than: $0.alive) }) ?? true,
            let metadata = try? NodeMetadata(decoding: alive.metadata)
        else { return }
        takeIn(alive, metadata, emit: emit)
    }

    /// Puts a member's genuine word into the table, and tells.
    private mutating func takeIn(
        _ alive: AliveStatement, _ metadata: NodeMetadata, emit: (GossipEffect) -> Void
    ) {
        let known = table[alive.subject]
        if let known, lives[known.id]?.source == nil, lives[known.id]?.boot == known.alive.boot {
            // Where its life is that is believed, whatever others say in its name.
            lives[known.id]?.source = known.alive.address
        }
        var member = Member(
            alive: alive, metadata: metadata, state: .alive, stateSince: now, leave: known?.leave)
        if member.hasLeft {
            member.state = .left
        } else {
            member.leave = nil
        }
        if let known { member.inherit(from: known) }
        place(member)
        emit(.persist([MembershipRows.member(alive)]))
        emit(.memberChanged(member.info, previous: known?.state))
        spread(.alive(alive))
    }

    /// A member says goodbye; returns whether that is genuine, or of no interest.
    private mutating func heard(
        _ leave: LeaveStatement, emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let ring else { return true }
        if leave.subject == id {
            // Said before this node came back.
            guard leaving == nil, leave.incarnation >= own.incarnation else { return true }
            guard ring.verify(leave.signature, of: leave.statement(in: ring.cluster), by: id)
            else { return false }
            restate(above: leave.incarnation, emit: emit)
            return true
        }
        guard var member = table[leave.subject], member.state != .evicted,
            leave.incarnation >= member.incarnation,
            member.leave.map({ leave.incarnation > $0.incarnation }) ?? true
        else { return true }
        guard
            ring.verify(
                leave.signature, of: leave.statement(in: ring.cluster), by: leave.subject)
        else { return false }
        let isAdmitted = member.admitsWord(at: now)
        table.put(member)
        guard isAdmitted else {
            emit(.dropped(reason: "busy"))
            return true
        }
        member.leave = leave
        member.suspicion = nil
        member.accusation = nil
        member.doubters = []
        let isMistaken = configuration.mutation == .takesLeftForDead
        change(&member, to: isMistaken ? .dead : .left, emit: emit)
        emit(.persist([MembershipRows.leave(leave)]))
        spread(.leave(leave))
        return true
    }
}
