import Gossip
import Lock
import Model

/// A submission whose client waits for more disks.
struct PendingSubmission: Sendable {
    /// The client's request.
    var request: RequestID
    /// How many disks it wants.
    var copiesWanted: Int
    /// How many disks are known to hold the task.
    var copies = 0
}

/// What clients ask for.
extension Node {
    mutating func request(
        _ id: RequestID, _ request: NodeRequest, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if case .join(let seeds, let token) = request {
            return join(id, seeds: seeds, token: token, at: now, emit: emit)
        }
        guard membership.isMember else {
            return emit(.reply(id, .refused(.notMember)))
        }
        if let refusal = refusalOfShutOut, !request.isHarmless {
            return emit(.reply(id, .refused(refusal)))
        }
        switch request {
        case .submit(let spec, let task, let ack):
            submit(id, spec, task: task, ack: ack, at: now, emit: emit)
        case .cancel(let task):
            cancel(id, task, at: now, emit: emit)
        case .signal(let task, let signal):
            sendSignal(id, signal, to: task, at: now, emit: emit)
        case .stats(let task):
            measure(id, task, at: now, emit: emit)
        case .openCall(let task, let target):
            openCall(id, task, target, at: now, emit: emit)
        case .call(let call, let command):
            self.call(id, call, command, at: now, emit: emit)
        case .readLog(let task, let attempt, let start, let waitAtMost):
            readLog(
                id, task: task, attempt: attempt, from: start, waitAtMost: waitAtMost, at: now,
                emit: emit)
        case .join:
            break  // answered above
        case .issueToken(let lifetime, let usesMax):
            issueToken(id, lifetime: lifetime, usesMax: usesMax, at: now, emit: emit)
        case .revokeToken(let name):
            revokeToken(id, name, emit: emit)
        case .leave:
            leave(id, at: now, emit: emit)
        case .forget(let node):
            forget(id, node, at: now, emit: emit)
        case .evict(let node, let isCascading):
            evict(id, node, isCascading: isCascading, at: now, emit: emit)
        case .rotateKey(let key):
            rotateKey(id, to: key, at: now, emit: emit)
        case .recoverLock:
            recoverLock(id, at: now, emit: emit)
        case .nameImage(let name, let digest, let sizeBytes):
            images(
                .name(id, name, digest, sizeBytes: sizeBytes, wall: wallTime(at: now)), at: now,
                emit: emit)
        case .drain:
            if activity == .active { activity = .draining }
            lock(.yieldLeadership, at: now, emit: emit)
            emit(.reply(id, .accepted))
        }
    }

    // MARK: Submission

