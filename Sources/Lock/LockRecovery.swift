package import Model

/// What a node knows of tasks when it begins the lock anew, for lack of a majority of voters.
package struct LockRecovery: Sendable {
    /// The newest attempt on a task that has no confirmed end.
    package struct Attempt: Hashable, Sendable {
        /// The task.
        package var task: TaskID
        /// Its birth dot.
        package var birth: BirthDot
        /// The attempt's token.
        package var token: FencingToken
        /// The session that claimed it.
        package var session: SessionID
        /// The holder.
        package var node: NodeID
        /// Whether it may still run, as far as is known.
        package var isLive: Bool
        /// Whether it must not run elsewhere before its node is back or forgotten: its policy is
        /// to wait, or never to run again.
        package var waits: Bool
        /// Of the attempt.
        package var count: AttemptCount
        /// How it ended, when it has (`isLive` is false).
        package var end: AttemptEnd
        /// Whether the task may not run again once this attempt is lost.
        package var isLastAttempt: Bool

        /// Makes an attempt.
        package init(
            task: TaskID, birth: BirthDot, token: FencingToken, session: SessionID, node: NodeID,
            isLive: Bool, waits: Bool, count: AttemptCount = .first, end: AttemptEnd = .loss,
            isLastAttempt: Bool
        ) {
            self.task = task
            self.birth = birth
            self.token = token
            self.session = session
            self.node = node
            self.isLive = isLive
            self.waits = waits
            self.count = count
            self.end = end
            self.isLastAttempt = isLastAttempt
        }
    }

    /// A confirmed end.
    package struct Close: Hashable, Sendable {
        /// The task.
        package var task: TaskID
        /// Its birth dot.
        package var birth: BirthDot
        /// The token under which it ended, if it was claimed.
        package var token: FencingToken?
        /// How it ended.
        package var outcome: TaskOutcome

        /// Makes an end.
        package init(
            task: TaskID, birth: BirthDot, token: FencingToken?, outcome: TaskOutcome
        ) {
            self.task = task
            self.birth = birth
            self.token = token
            self.outcome = outcome
        }
    }

    /// The newest attempts on tasks that have no confirmed end.
    package var attempts: [Attempt] = []
    /// The confirmed ends.
    package var closes: [Close] = []
    /// Who may not speak any more, in the order in which that was agreed.
    package var amendments: [Amendment] = []
    /// Births of collected tasks: first and last of each interval.
    package var collected: [(first: BirthDot, last: UInt64)] = []

    /// The latest generation of which a token tells, 0 when none does.
    var generation: UInt32 {
        let tokens = attempts.map(\.token) + closes.compactMap(\.token)
        return tokens.map(\.generation).max() ?? 0
    }

    /// Knows nothing.
    package init() {}
}

extension LockTable {
    /// The table with which a new generation begins.
    ///
    /// Nothing is granted before `endRecovery`: somebody may hold a claim of which nobody told.
    ///
    /// - Parameters:
    ///   - recovery: What is known of the lost one.
    ///   - generation: The new one.
    ///   - longest: The longest lease that may be out.
    ///   - lost: This node's copy of the lost table: it may know where claims were made.
    init(
        recovering recovery: LockRecovery, generation: UInt32, longest: Duration,
        after lost: LockTable
    ) {
        self.init(generation: generation)
        longestLease = longest
        isRecovering = true
        amendments = Amendments(recovery.amendments + lost.amendments.all)
        for (first, last) in recovery.collected where first.sequence <= last {
            collected.insert(first.sequence...last, of: first.origin)
        }
        for close in recovery.closes {
            put(.closed(close.outcome, close.token, birth: close.birth), for: close.task)
        }
        for attempt in recovery.attempts {
            guard attempt.isLive else {
                put(
                    .open(
                        lastToken: attempt.token, birth: attempt.birth,
                        next: attempt.count.next(after: attempt.end), notBefore: 0),
                    for: attempt.task)
                continue
            }
            put(
                .held(
                    Claim(
                        token: attempt.token, session: attempt.session, birth: attempt.birth,
                        count: attempt.count, isLastAttempt: attempt.isLastAttempt,
                        waits: attempt.waits, formerHolder: attempt.node,
                        machine: lost.machine(of: attempt))), for: attempt.task)
            waiting[attempt.node, default: []].insert(attempt.task)
        }
    }

    /// Where a claim was made, if this table knows it or its session.
    private func machine(of attempt: LockRecovery.Attempt) -> MachineID {
        if case .held(let claim)? = entries[attempt.task], claim.token == attempt.token {
            return claim.machine
        }
        return sessions[attempt.session]?.machine ?? .unknown
    }

    /// The longest lease of the lost generation is over: what hung on it is free.
    mutating func endRecovery(notice: (Notice) -> Void) -> LockResult {
        guard isRecovering else { return .done }
        isRecovering = false
        for node in waiting.keys.sorted() {
            for task in (waiting[node] ?? []).sorted() {
                guard case .held(let claim) = entries[task],
                    !claim.waits || amendments.evicted.contains(node)
                else { continue }
                waiting[node]?.remove(task)
                lose(task, notice: notice)
            }
        }
        return .done
    }
}
