import Lock
import Model

/// The life of a claim: granted, container made, lease checked, started, ended, settled.
extension Node {
    /// The lock granted a claim: make the container, or settle at once what needs none.
    mutating func granted(
        _ task: TaskID, _ token: FencingToken, _ session: SessionID, _ count: AttemptCount,
        at now: Instant, emit: (NodeEffect) -> Void
    ) {
        claimAnswered(task)
        queue.remove(task)
        emit(.observe(.claimGranted(task, token)))
        guard let record = table.record(task), activity == .active,
            lock.session?.id == session
        else {
            return lock(.release(task, token, after: nil, notBefore: .zero), at: now, emit: emit)
        }
        if record.isCancelRequested {
            return lock(
                .close(task, token, TaskOutcome(kind: .canceled)), at: now, emit: emit)
        }
        if let outcome = reportedOutcome(of: record) {
            // Its last holder reported an end and was lost before the lock knew: running the
            // task again would undo what somebody may have read.
            return lock(.close(task, token, outcome), at: now, emit: emit)
        }
        let id = ContainerID(task: task, token: token)
        let holding = Holding(
            id: id, session: session, spec: record.spec, count: count, phase: .creating,
            claimed: wallTime(at: now))
        hold(holding)
        writeRow(holding, .claimed, at: now, emit: emit)
        create(id, record.spec, at: now, emit: emit)
    }

    /// The end that the newest attempt has reported, when no other follows it.
    func reportedOutcome(of record: TaskRecord) -> TaskOutcome? {
        guard let attempt = record.latestAttempt, !record.runsAgain else { return nil }
        switch attempt.phase {
        case .complete:
            return TaskOutcome(kind: .complete, exit: attempt.exit, reason: attempt.reason)
        case .canceled:
            return TaskOutcome(kind: .canceled, exit: attempt.exit, reason: attempt.reason)
        case .failed:
            return TaskOutcome(kind: .failed, exit: attempt.exit, reason: attempt.reason)
        case .lost:
            return TaskOutcome(kind: .lost, reason: attempt.reason)
        case .claimed, .starting, .running:
            return nil
        }
    }

    /// The container runtime tells about a container.
    mutating func container(
        _ id: ContainerID, _ event: ContainerEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard var holding = holdings[id], holding.phase != .ended else {
            // Not ours any more, or settled already: make sure that nothing is left of it.
            switch event {
            case .created, .started: emit(.container(id, .kill))
            case .noted, .used: break
            case .exited, .failed, .vanished:
                emit(.container(id, .remove))
                if doomed.remove(id) != nil { cleared(at: now, emit: emit) }
            }
            return
        }
        switch event {
        case .created:
            let mayStart = isLeaseHeld(at: now) || configuration.mutation == .startsUnchecked
            guard holding.endCause == nil, mayStart else {
                // Nothing has run: without a lease the claim is lost, or goes back.
                let cause: Holding.EndCause = holding.isLeaseBound ? .forfeited : .handedBack
                holdings[id]?.endCause = holding.endCause ?? cause
                emit(.container(id, .kill))
                return
            }
            holding.phase = .starting
            holdings[id] = holding
            emit(.container(id, .start))
        case .started:
            holding.phase = .running
            holding.started = wallTime(at: now)
            let signals = holding.signals
            holding.signals = []
            holdings[id] = holding
            for signal in signals { emit(.container(id, .signal(signal))) }
            writeRow(holding, .running, at: now, emit: emit)
            if let timeout = holding.spec.timeout {
                timers.insert(.timedOut(id), due: now + timeout)
            }
            if let cause = holding.endCause { askToEnd(holding, cause, at: now, emit: emit) }
        case .noted(let text):
            holdings[id]?.note = TaskOutcome.cut(text)
        case .used(let usage):
            holdings[id]?.usage = usage
        case .exited(let status):
            ended(holding, exit: status, reason: "", at: now, emit: emit)
        case .failed(let failure):
            ended(
                holding, exit: ExitStatus(code: failure.code), reason: failure.message, at: now,
                emit: emit)
        case .vanished(let reason):
            vanished(holding, reason: reason, at: now, emit: emit)
        }
    }

    /// The rule "create → check the lease → start": no program starts without a live lease.
    func isLeaseHeld(at now: Instant) -> Bool {
        guard let session = lock.session else { return false }
        return now < session.leaseUntil
    }

    /// Decides that a container must end, and begins to end it.
    mutating func end(
        _ id: ContainerID, because cause: Holding.EndCause, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard let holding = holdings[id], holding.phase != .ended else { return }
        guard holding.endCause == nil || cause == .forfeited else { return }
        holdings[id]?.endCause = cause
        askToEnd(holding, cause, at: now, emit: emit)
    }

    private mutating func askToEnd(
        _ holding: Holding, _ cause: Holding.EndCause, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        switch (holding.phase, cause) {
        case (.ended, _): break
        case (.creating, .forfeited) where isWaitingForImage(holding):
            stopWaiting(holding, at: now, emit: emit)
        case (_, .forfeited), (.starting, _): emit(.container(holding.id, .kill))
        case (.creating, _):
            // `.created` will find the cause and kill, unless nothing is being made yet.
            stopWaiting(holding, at: now, emit: emit)
        case (.running, _):
            emit(.container(holding.id, .stop(holding.spec.options.stopSignal)))
            timers.insert(.graceEnded(holding.id), due: now + holding.spec.grace)
        }
    }

