import Model
import Raft

/// Serving the others: requests into the log, answers, renewals.
extension LockNode {
    /// A node asks for operations: put them into the log, or tell who could.
    mutating func serve(
        _ request: LockRequest, from sender: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard isLeader else {
            return send(.redirect(leader: leader), to: sender, at: now, emit: emit)
        }
        guard request.client == sender, request.operations.allSatisfy(\.isForClients) else {
            return
        }
        switch table.age(of: request) {
        case .repeated(let results):
            // Applied already: the answer was lost. Whether this node still leads does not
            // matter, since what it tells is committed.
            return answer(sender, request.boot, request.sequence, results, at: now, emit: emit)
        case .stale: return
        case .fresh: break
        }
        if let known = leadership?.proposed[sender], known.boot == request.boot,
            known.sequence >= request.sequence
        {
            return
        }
        guard !unseats(request, at: now, emit: emit) else { return }
        leadership?.proposed[sender] = (request.boot, request.sequence)
        propose(request, own: nil, at: now, emit: emit)
    }

    /// An operation of the leader's own, which no client may ask for.
    mutating func proposeOwn(
        _ operation: LockOperation, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let sequence = leadership?.lastOwnSequence else { return }
        leadership?.lastOwnSequence = sequence + 1
        propose(
            LockRequest(
                client: .none, boot: BootID(boot.value ^ engine.term), sequence: sequence + 1,
                operations: [operation]), own: operation, at: now, emit: emit)
    }

    private mutating func propose(
        _ request: LockRequest, own: LockOperation?, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let context = leadership?.newContext() else { return }
        let client = LockLeadership.ClientLife(of: request)
        var payload = LockEntryPayload(stamp: lockTime(at: now), request: request)
        if let session = sessionReplaced(by: request) {
            leadership?.replaced[client] = session
            payload.leaseRest = leaseRest(of: session, at: now)
        }
        leadership?.proposals[context] = LockLeadership.Proposal(client: client, own: own)
        raft(.propose(payload.encoded, context: context), at: now, emit: emit)
    }

    /// The live session in whose place the request opens another one.
    private func sessionReplaced(by request: LockRequest) -> SessionID? {
        let opens = request.operations.contains { operation in
            if case .openSession = operation { true } else { false }
        }
        guard opens, let last = table.lastSessions[request.client], table.sessions[last] != nil
        else { return nil }
        return last
    }

    /// How long somebody may still trust the lease of a session that is being replaced.
    ///
    /// The leader's own daemon is beyond doubt: it is the one that reads this. A copy of it on another
    /// machine is not.
    private func leaseRest(of session: SessionID, at now: Instant) -> UInt64 {
        if let replaced = table.sessions[session], replaced.node == id, machine != .unknown,
            replaced.machine == machine
        {
            return 0
        }
        if configuration.mutation == .freesAtOpening { return 0 }
        return UInt64(clamping: max(expiry(of: session) - now, .zero).nanoseconds)
    }

    /// What the lock's own clock shows: it runs on from the last entry that was applied here, and
    /// so never faster than the fastest voter's clock.
    private func lockTime(at now: Instant) -> UInt64 {
        table.clock.saturatingAdding(UInt64(clamping: (now - clockSample).nanoseconds))
    }

    /// A request was applied; the leader takes note, and answers it.
    mutating func applied(
        _ request: LockRequest, _ results: [LockResult]?, opened: [SessionID], at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard isLeader else { return }
        if let known = leadership?.proposed[request.client],
            known == (request.boot, request.sequence)
        {
            leadership?.proposed[request.client] = nil
        }
        for operation in request.operations { leadership?.settled(operation, at: now) }
        leadership?.replaced[LockLeadership.ClientLife(of: request)] = nil
        for session in opened {
            // New in this entry: no other lease of it was ever promised.
            let lease = LockConfiguration.leaderLease(table.leaseLength)
            leadership?.expiries[session] = now + lease
        }
        guard let results, request.client != .none else { return }
        answer(request.client, request.boot, request.sequence, results, at: now, emit: emit)
    }

