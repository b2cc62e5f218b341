import Gossip
import Lock
import Model

/// Sessions: what is kept over a restart, and what a lapsed lease ends.
extension Node {
    /// The first event: decide about the containers of an earlier life, then ask for a session.
    mutating func start(at now: Instant, emit: (NodeEffect) -> Void) {
        activity = .active
        guard membership.isMember else { return }
        if isFounding {
            isFounding = false
            emit(.persist(membership.foundingRows, persistence.ticket(for: nil)))
        }
        if table.damagedRows > 0 {
            emit(
                .observe(
                    .notice(
                        .warning,
                        "\(table.damagedRows) rows of the task table on disk could not be read: "
                            + "what they held is fetched from the other nodes")))
        }
        for container in adopted { adopt(container, at: now, emit: emit) }
        adopted = []
        for record in table.records where record.outcome == nil {
            reconsider(record.id, at: now, emit: emit)
        }
        gossip(.voters(lock.voters), at: now, emit: emit)
        // What a crash has kept from the ring, the log knows.
        for amendment in lock.amendments { gossip(.amend(amendment), at: now, emit: emit) }
        shareMembers(at: now, emit: emit)
        needsSession = true
        openSessionIfClear(at: now, emit: emit)
    }

    private mutating func adopt(
        _ container: AdoptedContainer, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let id = container.id
        guard let record = table.record(id.task), record.outcome == nil,
            let row = record.attempts.last(where: { $0.token == id.token && $0.node == self.id })
        else {
            return discard(container, emit: emit)
        }
        var holding = Holding(
            id: id, session: row.session, spec: record.spec, count: row.count, phase: .running,
            claimed: row.claimed ?? wallTime(at: now), started: row.started)
        holding.usage = container.usage
        if !row.phase.isTerminal { holding.note = row.reason }
        // A lease that ended while the daemon was away: the claim may be another node's by now.
        let isForfeited = holding.isLeaseBound && !isLeaseHeld(at: now)
        switch container.state {
        case .started where !isForfeited:
            hold(holding)
            copyLog(of: id, at: now)
            if let timeout = holding.spec.timeout {
                timers.insert(.timedOut(id), due: now + timeout)
            }
            if record.isCancelRequested { end(id, because: .canceled, at: now, emit: emit) }
        case .created, .started, .noted, .used:
            holding.endCause = isForfeited ? .forfeited : .handedBack
            hold(holding)
            emit(.container(id, .kill))
        case .exited, .failed, .vanished:
            if isForfeited { holding.endCause = .forfeited }
            hold(holding)
            self.container(id, container.state, at: now, emit: emit)
        }
    }

    /// A container of which the table knows nothing, or that the cluster has done with.
    private mutating func discard(_ container: AdoptedContainer, emit: (NodeEffect) -> Void) {
        switch container.state {
        case .created, .started, .noted, .used:
            doomed.insert(container.id)
            emit(.container(container.id, .kill))
        case .exited, .failed, .vanished:
            emit(.container(container.id, .remove))
        }
    }

    /// An own attempt of which nothing is left: the machine restarted, the container never was, or
    /// the disk had forgotten the attempt when the daemon restarted.
    ///
    /// - Returns: Whether the record is such a one; it was looked at again since.
    mutating func loseVanishedAttempt(
        _ record: TaskRecord, at now: Instant, emit: (NodeEffect) -> Void
    ) -> Bool {
        guard record.outcome == nil, !mayRunElsewhere, var row = record.latestAttempt,
            row.node == id,
            !row.phase.isTerminal,
            holdings[ContainerID(task: record.id, token: row.token)] == nil
        else { return false }
        row.phase = .lost
        row.reason = "its node restarted"
        row.ended = wallTime(at: now)
        table(.writeAttempt(record.id, row), at: now, emit: emit)
        return true
    }

