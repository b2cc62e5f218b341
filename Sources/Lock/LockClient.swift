import Model
import Raft

/// A node's requests to the lock: one under way, the others gather behind it.
struct LockClient: Sendable {
    /// The request that is under way.
    struct Inflight: Sendable {
        var request: LockRequest
        /// When it was first sent: a lease that it opens counts from here.
        var firstSent: Instant
        /// When it is sent again.
        var resendAt: Instant
        /// How many times it was sent on; bounds a chase after a leader that moves.
        var redirects = 0
        /// To whom it was sent, the latest last: only these are believed.
        var asked: [NodeID] = []
    }

    var queue: [LockOperation] = []
    var inflight: Inflight?
    var lastSequence: UInt64 = 0

    /// How often a request follows redirects before it waits for its time-out.
    static let redirectsMax = 4
    /// How many of those that were asked may still answer.
    static let askedMax = 16

    /// Whether an answer of this node is waited for.
    func waits(for node: NodeID) -> Bool { inflight?.asked.contains(node) == true }

    /// Takes note that a node was asked.
    mutating func note(asked node: NodeID) {
        guard var inflight, inflight.asked.last != node else { return }
        inflight.asked = (inflight.asked.filter { $0 != node } + [node])
            .suffix(LockClient.askedMax)
        self.inflight = inflight
    }

    var resendDue: Instant? { inflight?.resendAt }

    /// Whether an operation more may wait.
    var hasRoom: Bool { queue.count < LockConfiguration.queueMax }
}

// MARK: - Requests

extension LockNode {
    /// Takes an operation in, and sends it if nothing else is under way.
    mutating func enqueue(
        _ operation: LockOperation, at now: Instant, emit: (LockEffect) -> Void
    ) {
        // Without a place in the queue the operation is as good as lost on the way: whoever
        // needs it asks again, and an unreleased claim ends with its session.
        guard client.hasRoom else { return }
        client.queue.append(operation)
        sendNext(at: now, emit: emit)
    }

    mutating func acquire(
        _ requests: [AcquireRequest], at now: Instant, emit: (LockEffect) -> Void
    ) {
        precondition(requests.count <= LockConfiguration.operationsMax, "a batch is too large")
        guard let session, opening == nil, !isHalted else {
            for request in requests { emit(.denied(request.task, .noSession)) }
            return
        }
        for request in requests {
            if client.hasRoom {
                client.queue.append(.acquire(request, session.id))
            } else {
                emit(.denied(request.task, .notBefore(configuration.requestTimeout)))
            }
        }
        sendNext(at: now, emit: emit)
    }

    mutating func sendNext(at now: Instant, emit: (LockEffect) -> Void) {
        guard client.inflight == nil, !client.queue.isEmpty else { return }
        let batch = Array(client.queue.prefix(LockConfiguration.operationsMax))
        client.queue.removeFirst(batch.count)
        client.lastSequence += 1
        let request = LockRequest(
            client: id, boot: boot, sequence: client.lastSequence, operations: batch)
        client.inflight = LockClient.Inflight(
            request: request, firstSent: now, resendAt: now + configuration.requestTimeout)
        deliver(request, at: now, emit: emit)
    }

    /// Sends the request under way again, to whoever may lead now.
    mutating func resend(at now: Instant, emit: (LockEffect) -> Void) {
        guard var inflight = client.inflight else { return }
        // Whoever was asked has not answered: it may be gone, or know nothing.
        if inflight.resendAt <= now { leaderHint = nil }
        inflight.resendAt = now + configuration.requestTimeout
        inflight.redirects = 0
        client.inflight = inflight
        deliver(inflight.request, at: now, emit: emit)
    }

    /// Somebody who was asked does not lead: turn to whom it names.
    mutating func redirected(
        by sender: NodeID, to leader: NodeID?, at now: Instant, emit: (LockEffect) -> Void
    ) {
        if leaderHint == sender { leaderHint = nil }
        guard let leader, leader != sender, leader != id else { return }
        leaderHint = leader
        if var inflight = client.inflight, inflight.redirects < LockClient.redirectsMax {
            inflight.redirects += 1
            client.inflight = inflight
            deliver(inflight.request, at: now, emit: emit)
        }
        if renewal.mayFollowRedirect() { renew(at: now, emit: emit) }
    }

