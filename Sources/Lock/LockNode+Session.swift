import Model

/// The node's session: opened, renewed, and lapsed for good.
extension LockNode {
    mutating func opened(
        _ id: SessionID, _ result: LockResult, asked: Instant, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard opening == id else { return }
        opening = nil
        guard case .opened(let kept, let length) = result else {
            // The ID was taken: cannot happen by chance; try another one.
            return openSession(keeping: [], at: now, emit: emit)
        }
        leaseLength = length
        let opened = LockSession(id: id, leaseUntil: asked + trusted(length))
        session = opened
        store(opened, emit: emit)
        renewal = LockRenewal(due: now, lastNumber: renewal.lastNumber)
        emit(
            .sessionOpened(
                id, kept: kept.map { ($0.task, $0.token) }, leaseUntil: opened.leaseUntil))
        if opened.leaseUntil <= now { return lapse(opened, emit: emit) }
        renew(at: now, emit: emit)
    }

    /// Shows the leader that the session lives, several times per lease.
    mutating func renew(at now: Instant, emit: (LockEffect) -> Void) {
        guard let session, opening == nil else {
            renewal.due = nil
            return
        }
        renewal.lastNumber += 1
        let number = renewal.lastNumber
        renewal.sent[number] = now
        if renewal.sent.count > LockRenewal.sentMax, let oldest = renewal.sent.keys.min() {
            renewal.sent[oldest] = nil
        }
        renewal.due = now + leaseLength / LockConfiguration.renewalsPerLease
        if isLeader {
            serveRenewal(of: session.id, number, from: id, at: now, emit: emit)
        } else if let target = target() {
            send(.renew(session.id, number: number), to: target, at: now, emit: emit)
        }
    }

    mutating func renewed(
        _ id: SessionID, _ number: UInt64, _ length: Duration, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard var session, session.id == id, let sent = renewal.sent.removeValue(forKey: number)
        else { return }
        leaseLength = length
        // Counted from the sending: the leader counts from a later moment on.
        let until = sent + trusted(length)
        guard until > session.leaseUntil else { return }
        session.leaseUntil = until
        self.session = session
        store(session, emit: emit)
        emit(.leaseExtended(id, until: until))
    }

    /// The session is dead for good, whatever the lock still thinks.
    mutating func lapse(_ lapsed: LockSession, emit: (LockEffect) -> Void) {
        session = nil
        renewal.due = nil
        renewal.sent = [:]
        persist([.delete(.session, key: LockSessionRow.key)], emit: emit)
        var denied: [TaskID] = []
        client.queue.removeAll { operation in
            guard case .acquire(let request, _) = operation else { return false }
            denied.append(request.task)
            return true
        }
        for task in denied { emit(.denied(task, .noSession)) }
        emit(.sessionLapsed(lapsed.id))
    }

    private func trusted(_ length: Duration) -> Duration {
        let lease = configuration.holderLease(length)
        return configuration.mutation == .holdsTooLong ? lease * 2 : lease
    }

    private mutating func store(_ session: LockSession, emit: (LockEffect) -> Void) {
        // Nobody waits for this write: an older row only ends the lease earlier after a restart.
        persist(
            [
                .put(
                    .session, key: LockSessionRow.key, value: LockSessionRow(session).encoded)
            ], emit: emit)
    }
}