    private mutating func submit(
        _ request: RequestID, _ wish: TaskSpec, task: TaskID?, ack: AckLevel, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        if let refusal = refusal(of: wish) { return emit(.reply(request, .refused(refusal))) }
        let task = task ?? TaskID(at: wallTime(at: now), using: &random)
        let copiesWanted = copiesWanted(for: ack)
        let known = table.record(task)
        let spec: TaskSpec
        do {
            spec = try resolved(wish, like: known?.spec)
        } catch {
            return emit(.reply(request, .refused(error)))
        }
        guard known == nil || known?.spec == spec else {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(.conflict, "the ID \(task) belongs to a task that differs"))))
        }
        let pending = PendingSubmission(request: request, copiesWanted: copiesWanted)
        if submissions[task] == nil {
            timers.insert(.ackWaitEnded(task), due: now + configuration.ackWait)
        }
        submissions[task, default: []].append(pending)
        if known != nil {
            // Said before, here or elsewhere: it counts as taken in once disks have it.
            return table(.secure(task, wantedCopies: copiesWanted), at: now, emit: emit)
        }
        table(
            .submit(spec, id: task, wall: wallTime(at: now), wantedCopies: copiesWanted),
            at: now, emit: emit)
    }

    private func refusal(of spec: TaskSpec) -> Refusal? {
        guard activity != .starting else {
            return Refusal(.unavailable, "this node has not begun yet; try again in a second")
        }
        guard activity == .active else {
            return Refusal(
                .unavailable, "this node is going down and takes no tasks; ask another node")
        }
        guard spec.hasProgram else {
            return Refusal(.invalid, "the task has no command; give a program to run")
        }
        guard spec.encoded.count <= TaskSpec.sizeBytesMax else {
            return Refusal(
                .invalid,
                "the task's description is larger than \(TaskSpec.sizeBytesMax >> 10) KiB; "
                    + "put large inputs into a volume")
        }
        guard spec.isReadable else {
            return Refusal(
                .invalid,
                "the task's description has more than \(TaskSpec.listCountMax) arguments, variables, "
                    + "volumes or constraints, or a text of more than "
                    + "\(TaskSpec.textSizeBytesMax >> 10) KiB; put large inputs into a volume")
        }
        guard pressure?.isDiskFull != true else {
            return Refusal(
                .storage, "the disk of the data directory is full; the task was not taken in")
        }
        guard !table.isFull, submissions.count < Node.requestsPendingMax else {
            return Refusal(.overloaded, "too many live tasks; try again when some have ended")
        }
        return nil
    }

    /// How many disks a submission waits for; never more than there are members in reach.
    private func copiesWanted(for ack: AckLevel) -> Int {
        let members = membership.members
        let inReach = members.filter(\.state.isInReach).count
        switch ack {
        case .copies(let count):
            return min(max(Int(count), 1), inReach)
        case .majority:
            return min(members.filter { $0.state != .left }.count / 2 + 1, inReach)
        }
    }

    /// This many disks hold the task now.
    mutating func stored(_ task: TaskID, copies: Int, emit: (NodeEffect) -> Void) {
        guard let pending = submissions[task] else { return }
        var waiting: [PendingSubmission] = []
        for var submission in pending {
            submission.copies = max(submission.copies, copies)
            if submission.copies >= submission.copiesWanted {
                emit(.reply(submission.request, .submitted(task, copies: submission.copies)))
            } else {
                waiting.append(submission)
            }
        }
        submissions[task] = waiting.isEmpty ? nil : waiting
    }

    /// The wait for other disks is over: settle for those that there are, the own one at least.
    mutating func settleSubmissions(
        of task: TaskID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let pending = submissions[task] else { return }
        guard let copies = pending.map(\.copies).max(), copies > 0 else {
            // Not even the own disk has answered: only it can tell how this ends.
            timers.insert(.ackWaitEnded(task), due: now + configuration.ackWait)
            return
        }
        submissions[task] = nil
        for submission in pending {
            emit(.reply(submission.request, .submitted(task, copies: copies)))
        }
    }

    mutating func submissionFailed(
        _ task: TaskID, reason: String, emit: (NodeEffect) -> Void
    ) {
        for submission in submissions.removeValue(forKey: task) ?? [] {
            emit(
                .reply(
                    submission.request,
                    .refused(
                        Refusal(
                            .storage,
                            "the task could not be written to disk (\(reason)); another node may "
                                + "have it all the same: repeat it with the same ID"))))
        }
    }

    // MARK: Cancel and signal

    private mutating func cancel(
        _ request: RequestID, _ task: TaskID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let record = table.record(task) else {
            return emit(.reply(request, .refused(.noSuchTask(task))))
        }
        // What was wished for already is so.
        if record.outcome?.kind == .canceled { return emit(.reply(request, .accepted)) }
        guard record.outcome == nil else {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(.conflict, "task \(task) has ended (\(record.state.rawValue))"))))
        }
        guard !record.isCancelRequested || cancelReplies[task] != nil else {
            return emit(.reply(request, .accepted))
        }
        guard cancelReplies.count < Node.requestsPendingMax else {
            return emit(
                .reply(request, .refused(Refusal(.overloaded, "too many cancels at a time"))))
        }
        cancelReplies[task, default: []].append(request)
        table(.cancel(task), at: now, emit: emit)
        if record.state == .queued {
            lock(
                .close(task, nil, TaskOutcome(kind: .canceled), birth: record.birth), at: now,
                emit: emit)
        }
    }

    private mutating func sendSignal(
        _ request: RequestID, _ signal: Int32, to task: TaskID, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard (1...64).contains(signal) else {
            return emit(
                .reply(request, .refused(Refusal(.invalid, "there is no signal \(signal)"))))
        }
        // A program may write, and be answered, before its node knows that it runs.
        guard
            let attempt = attempt(
                of: task, in: [.claimed, .running], for: request, emit: emit)
        else { return }
        let container = ContainerID(task: task, token: attempt.token)
        if attempt.node == id {
            self.signal(container, signal, emit: emit)
        } else {
            send(
                PeerMessage.signal(container, signal).encoded, to: attempt.node, via: .stream,
                at: now, emit: emit)
        }
        emit(.reply(request, .accepted))
    }

    /// The attempt that a task is at in one of these states; refuses the request otherwise.
    func attempt(
        of task: TaskID, in states: Set<TaskState> = [.running], for request: RequestID,
        emit: (NodeEffect) -> Void
    ) -> AttemptRow? {
        guard let record = table.record(task) else {
            emit(.reply(request, .refused(.noSuchTask(task))))
            return nil
        }
        guard states.contains(record.state), let attempt = record.latestAttempt else {
            let conflict = "task \(task) does not run (\(record.state.rawValue))"
            emit(.reply(request, .refused(Refusal(.conflict, conflict))))
            return nil
        }
        return attempt
    }

    mutating func signal(_ container: ContainerID, _ signal: Int32, emit: (NodeEffect) -> Void) {
        switch holdings[container]?.phase {
        case .running:
            emit(.container(container, .signal(signal)))
        case .creating, .starting:
            guard holdings[container]?.signals.count ?? 0 < Holding.signalsMax else { return }
            holdings[container]?.signals.append(signal)
        case .ended, nil:
            break
        }
    }

    // MARK: Membership

    private mutating func join(
        _ request: RequestID, seeds: [PeerAddress], token text: String, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard !membership.isMember else {
            return emit(
                .reply(request, .refused(Refusal(.conflict, "this node is a member already"))))
        }
        guard joinRequest == nil else {
            return emit(
                .reply(request, .refused(Refusal(.conflict, "this node is joining already"))))
        }
        guard let token = JoinToken(text) else {
            return emit(.reply(request, .refused(.malformedToken)))
        }
        joinRequest = request
        gossip(.join(seeds: seeds, token: token), at: now, emit: emit)
    }

    private mutating func leave(
        _ request: RequestID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if case .leaving = activity {
            return emit(
                .reply(request, .refused(Refusal(.conflict, "this node is leaving already"))))
        }
        activity = .leaving(request)
        for id in holdings.keys.sorted() { end(id, because: .handedBack, at: now, emit: emit) }
        leaveIfClear(at: now, emit: emit)
    }

    /// Leaves the voters, then the cluster, once nothing is held any more.
    mutating func leaveIfClear(at now: Instant, emit: (NodeEffect) -> Void) {
        guard case .leaving = activity, holdings.isEmpty, claimsInFlight.isEmpty, !isLeavingLock
        else { return }
        isLeavingLock = true
        lock(.leaveVoters, at: now, emit: emit)
    }

    /// Membership has told the others: the node is out.
    mutating func left(emit: (NodeEffect) -> Void) {
        guard case .leaving(let request) = activity else { return }
        activity = .draining
        emit(.reply(request, .accepted))
    }

    private mutating func forget(
        _ request: RequestID, _ node: NodeID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let member = membership.member(node) else {
            return emit(
                .reply(
                    request, .refused(Refusal(.notFound, "there is no member \(node) here"))))
        }
        guard !member.state.isInReach else {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(
                            .conflict, "node \(member.name) is alive; stop its daemon first"))))
        }
        let pending = forgetReplies.values.reduce(0) { $0 + $1.count }
        guard pending < Node.forgetsPendingMax else {
            return emit(
                .reply(
                    request, .refused(Refusal(.overloaded, "too many such requests are under way")))
            )
        }
        if forgetReplies[node] == nil {
            timers.insert(.forgetUnanswered(node), due: now + Node.forgetWait)
        }
        forgetReplies[node, default: []].append(request)
        lock(.forget(node), at: now, emit: emit)
    }

    /// How many requests to forget a node may wait for the lock.
    static let forgetsPendingMax = 64
    /// How long such a request waits for the lock.
    private static let forgetWait: Duration = .seconds(10)

    /// The lock has declared a node gone, or refuses to.
    mutating func forgotten(_ node: NodeID, isRefused: Bool, emit: (NodeEffect) -> Void) {
        let name = membership.member(node)?.name ?? "\(node)"
        let reply =
            isRefused
            ? NodeReply.refused(
                Refusal(
                    .conflict,
                    "the session of node \(name) is alive in the lock, and its tasks may be "
                        + "running; ask again when its lease is over"))
            : .accepted
        for request in forgetReplies.removeValue(forKey: node) ?? [] {
            emit(.reply(request, reply))
        }
    }

    /// The lock does not answer: it may still do what it was asked for.
    mutating func forgetUnanswered(_ node: NodeID, emit: (NodeEffect) -> Void) {
        for request in forgetReplies.removeValue(forKey: node) ?? [] {
            emit(
                .reply(
                    request,
                    .refused(
                        Refusal(
                            .unavailable,
                            "no majority of the lock's voters answers; ask again later"))))
        }
    }
}

extension Refusal {
    static let notMember = Refusal(.unavailable, "this node has not joined a cluster yet")
    static let seedsUnreachable = Refusal(
        .unreachable,
        "no seed answered; check that a daemon runs there, that its port is open for UDP and TCP, "
            + "and that it can reach this node's --advertise address")

    static func noSuchTask(_ task: TaskID) -> Refusal {
        Refusal(.notFound, "there is no task \(task) here")
    }
}
