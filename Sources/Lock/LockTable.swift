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
        /// Nobody holds it; may be claimed again when the lock's clock shows `notBefore`, for the
        /// attempt with the count `next`.
        case open(
            lastToken: FencingToken, birth: BirthDot, next: AttemptCount, notBefore: UInt64)
        case closed(TaskOutcome, FencingToken?, birth: BirthDot?)
    }

    /// A live claim.
    struct Claim: Hashable, Sendable {
        var token: FencingToken
        var session: SessionID
        var birth: BirthDot
        /// Of this attempt.
        var count: AttemptCount
        /// Whether the task may not run again once this attempt is lost.
        var isLastAttempt: Bool
        /// Whether the claim outlives its session until the node is back or forgotten.
        var waits: Bool
        /// Set once the session has expired and the claim `waits`.
        var formerHolder: NodeID?
        /// Where it was made; unknown when a lost generation's lock did not tell.
        var machine: MachineID
    }

    /// A live session.
    struct Session: Hashable, Sendable {
        var node: NodeID
        var machine: MachineID
        var claims: Set<TaskID> = []
    }

    /// Something that an entry changed and that others may want to know.
    enum Notice: Hashable, Sendable {
        case expired(NodeID, SessionID, [ContainerID])
        case closedAsLost(TaskID, FencingToken, TaskOutcome)
        case amended(Amendment)
    }

    var generation: UInt32 = 1
    /// Whether claims of a lost generation may be out of which nobody has told: nothing is granted.
    var isRecovering = false
    /// The lock's own clock, in nanoseconds; moved by the stamps of entries.
    var clock: UInt64 = 0
    /// How long leases are; zero until the first entry that says so, and until then no session
    /// can be opened: what a voter's configuration says must not enter replicated state.
    var leaseLength: Duration
    /// The longest lease that a holder may still trust, whichever leader granted it.
    var longestLease: Duration
    private(set) var entries: [TaskID: Entry] = [:]
    var sessions: [SessionID: Session] = [:]
    /// The session that each node opened last, alive or not: the next one must name it.
    var lastSessions: [NodeID: SessionID] = [:]
    /// Claims of expired sessions that wait for their node, by node.
    var waiting: [NodeID: Set<TaskID>] = [:]
    private(set) var clients: [NodeID: Client] = [:]
    var collected = BirthIntervals()
    private(set) var collectedTasks = CollectedTasks()
    /// Who may not speak any more, in the order in which that was agreed.
    var amendments = Amendments()
    /// About how many bytes entries, and clients, take in a snapshot; never too few.
    private(set) var entriesSizeBytes = 0
    private(set) var clientsSizeBytes = 0
    /// From here on no task gets an entry that has none; lowered by tests only.
    var entriesSizeBytesMax = LockTable.entriesSizeBytesMax
    var sizeBytesMax = LockTable.sizeBytesMax
    var mutation: LockMutation?

    init(generation: UInt32 = 1, clock: UInt64 = 0, leaseLength: Duration = .zero) {
        self.generation = generation
        self.clock = clock
        self.leaseLength = leaseLength
        longestLease = leaseLength
    }

    /// Three quarters of what a snapshot may hold: entries that are there may still grow.
    static let entriesSizeBytesMax = 48 << 20
    /// Seven eighths of what a snapshot may hold, for everything in it.
    static let sizeBytesMax = 56 << 20
    /// How long a task rests that finds the table full.
    static let fullRest: Duration = .seconds(30)

    /// Applies a committed entry; a repetition gives the first answer again.
    ///
    /// - Returns: The answers in the order of the operations; `nil` for a request that is older
    ///   than one which was applied already.
    mutating func apply(
        _ payload: LockEntryPayload, index: UInt64, notice: (Notice) -> Void
    ) -> [LockResult]? {
        clock = max(clock, payload.stamp)
        let request = payload.request
        switch age(of: request) {
        case .repeated(let results): return results
        case .stale: return nil
        case .fresh: break
        }
        let token = FencingToken(generation: generation, index: index)
        // What a node had under way when it was shut out is void, whenever it arrives.
        let isVoid =
            amendments.evicted.contains(request.client) && mutation != .servesEvicted
        let results = request.operations.map {
            isVoid
                ? .noSession
                : apply(
                    $0, of: request.client, token: token, leaseRest: payload.leaseRest,
                    notice: notice)
        }
        remember(request, results, at: index)
        return results
    }

    private mutating func apply(
        _ operation: LockOperation, of client: NodeID, token: FencingToken, leaseRest: UInt64,
        notice: (Notice) -> Void
    ) -> LockResult {
        switch operation {
        case .openSession(let session, let kept, let last, let machine):
            open(
                Session(node: client, machine: machine), session, keeping: kept, after: last,
                leaseRest: leaseRest, notice: notice)
        case .expireSession(let session):
            expire(session, notice: notice)
        case .acquire(let request, let session):
            acquire(request, for: session, of: client, token: token)
        case .release(let claim, let end, let notBefore):
            release(claim, by: client, after: end, notBefore: notBefore)
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
        case .settleLeaseLength:
            settleLeaseLength()
        case .endRecovery:
            endRecovery(notice: notice)
        case .amend(let change):
            amend(change, by: client, at: token, notice: notice)
        }
    }

    // MARK: Entries

    /// An attempt is lost: the task is open again, or ends when it may not run again.
    mutating func lose(
        _ task: TaskID, restingFor rest: UInt64 = 0, notice: (Notice) -> Void
    ) {
        guard case .held(let claim) = entries[task] else { return }
        if claim.isLastAttempt {
            let outcome = TaskOutcome(kind: .lost, reason: "its node was lost")
            put(.closed(outcome, claim.token, birth: claim.birth), for: task)
            notice(.closedAsLost(task, claim.token, outcome))
        } else {
            put(
                .open(
                    lastToken: claim.token, birth: claim.birth,
                    next: claim.count.next(after: .loss),
                    notBefore: clock.saturatingAdding(rest)), for: task)
        }
    }

    /// Changes an entry; one that nobody holds and whose task is collected goes instead.
    mutating func put(_ entry: Entry?, for task: TaskID) {
        var entry = entry
        if let birth = entry?.birthUnlessHeld, collected.contains(birth) {
            entry = nil
            collectedTasks.insert(task)
        }
        entriesSizeBytes += (entry?.sizeBytes ?? 0) - (entries[task]?.sizeBytes ?? 0)
        entries[task] = entry
    }

    /// Changes what is remembered of a client.
    mutating func put(_ client: Client?, for node: NodeID) {
        clientsSizeBytes += (client?.sizeBytes ?? 0) - (clients[node]?.sizeBytes ?? 0)
        clients[node] = client
    }

    /// About how many bytes the table takes in a snapshot; never too few.
    var sizeBytes: Int {
        entriesSizeBytes + clientsSizeBytes + collected.sizeBytes + amendments.sizeBytes
            + 64 * (1 + sessions.count + lastSessions.count) + 16 * collectedTasks.count
    }

    /// Takes the tasks of a snapshot.
    mutating func restore(_ tasks: CollectedTasks) { collectedTasks = tasks }

    /// Whether a task is known to be collected, by its birth or by itself.
    func isCollected(_ task: TaskID, _ birth: BirthDot?) -> Bool {
        if let birth, collected.contains(birth) { return true }
        return entries[task] == nil && collectedTasks.contains(task)
    }

    /// Whether a task that has no entry must wait for one.
    var isFull: Bool { entriesSizeBytes >= entriesSizeBytesMax || sizeBytes >= sizeBytesMax }
}

extension LockTable.Entry {
    /// At most how many bytes it takes in a snapshot, its task included.
    var sizeBytes: Int {
        switch self {
        case .held: 100
        case .open: 76
        case .closed(let outcome, _, _): 80 + outcome.reason.utf8.count
        }
    }

    /// The birth of a task that nobody holds.
    var birthUnlessHeld: BirthDot? {
        switch self {
        case .held: nil
        case .open(_, let birth, _, _): birth
        case .closed(_, _, let birth): birth
        }
    }
}

extension UInt64 {
    /// The sum, or the end of the range.
    func saturatingAdding(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