    mutating func graceEnded(_ id: ContainerID, emit: (NodeEffect) -> Void) {
        guard let holding = holdings[id], holding.phase != .ended else { return }
        emit(.container(id, .kill))
    }

    /// A user wishes the task to end: end what this node runs of it.
    mutating func cancelHoldings(of task: TaskID, at now: Instant, emit: (NodeEffect) -> Void) {
        guard let token = table.record(task)?.latestAttempt?.token else { return }
        end(ContainerID(task: task, token: token), because: .canceled, at: now, emit: emit)
    }

    /// The program has ended, or could not be started: tell the table, then the lock.
    mutating func ended(
        _ holding: Holding, exit: ExitStatus, reason: String, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        markEnded(holding.id)
        emit(.container(holding.id, .remove))
        switch holding.endCause {
        case .forfeited:
            drop(holding, reason: "the node's lease ended", at: now, emit: emit)
        case .handedBack where holding.phase == .creating:
            giveBack(holding, nil, reason: "its node left", rest: .zero, at: now, emit: emit)
        case .handedBack where !holding.runsAgain(after: .loss):
            close(holding, .lost, exit: exit, reason: "its node left", at: now, emit: emit)
        case .handedBack:
            giveBack(holding, .loss, reason: "its node left", rest: .zero, at: now, emit: emit)
        case .canceled:
            close(holding, .canceled, exit: exit, reason: reason, at: now, emit: emit)
        case .timedOut:
            let limit = holding.spec.timeout?.seconds ?? 0
            failed(
                holding, exit: exit, reason: "used up its run time of \(limit) s", at: now,
                emit: emit)
        case nil where exit.code == 0 && reason.isEmpty:
            succeeded(holding, exit: exit, at: now, emit: emit)
        case nil:
            failed(holding, exit: exit, reason: reason, at: now, emit: emit)
        }
    }

    private mutating func succeeded(
        _ holding: Holding, exit: ExitStatus, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard holding.runsAgain(after: .success) else {
            return close(holding, .complete, exit: exit, reason: "", at: now, emit: emit)
        }
        writeRow(holding, .complete, exit: exit, at: now, emit: emit)
        release(holding, .success, rest: rest(after: holding, at: now), at: now, emit: emit)
    }

    private mutating func failed(
        _ holding: Holding, exit: ExitStatus, reason: String, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        var reason = reason
        if exit.wasOutOfMemory, reason.isEmpty { reason = "out of memory" }
        guard holding.runsAgain(after: .failure) else {
            return close(holding, .failed, exit: exit, reason: reason, at: now, emit: emit)
        }
        writeRow(holding, .failed, exit: exit, reason: reason, at: now, emit: emit)
        release(holding, .failure, rest: rest(after: holding, at: now), at: now, emit: emit)
    }

    /// How long a task rests before its next attempt: 1 s, doubled with each attempt, 60 s at most;
    /// after a program that ran for a while 1 s again.
    private func rest(after holding: Holding, at now: Instant) -> Duration {
        Node.rest(started: holding.started, ended: wallTime(at: now), holding.count)
    }

    /// The same, as others see it who hear of the end: they need not ask the lock before.
    static func rest(before record: TaskRecord) -> Duration {
        guard record.state == .queued, let attempt = record.latestAttempt,
            attempt.phase == .failed || attempt.phase == .complete, let ended = attempt.ended
        else { return .zero }
        return rest(started: attempt.started, ended: ended, attempt.count)
    }

    private static func rest(
        started: WallTime?, ended: WallTime, _ count: AttemptCount
    ) -> Duration {
        let ran = started.map { ended.milliseconds - $0.milliseconds } ?? 0
        guard ran < calmMilliseconds else { return restMin }
        return rest(doubled: max(0, Int(count.used) - 1))
    }

    /// The same for a container that could not be made, which is no attempt: doubled with each that
    /// could not be made just before, by whomever.
    private func restUnmade(_ holding: Holding) -> Duration {
        let earlier = table.record(holding.id.task)?.attempts.filter {
            $0.token < holding.id.token
        }
        let unmade = (earlier ?? []).reversed().prefix { $0.phase == .lost && $0.started == nil }
        return Node.rest(doubled: unmade.count)
    }

    private static func rest(doubled count: Int) -> Duration {
        min(restMin * (1 << min(count, 6)), restMax)
    }

    /// The shortest rest between two attempts.
    static let restMin: Duration = .seconds(1)
    /// The longest rest between two attempts.
    static let restMax: Duration = .seconds(60)
    /// How long a program must run for its end not to lengthen the next rest, in milliseconds.
    static let calmMilliseconds: Int64 = 10_000

