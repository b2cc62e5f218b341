import Gossip
import Lock
import Model

/// What the table says, and whom it concerns.
extension Node {
    mutating func table(
        _ event: TableEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        var effects: [TableEffect] = []
        table.handle(event, at: now) { effects.append($0) }
        undone += effects.map(PartEffect.table)
        perform(at: now, emit: emit)
    }

    mutating func apply(
        _ effect: TableEffect, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch effect {
        case .send(let bytes, let peer, let channel):
            send(PeerMessage.wrap(table: bytes), to: peer, via: channel, at: now, emit: emit)
        case .persist(let writes, let ticket):
            emit(.persist(writes, persistence.ticket(for: .table(ticket))))
        case .changed(let task):
            reconsider(task, at: now, emit: emit)
            emit(.observe(.taskChanged(task)))
        case .stored(let task, let copies):
            stored(task, copies: copies, emit: emit)
        case .storedLocally(let task):
            for request in cancelReplies.removeValue(forKey: task) ?? [] {
                emit(.reply(request, .accepted))
            }
        case .submitFailed(let task, let reason):
            submissionFailed(task, reason: reason, emit: emit)
        case .collected(let task, let births, let attempts):
            collected(task, births: births, attempts: attempts, at: now, emit: emit)
        case .cloneSuspected:
            emit(
                .observe(
                    .notice(.warning, "heard of own changes that were never made: new origin")))
        }
    }

    /// Looks at a task again after anything about it has changed, and files it where it belongs.
    mutating func reconsider(_ task: TaskID, at now: Instant, emit: (NodeEffect) -> Void) {
        guard let record = table.record(task) else {
            queue.remove(task)
            holders.update(task, holder: nil, resources: .zero)
            return
        }
        let state = record.state
        let isHeld = state == .claimed || state == .running
        holders.update(
            task, holder: isHeld ? record.latestAttempt?.node : nil,
            resources: record.spec.resources)
        if record.isCancelRequested { cancelHoldings(of: task, at: now, emit: emit) }
        if loseVanishedAttempt(record, at: now, emit: emit) { return }
        if isStealable(record), canTake(record) {
            offer(record, at: now)
        } else {
            queue.remove(task)
        }
    }

    /// Whether nobody works on the task, as far as this node can tell; the lock has the last word.
    private func isStealable(_ record: TaskRecord) -> Bool {
        guard record.outcome == nil else { return false }
        guard let attempt = record.latestAttempt else { return true }
        // It may look queued when a copy of this node has taken the attempt for lost.
        guard holdings[ContainerID(task: record.id, token: attempt.token)] == nil else {
            return false
        }
        guard record.state != .queued else { return true }
        // An end that its holder reported but never closed: somebody must close it.
        if record.state.isTerminal { return true }
        if attempt.node == id { return false }
        if let token = voidBelow[attempt.node], attempt.token <= token { return true }
        switch membership.member(attempt.node)?.state {
        case .alive, .suspect: return false
        case .dead, .left, .evicted, nil: return true
        }
    }

    /// Whether this node could do anything for the task at all: run it, or close it.
    private func canTake(_ record: TaskRecord) -> Bool {
        needsOnlyClose(record) || hindrance(to: record.spec) == nil
    }

    private func needsOnlyClose(_ record: TaskRecord) -> Bool {
        record.isCancelRequested || record.state.isTerminal
    }

    private mutating func offer(_ record: TaskRecord, at now: Instant) {
        guard queue[record.id] == nil, claimsInFlight[record.id] == nil else { return }
        let lag = configuration.policy.lag(at: ring.place(for: record.id))
        queue.insert(
            record.id, resources: needsOnlyClose(record) ? .zero : record.spec.resources,
            lag: lag, at: now, generator: random.split())
        if record.state.isTerminal {
            queue.postpone(record.id, until: now + Node.closeWait * (1 + Int(lag)))
        } else if lag >= 1, isHeldByDead(record) {
            queue.postpone(record.id, until: now + Node.goneWait)
        }
        queue.postpone(record.id, until: now + Node.rest(before: record))
        isStealPassNeeded = true
    }

    /// Whether the holder looks dead, and the lock has not said so yet.
    private func isHeldByDead(_ record: TaskRecord) -> Bool {
        guard record.state != .queued, let attempt = record.latestAttempt,
            membership.member(attempt.node)?.state == .dead
        else { return false }
        return attempt.token > voidBelow[attempt.node] ?? .zero
    }

    /// How long those who are not among the first candidates wait for the lock's word that a dead
    /// node's session is over, before they ask themselves.
    private static let goneWait: Duration = .seconds(30)

    /// How long the holder of an ended attempt has to close it before others look after it.
    private static let closeWait: Duration = .seconds(2)

    /// The lock expired a session of `node`: its claims up to `token` are void.
    mutating func void(
        claimsOf node: NodeID, upTo token: FencingToken, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard voidBelow[node] ?? .zero < token, membership.member(node) != nil else { return }
        voidBelow[node] = token
        for task in holders.tasks(of: node) {
            // Whatever it was put off for is over.
            queue.remove(task)
            reconsider(task, at: now, emit: emit)
        }
    }

    private mutating func collected(
        _ task: TaskID, births: [BirthDot], attempts: [FencingToken], at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        queue.remove(task)
        holders.update(task, holder: nil, resources: .zero)
        // It has ended, and every member knew it: whoever still waits has what was asked for.
        for pending in submissions.removeValue(forKey: task) ?? [] {
            emit(.reply(pending.request, .submitted(task, copies: max(1, pending.copies))))
        }
        for request in cancelReplies.removeValue(forKey: task) ?? [] {
            emit(.reply(request, .accepted))
        }
        lock(.collected(births), at: now, emit: emit)
        for token in attempts {
            let container = ContainerID(task: task, token: token)
            if holdings[container] != nil {
                end(container, because: .forfeited, at: now, emit: emit)
            }
            emit(.container(container, .removeLog))
            copier.remove(container)
            emit(.logCopy(container, .remove))
        }
        emit(.observe(.taskChanged(task)))
    }
}
