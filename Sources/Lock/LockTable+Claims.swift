import Model

/// Claims: granted, given back, closed, collected.
extension LockTable {
    mutating func acquire(
        _ request: AcquireRequest, for session: SessionID, of client: NodeID, token: FencingToken
    ) -> LockResult {
        guard sessions[session]?.node == client else { return .noSession }
        guard !isCollected(request.task, request.birth) || mutation == .grantsCollected else {
            return .collected
        }
        if isRecovering, !isOwnClaim(request.task, of: session) {
            return .resting(LockTable.recoveryRest)
        }
        var granted = token
        var count = AttemptCount.first
        switch entries[request.task] {
        case .held(let claim):
            if claim.session == session, claim.formerHolder == nil {
                return .granted(claim.token, claim.count)
            }
            if mutation != .grantsHeldTasks { return held(claim) }
        case .open(let lastToken, _, let next, let notBefore):
            guard clock >= notBefore else {
                return .resting(.nanoseconds(Int64(clamping: notBefore - clock)))
            }
            if mutation == .repeatsToken {
                granted = lastToken
            } else if granted <= lastToken {
                // Claimed and given back within one entry: the next entry has a larger index.
                return .resting(.zero)
            }
            count = next
        case .closed(let outcome, let token, _):
            return .closed(outcome, token)
        case nil:
            guard !isFull else { return .resting(LockTable.fullRest) }
        }
        put(
            .held(
                Claim(
                    token: granted, session: session, birth: request.birth, count: count,
                    isLastAttempt: request.isLast(count), waits: request.onPartition == .wait,
                    machine: sessions[session]?.machine ?? .unknown)), for: request.task)
        sessions[session]?.claims.insert(request.task)
        return .granted(granted, count)
    }

    private func isOwnClaim(_ task: TaskID, of session: SessionID) -> Bool {
        guard case .held(let claim)? = entries[task] else { return false }
        return claim.session == session && claim.formerHolder == nil
    }

    /// How long a task rests that is asked for while the lock recovers.
    static let recoveryRest: Duration = .seconds(1)

    /// The longest rest that a release may ask for.
    static let restMax: Duration = .seconds(3_600)

    mutating func release(
        _ claim: ContainerID, by client: NodeID, after end: AttemptEnd?, notBefore: Duration
    ) -> LockResult {
        guard let held = claimOf(client, claim.task, claim.token) else {
            if case .closed(let outcome, let token, _) = entries[claim.task] {
                return .closed(outcome, token)
            }
            return .done
        }
        drop(held, of: claim.task)
        let rest = UInt64(clamping: min(max(notBefore, .zero), LockTable.restMax).nanoseconds)
        put(
            .open(
                lastToken: held.token, birth: held.birth, next: held.count.next(after: end),
                notBefore: clock.saturatingAdding(rest)),
            for: claim.task)
        return .done
    }

    /// Only a task that nobody holds can be ended without a claim on it.
    mutating func closeUnclaimed(
        _ task: TaskID, _ outcome: TaskOutcome, birth: BirthDot?
    ) -> LockResult {
        switch entries[task] {
        case .closed(let first, let firstToken, let birth):
            guard mutation == .reopensClosed else { return .closed(first, firstToken) }
            put(.closed(outcome, nil, birth: birth), for: task)
        case .held(let claim):
            return held(claim)
        case .open where isRecovering, nil where isRecovering:
            return .resting(LockTable.recoveryRest)
        case .open(_, let birth, _, _):
            put(.closed(outcome, nil, birth: birth), for: task)
        case nil:
            // It may have ended so long ago that only its birth is remembered.
            if isCollected(task, birth) { return .collected }
            guard !isFull else { return .resting(LockTable.fullRest) }
            put(.closed(outcome, nil, birth: birth), for: task)
        }
        return .closed(outcome, nil)
    }

    mutating func close(
        _ task: TaskID, _ token: FencingToken, _ outcome: TaskOutcome, by client: NodeID
    ) -> LockResult {
        if case .closed(let first, let firstToken, _) = entries[task] {
            return .closed(first, firstToken)
        }
        guard let held = claimOf(client, task, token) else { return .noSession }
        drop(held, of: task)
        put(.closed(outcome, token, birth: held.birth), for: task)
        return .closed(outcome, token)
    }

    /// Drops the entries of collected tasks; their births are remembered as intervals.
    ///
    /// What is held yet keeps its entry until its holder has given it back.
    mutating func collect(_ dots: [BirthDot]) -> LockResult {
        let dots = Set(dots)
        for dot in dots.sorted() { collected.insert(dot) }
        let gone = entries.filter { _, entry in entry.birthUnlessHeld.map(dots.contains) ?? false }
        // By way of `put`, which remembers them.
        for (task, entry) in gone.sorted(by: { $0.key < $1.key }) { put(entry, for: task) }
        return .done
    }

    private func held(_ claim: Claim) -> LockResult {
        let holder = claim.formerHolder ?? sessions[claim.session]?.node ?? .none
        return .held(holder, claim.token, claim.session)
    }

    /// The claim under this token, if `client` still holds it.
    private func claimOf(_ client: NodeID, _ task: TaskID, _ token: FencingToken) -> Claim? {
        guard case .held(let claim) = entries[task], claim.token == token,
            claim.formerHolder == nil, sessions[claim.session]?.node == client
        else { return nil }
        return claim
    }

    private mutating func drop(_ claim: Claim, of task: TaskID) {
        sessions[claim.session]?.claims.remove(task)
    }
}