    /// The exit status is lost: nobody knows how the attempt ended.
    private mutating func vanished(
        _ holding: Holding, reason: String, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        markEnded(holding.id)
        emit(.container(holding.id, .remove))
        switch holding.endCause {
        case .forfeited:
            drop(holding, reason: reason, at: now, emit: emit)
        case nil where holding.phase == .creating:
            // It never ran, but may elsewhere; not here at once, though. What must not run twice
            // is closed as lost by whoever claims it next: a row can't tell that it never ran.
            giveBack(
                holding, nil, reason: reason, rest: restUnmade(holding), at: now, emit: emit)
        case .canceled:
            close(holding, .canceled, exit: nil, reason: reason, at: now, emit: emit)
        case .timedOut, .handedBack, nil:
            guard holding.runsAgain(after: .loss) else {
                return close(holding, .lost, exit: nil, reason: reason, at: now, emit: emit)
            }
            giveBack(holding, .loss, reason: reason, rest: .zero, at: now, emit: emit)
        }
    }

    private mutating func close(
        _ holding: Holding, _ kind: TaskOutcome.Kind, exit: ExitStatus?, reason: String,
        at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let phase: AttemptRow.Phase =
            switch kind {
            case .complete: .complete
            case .failed: .failed
            case .canceled: .canceled
            case .lost: .lost
            }
        writeRow(holding, phase, exit: exit, reason: reason, at: now, emit: emit)
        lock(
            .close(
                holding.id.task, holding.id.token,
                TaskOutcome(kind: kind, exit: exit, reason: reason)),
            at: now, emit: emit)
    }

    /// The claim goes back into the lock: anyone may take the task; `end` is `nil` when it never ran.
    private mutating func giveBack(
        _ holding: Holding, _ end: AttemptEnd?, reason: String, rest: Duration, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        writeRow(holding, .lost, hasRun: end != nil, reason: reason, at: now, emit: emit)
        release(holding, end, rest: rest, at: now, emit: emit)
    }

    private mutating func release(
        _ holding: Holding, _ end: AttemptEnd?, rest: Duration, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        lock(
            .release(holding.id.task, holding.id.token, after: end, notBefore: rest), at: now,
            emit: emit)
    }

    /// The claim is no longer this node's: nothing to tell the lock.
    private mutating func drop(
        _ holding: Holding, reason: String, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        holdings[holding.id] = nil
        writeRow(holding, .lost, reason: reason, at: now, emit: emit)
        cleared(at: now, emit: emit)
    }

    /// The lock has taken note of the end: nothing is left to do for this claim.
    mutating func settled(_ id: ContainerID, at now: Instant, emit: (NodeEffect) -> Void) {
        guard holdings[id]?.phase == .ended else { return }
        letGo(id, at: now, emit: emit)
        leaveIfClear(at: now, emit: emit)
    }

    /// An ended attempt concerns this node no more than any other; if it was reported and not
    /// closed, this node may be the only one that can close it.
    mutating func letGo(_ id: ContainerID, at now: Instant, emit: (NodeEffect) -> Void) {
        holdings[id] = nil
        reconsider(id.task, at: now, emit: emit)
    }

    private mutating func writeRow(
        _ holding: Holding, _ phase: AttemptRow.Phase, exit: ExitStatus? = nil,
        hasRun: Bool = true, reason: String = "", at now: Instant, emit: (NodeEffect) -> Void
    ) {
        var row = AttemptRow(
            token: holding.id.token, session: holding.session, node: id, phase: phase)
        row.count = holding.count
        if !hasRun, row.count.used > 0 { row.count.used -= 1 }
        row.exit = exit
        row.reason = Node.words(reason, holding.note, exit)
        if phase.isTerminal { row.usage = holding.usage }
        row.claimed = holding.claimed
        row.started = holding.started
        if phase.isTerminal { row.ended = wallTime(at: now) }
        table(.writeAttempt(holding.id.task, row), at: now, emit: emit)
        if phase == .running || phase.isTerminal { copyLog(of: holding.id, at: now) }
    }

    /// Why an attempt ended, and what is to be noted about it; a note is not to read as the cause.
    private static func words(_ reason: String, _ note: String, _ exit: ExitStatus?) -> String {
        guard !note.isEmpty else { return reason }
        if let exit, exit.code != 0, reason.isEmpty {
            return TaskOutcome.cut("it ended with \(exit.code); \(note)")
        }
        return reason.isEmpty ? note : TaskOutcome.cut("\(reason); \(note)")
    }

    // MARK: Room

    /// Keeps a claim, and reserves what it asks for until its program has ended.
    mutating func hold(_ holding: Holding) {
        holdings[holding.id] = holding
        reserved.add(holding.spec.resources)
    }

    private mutating func markEnded(_ id: ContainerID) {
        guard let holding = holdings[id], holding.phase != .ended else { return }
        holdings[id]?.phase = .ended
        reserved.subtract(holding.spec.resources)
        isStealPassNeeded = true
    }

    /// The lock has answered for a task that it was asked for.
    mutating func claimAnswered(_ task: TaskID) {
        guard let resources = claimsInFlight.removeValue(forKey: task) else { return }
        reserved.subtract(resources)
        isStealPassNeeded = true
    }
}
