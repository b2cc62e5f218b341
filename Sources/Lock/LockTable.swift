import Model

/// The replicated state of the lock: the same on every voter that has applied the same entries.
///
/// Rules, each with its schedule in `Docs/Safety.md`: a claim's token is the index of the entry
/// that granted it, and so larger than every earlier one; only the expiry of a session, or its
/// holder, opens what it holds; the first close stands; what is collected stays collected.
struct LockTable: Hashable, Sendable {
    /// What is known about a task; absent when it was never claimed.
    enum Entry: Hashable, Sendable {
        case held(Claim)
        /// Nobody holds it; may be claimed again when the lock's clock shows `notBefore`.
        case open(lastToken: FencingToken, birth: BirthDot, notBefore: UInt64)
        case closed(TaskOutcome, FencingToken?, birth: BirthDot?)
    }

    /// A live claim.
    struct Claim: Hashable, Sendable {
        var token: FencingToken
        var session: SessionID
        var birth: BirthDot
        /// Whether the task may not run again once this attempt is lost.
        var isLastAttempt: Bool
        /// Whether the claim outlives its session until the node is back or forgotten.
        var waits: Bool
        /// Set once the session has expired and the claim `waits`.
        var formerHolder: NodeID?
    }

    /// A live session.
    struct Session: Hashable, Sendable {
        var node: NodeID
        var claims: Set<TaskID> = []
    }

    /// The last request of a node, and its answer, for repetitions.
    struct Client: Hashable, Sendable {
        var boot: BootID
        var sequence: UInt64
        var results: [LockResult]
    }

    /// Something that an entry changed and that others may want to know.
    enum Notice: Hashable, Sendable {
        case expired(NodeID, SessionID, [ContainerID])
        case closedAsLost(TaskID, FencingToken, TaskOutcome)
    }

    var generation: UInt32 = 1
    /// The lock's own clock, in nanoseconds; moved by the stamps of entries.
    var clock: UInt64 = 0
    var leaseLength: Duration
    var entries: [TaskID: Entry] = [:]
    var sessions: [SessionID: Session] = [:]
    /// Claims of expired sessions that wait for their node, by node.
    var waiting: [NodeID: Set<TaskID>] = [:]
    var clients: [NodeID: Client] = [:]
    var collected = BirthIntervals()
    var mutation: LockMutation?

    /// Applies a committed entry; a repetition gives the first answer again.
    ///
    /// - Returns: The answers in the order of the operations; `nil` for a request that is older
    ///   than one which was applied already.
    mutating func apply(
        _ payload: LockEntryPayload, index: UInt64, notice: (Notice) -> Void
    ) -> [LockResult]? {
        clock = max(clock, payload.stamp)
        let request = payload.request
        if let last = clients[request.client], last.boot == request.boot {
            if request.sequence == last.sequence { return last.results }
            if request.sequence < last.sequence { return nil }
        }
        let token = FencingToken(generation: generation, index: index)
        let results = request.operations.map {
            apply($0, of: request.client, token: token, notice: notice)
        }
        clients[request.client] = Client(
            boot: request.boot, sequence: request.sequence, results: results)
        return results
    }

    private mutating func apply(
        _ operation: LockOperation, of client: NodeID, token: FencingToken,
        notice: (Notice) -> Void
    ) -> LockResult {
        switch operation {
        case .openSession(let session, let kept):
            open(session, of: client, keeping: kept, notice: notice)
        case .expireSession(let session):
            expire(session, notice: notice)
        case .acquire(let request, let session):
            acquire(request, for: session, of: client, token: token)
        case .release(let claim, let notBefore):
            release(claim, by: client, notBefore: notBefore)
        case .close(let task, let token?, let outcome, _):
            close(task, token, outcome, by: client)
        case .close(let task, nil, let outcome, let birth):
            closeUnclaimed(task, outcome, birth: birth)
        case .forget(let node):
            forget(node, notice: notice)
        case .collect(let dots):
            collect(dots)
        case .setLeaseLength(let length):
            set(leaseLength: length)
        }
    }

    // MARK: Sessions

    private mutating func open(
        _ session: SessionID, of node: NodeID, keeping kept: [ContainerID],
        notice: (Notice) -> Void
    ) -> LockResult {
        guard sessions[session] == nil else { return .noSession }
        var opened = Session(node: node)
        var keeps: [ContainerID] = []
        for claim in kept {
            guard case .held(var held) = entries[claim.task], held.token == claim.token,
                held.formerHolder == node || sessions[held.session]?.node == node
            else { continue }
            sessions[held.session]?.claims.remove(claim.task)
            waiting[node]?.remove(claim.task)
            held.session = session
            held.formerHolder = nil
            entries[claim.task] = .held(held)
            opened.claims.insert(claim.task)
            keeps.append(claim)
        }
        // The node is back: what it does not name it has ended, waiting claims included.
        for task in (waiting.removeValue(forKey: node) ?? []).sorted() {
            lose(task, notice: notice)
        }
        for (old, state) in sessions.sorted(by: { $0.key < $1.key }) where state.node == node {
            sessions[old] = nil
            for task in state.claims.sorted() { lose(task, notice: notice) }
        }
        sessions[session] = opened
        return .opened(kept: keeps, leaseLength: leaseLength)
    }