    private mutating func deliver(
        _ request: LockRequest, at now: Instant, emit: (LockEffect) -> Void
    ) {
        if isLeader { return serve(request, from: id, at: now, emit: emit) }
        guard let target = target() else { return }
        if leader == nil { tellFloor(to: target, at: now, emit: emit) }
        client.note(asked: target)
        send(.request(request), to: target, at: now, emit: emit)
    }

    /// The leader, or else somebody who may know it.
    mutating func target() -> NodeID? {
        if let leader, leader != id { return leader }
        let voting = voters.filter { $0 != id && members[$0]?.isInReach == true }
        let named = voting + laterLeaders
        let others = members.values.filter { $0.isInReach && $0.id != id }.map(\.id).sorted()
        return (named.isEmpty ? others : named).randomElement(using: &random)
    }

    // MARK: Answers

    mutating func answered(
        _ boot: BootID, _ sequence: UInt64, _ results: [LockResult], _ retryAfter: [Duration],
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard boot == self.boot, let inflight = client.inflight,
            inflight.request.sequence == sequence,
            results.count == inflight.request.operations.count, retryAfter.count == results.count
        else { return }
        client.inflight = nil
        for (index, operation) in inflight.request.operations.enumerated() {
            take(
                results[index], of: operation, retryAfter: retryAfter[index],
                asked: inflight.firstSent, at: now, emit: emit)
        }
        sendNext(at: now, emit: emit)
    }

    private mutating func take(
        _ result: LockResult, of operation: LockOperation, retryAfter: Duration, asked: Instant,
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        switch operation {
        case .openSession(let session, _, _, _):
            opened(session, result, asked: asked, at: now, emit: emit)
        case .acquire(let request, let session):
            acquired(request.task, result, for: session, retryAfter: retryAfter, emit: emit)
        case .release(let claim, _, _):
            if case .closed(let outcome, let token) = result {
                emit(.closed(claim.task, token, outcome))
            }
            emit(.released(claim.task, claim.token))
        case .close(let task, let token, _, _):
            if case .closed(let outcome, let first) = result {
                emit(.closed(task, first, outcome))
            } else if result == .collected {
                emit(.denied(task, .collected))
            }
            if let token { emit(.released(task, token)) }
        case .forget(let node):
            emit(.forgotten(node, isRefused: result == .alive))
        case .amend(let change):
            emit(.amendmentAnswered(change, LockAmendmentAnswer(result)))
        case .collect, .setLeaseLength, .settleLeaseLength, .expireSession, .endRecovery:
            break
        }
    }

    private mutating func acquired(
        _ task: TaskID, _ result: LockResult, for session: SessionID, retryAfter: Duration,
        emit: (LockEffect) -> Void
    ) {
        switch result {
        case .granted(let token, let count):
            // A late grant is void with its session, when that has lapsed, or is about to be
            // replaced by one that does not keep what it did not know.
            let isLate = self.session?.id != session || opening != nil
            if !isLate || configuration.mutation == .takesLateGrants {
                emit(.granted(task, token, session, count))
            } else {
                emit(.denied(task, .noSession))
            }
        case .held(let node, let token, _):
            emit(.denied(task, .heldBy(node, token, retryAfter: retryAfter)))
        case .closed(let outcome, let token): emit(.denied(task, .closed(outcome, token)))
        case .resting(let rest): emit(.denied(task, .notBefore(rest)))
        case .collected: emit(.denied(task, .collected))
        case .done, .opened, .alive, .succeeds, .full, .overtaken: emit(.denied(task, .noSession))
        case .noSession:
            emit(.denied(task, .noSession))
            if let current = self.session, current.id == session { lapse(current, emit: emit) }
        }
    }
}