    /// Asks for a session that keeps every claim which this node still stands for.
    private mutating func openSession(at now: Instant, emit: (NodeEffect) -> Void) {
        let kept = holdings.values.filter { $0.endCause != .forfeited }.map(\.id).sorted()
        lock(.openSession(keeping: kept.map { ($0.task, $0.token) }), at: now, emit: emit)
    }

    /// The session is open: what it did not keep is not ours.
    mutating func sessionOpened(
        kept: [(TaskID, FencingToken)], at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let kept = Set(kept.map { ContainerID(task: $0.0, token: $0.1) })
        for id in kept.sorted() where holdings[id] == nil || holdings[id]?.endCause == .forfeited {
            // Named before the old lease ended, and ended since: the claim is of no use to us.
            if holdings[id] == nil {
                giveBack(id, at: now, emit: emit)
            } else {
                holdings[id]?.endCause = .handedBack
            }
        }
        for id in holdings.keys.sorted() where !kept.contains(id) {
            forfeit(id, at: now, emit: emit)
        }
        isStealPassNeeded = true
        guard mayRunElsewhere else { return }
        mayRunElsewhere = false
        for record in table.records where record.outcome == nil {
            reconsider(record.id, at: now, emit: emit)
        }
    }

    /// A claim that is not held any more, though it was named: what its attempt has reported stands.
    private mutating func giveBack(
        _ id: ContainerID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let record = table.record(id.task).flatMap { record in
            record.latestAttempt?.token == id.token ? record : nil
        }
        if let outcome = record.flatMap(reportedOutcome) {
            return lock(.close(id.task, id.token, outcome), at: now, emit: emit)
        }
        let end = record?.latestAttempt?.end ?? .loss
        lock(.release(id.task, id.token, after: end, notBefore: .zero), at: now, emit: emit)
    }

    /// The lease ended before it was renewed: every container that hangs on it must end now.
    mutating func sessionLapsed(
        _ session: SessionID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        emit(.observe(.leaseLapsed(session)))
        guardWish = nil
        for id in holdings.keys.sorted() where holdings[id]?.isLeaseBound == true {
            forfeit(id, at: now, emit: emit)
        }
        for task in claimsInFlight.keys.sorted() { claimAnswered(task) }
        needsSession = true
        openSessionIfClear(at: now, emit: emit)
    }

    private mutating func forfeit(
        _ id: ContainerID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if holdings[id]?.phase == .ended {
            // The end was reported truthfully, but the lock may never hear of it from us.
            letGo(id, at: now, emit: emit)
        } else {
            end(id, because: .forfeited, at: now, emit: emit)
        }
    }

    /// Whether nothing lives on this machine, as far as is known, that no session keeps.
    private var isClear: Bool {
        doomed.isEmpty && !holdings.values.contains { $0.endCause == .forfeited }
    }

    /// A container that no session keeps has ended: what waited for the last of them can be done.
    mutating func cleared(at now: Instant, emit: (NodeEffect) -> Void) {
        armGuardIfClear(emit: emit)
        openSessionIfClear(at: now, emit: emit)
    }

    /// Prolongs what hangs on the lease; once nothing lives that the session has not kept.
    ///
    /// The guard ends all of that or nothing. What an earlier session held may be another node's as soon
    /// as that session's lease is over, and a kill may hang until then: the guard must not be told
    /// of a later lease before the kill is done.
    mutating func armGuard(until deadline: Instant, emit: (NodeEffect) -> Void) {
        guardWish = deadline
        armGuardIfClear(emit: emit)
    }

    private mutating func armGuardIfClear(emit: (NodeEffect) -> Void) {
        guard let deadline = guardWish, isClear else { return }
        guardWish = nil
        emit(.armGuard(until: deadline))
    }

    /// A session gives back what it does not name: it is opened when nothing of that runs any more.
    mutating func openSessionIfClear(at now: Instant, emit: (NodeEffect) -> Void) {
        guard needsSession, activity == .active || activity == .draining, isClear else { return }
        needsSession = false
        openSession(at: now, emit: emit)
    }
}