    private mutating func expire(
        _ session: SessionID, notice: (Notice) -> Void
    ) -> LockResult {
        guard let expired = sessions.removeValue(forKey: session) else { return .noSession }
        var void: [ContainerID] = []
        for task in expired.claims.sorted() {
            guard case .held(var claim) = entries[task] else { continue }
            if claim.waits {
                claim.formerHolder = expired.node
                entries[task] = .held(claim)
                waiting[expired.node, default: []].insert(task)
            } else {
                void.append(ContainerID(task: task, token: claim.token))
                lose(task, notice: notice)
            }
        }
        notice(.expired(expired.node, session, void))
        return .done
    }

    /// An attempt is lost: the task is open again, or ends when it may not run again.
    private mutating func lose(_ task: TaskID, notice: (Notice) -> Void) {
        guard case .held(let claim) = entries[task] else { return }
        if claim.isLastAttempt {
            let outcome = TaskOutcome(kind: .lost, reason: "its node was lost")
            entries[task] = .closed(outcome, claim.token, birth: claim.birth)
            notice(.closedAsLost(task, claim.token, outcome))
        } else {
            entries[task] = .open(lastToken: claim.token, birth: claim.birth, notBefore: clock)
        }
    }

    private mutating func forget(_ node: NodeID, notice: (Notice) -> Void) -> LockResult {
        guard !sessions.values.contains(where: { $0.node == node }) else { return .alive }
        for task in (waiting.removeValue(forKey: node) ?? []).sorted() {
            lose(task, notice: notice)
        }
        return .done
    }

    private mutating func set(leaseLength length: Duration) -> LockResult {
        leaseLength = length
        return .done
    }

    // MARK: Claims

    private mutating func acquire(
        _ request: AcquireRequest, for session: SessionID, of client: NodeID, token: FencingToken
    ) -> LockResult {
        guard sessions[session]?.node == client else { return .noSession }
        guard !collected.contains(request.birth) else { return .collected }
        var granted = token
        switch entries[request.task] {
        case .held(let claim):
            if claim.session == session, claim.formerHolder == nil {
                return .granted(claim.token)
            }
            if mutation != .grantsHeldTasks {
                let holder = claim.formerHolder ?? sessions[claim.session]?.node ?? .none
                return .held(holder, claim.token, claim.session)
            }
        case .open(let lastToken, _, let notBefore):
            guard clock >= notBefore else {
                return .resting(.nanoseconds(Int64(clamping: notBefore - clock)))
            }
            if mutation == .repeatsToken { granted = lastToken }
        case .closed(let outcome, let token, _):
            return .closed(outcome, token)
        case nil:
            break
        }
        entries[request.task] = .held(
            Claim(
                token: granted, session: session, birth: request.birth,
                isLastAttempt: request.restart == .never, waits: request.onPartition == .wait))
        sessions[session]?.claims.insert(request.task)
        return .granted(granted)
    }

    /// The longest rest that a release may ask for.
    static let restMax: Duration = .seconds(3_600)

    private mutating func release(
        _ claim: ContainerID, by client: NodeID, notBefore: Duration
    ) -> LockResult {
        guard let held = claimOf(client, claim.task, claim.token) else {
            if case .closed(let outcome, let token, _) = entries[claim.task] {
                return .closed(outcome, token)
            }
            return .done
        }
        drop(held, of: claim.task)
        let rest = UInt64(clamping: min(max(notBefore, .zero), LockTable.restMax).nanoseconds)
        let (wake, overflow) = clock.addingReportingOverflow(rest)
        entries[claim.task] = .open(
            lastToken: held.token, birth: held.birth, notBefore: overflow ? .max : wake)
        return .done
    }

    /// Only a task that nobody holds can be ended without a claim on it.
    private mutating func closeUnclaimed(
        _ task: TaskID, _ outcome: TaskOutcome, birth: BirthDot?
    ) -> LockResult {
        switch entries[task] {
        case .closed(let first, let firstToken, _):
            return .closed(first, firstToken)
        case .held(let claim):
            let holder = claim.formerHolder ?? sessions[claim.session]?.node ?? .none
            return .held(holder, claim.token, claim.session)
        case .open(_, let birth, _):
            entries[task] = .closed(outcome, nil, birth: birth)
        case nil:
            // It may have ended so long ago that only its birth is remembered.
            if let birth, collected.contains(birth) { return .collected }
            entries[task] = .closed(outcome, nil, birth: birth)
        }
        return .closed(outcome, nil)
    }

    private mutating func close(
        _ task: TaskID, _ token: FencingToken, _ outcome: TaskOutcome, by client: NodeID
    ) -> LockResult {
        if case .closed(let first, let firstToken, _) = entries[task] {
            return .closed(first, firstToken)
        }
        guard let held = claimOf(client, task, token) else { return .noSession }
        drop(held, of: task)
        entries[task] = .closed(outcome, token, birth: held.birth)
        return .closed(outcome, token)
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

    /// Drops the closed entries of collected tasks; their births are remembered as intervals.
    private mutating func collect(_ dots: [BirthDot]) -> LockResult {
        let dots = Set(dots)
        for dot in dots.sorted() { collected.insert(dot) }
        let gone = entries.filter { _, entry in
            if case .closed(_, _, let birth?) = entry { dots.contains(birth) } else { false }
        }
        for task in gone.keys { entries[task] = nil }
        return .done
    }
}