    private mutating func answer(
        _ node: NodeID, _ boot: BootID, _ sequence: UInt64, _ results: [LockResult],
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        let retryAfter = results.map { result -> Duration in
            guard case .held(_, _, let session) = result else { return .zero }
            // A claim that waits for its node has no end that could be foretold.
            guard table.sessions[session] != nil else { return table.leaseLength }
            return max(expiry(of: session) - now, .zero)
        }
        if node == id {
            return answered(boot, sequence, results, retryAfter, at: now, emit: emit)
        }
        send(
            .reply(boot: boot, sequence: sequence, results: results, retryAfter: retryAfter),
            to: node, at: now, emit: emit)
    }

    // MARK: Leases

    /// A renewal is a read: it is answered once a majority has confirmed, in a round that began
    /// after its receipt, that this node still leads.
    mutating func serveRenewal(
        of session: SessionID, _ number: UInt64, knowing amendments: UInt64, from node: NodeID,
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard isLeader else {
            if node != id {
                send(.redirect(leader: leader), to: node, at: now, emit: emit)
            }
            return
        }
        guard let context = leadership?.newContext() else { return }
        leadership?.reads[context] = LockLeadership.Renewal(
            session: session, number: number, node: node, amendments: amendments)
        if configuration.mutation == .renewsUnconfirmed {
            return confirmed(context, at: now, emit: emit)
        }
        raft(.readIndex(context: context), at: now, emit: emit)
    }

    /// A majority has confirmed the leader, and everything up to the read's index is applied.
    mutating func confirmed(_ context: UInt64, at now: Instant, emit: (LockEffect) -> Void) {
        guard let renewal = leadership?.reads.removeValue(forKey: context) else { return }
        // Whoever opens another one in its place has counted how long this lease lasts at most.
        let isReplaced = leadership?.replaced.values.contains(renewal.session) == true
        if isReplaced, configuration.mutation != .renewsReplaced { return }
        let isExpiring =
            leadership?.expiring.contains(renewal.session) == true
            && configuration.mutation != .renewsExpiring
        let isShutOut =
            table.amendments.evicted.contains(renewal.node)
            && configuration.mutation != .servesEvicted
        let isAlive =
            table.sessions[renewal.session]?.node == renewal.node && !isExpiring && !isShutOut
        if isAlive { extend(renewal.session, at: now) }
        if renewal.node == id {
            if isAlive {
                renewed(renewal.session, renewal.number, table.leaseLength, at: now, emit: emit)
            } else if let session, session.id == renewal.session {
                lapse(session, emit: emit)
            }
            return
        }
        send(
            isAlive
                ? .renewed(
                    renewal.session, number: renewal.number, leaseLength: table.leaseLength,
                    voters: engine.members.voters)
                : .renewalRefused(renewal.session, number: renewal.number),
            to: renewal.node, at: now, emit: emit)
        tellFloor(to: renewal.node, at: now, emit: emit)
        if renewal.amendments != table.amendments.fingerprint, !isShutOut {
            emit(.showAmendments(to: renewal.node))
        }
    }

    /// Whatever was promised before stands: a lease of today may end sooner than an older one.
    private mutating func extend(_ session: SessionID, at now: Instant) {
        let promised = now + LockConfiguration.leaderLease(table.leaseLength)
        let known = expiry(of: session)
        leadership?.expiries[session] = max(known, promised)
    }

    /// When a session may be expired at the earliest.
    ///
    /// A new leader does not know what the old ones have promised: it waits the longest lease that
    /// may be out from the beginning of its leadership.
    func expiry(of session: SessionID) -> Instant {
        guard let leadership else { return .distantFuture }
        if let known = leadership.expiries[session] { return known }
        if configuration.mutation == .expiresAtOnce { return leadership.since }
        let longest =
            configuration.mutation == .forgetsLongLeases ? table.leaseLength : table.longestLease
        return leadership.since + LockConfiguration.leaderLease(longest)
    }
}

extension LockOperation {
    /// Whether a client may ask for it; the others are the leader's own.
    fileprivate var isForClients: Bool {
        switch self {
        case .openSession, .acquire, .release, .close, .forget, .amend: true
        case .expireSession, .collect, .setLeaseLength, .settleLeaseLength, .endRecovery: false
        }
    }
}
