import Model
import Raft

/// What only the leader of the voters keeps; none of it outlives its leadership.
struct LockLeadership: Sendable {
    /// A renewal that waits until a majority has confirmed the leader.
    struct Renewal: Sendable {
        var session: SessionID
        var number: UInt64
        var node: NodeID
    }

    /// When the leadership began, on this node's clock.
    var since: Instant
    /// Until when each session's holder may trust its lease, at the latest.
    var expiries: [SessionID: Instant] = [:]
    /// Sessions whose expiry is proposed: their renewals are refused.
    var expiring: Set<SessionID> = []
    /// Requests that stand in the log, but are not applied yet.
    var proposed: [NodeID: (boot: BootID, sequence: UInt64)] = [:]
    var proposers: [UInt64: NodeID] = [:]
    /// Which proposal expires which session.
    var expiryProposals: [UInt64: SessionID] = [:]
    var reads: [UInt64: Renewal] = [:]
    var leaving: Set<NodeID> = []
    var lastContext: UInt64 = 0
    var lastOwnSequence: UInt64 = 0
    var upkeepDue: Instant
    /// When the length of leases was last changed under this leadership.
    var lengthChanged: Instant?

    init(since: Instant) {
        self.since = since
        upkeepDue = since
    }

    mutating func newContext() -> UInt64 {
        lastContext += 1
        return lastContext
    }

    /// A proposal was not taken: its client will ask again.
    mutating func dropped(_ context: UInt64) {
        if let session = expiryProposals.removeValue(forKey: context) {
            expiring.remove(session)
        }
        guard let node = proposers.removeValue(forKey: context) else { return }
        proposed[node] = nil
    }
}

extension LockNode {
    // MARK: Requests

    /// A node asks for operations: put them into the log, or tell who could.
    mutating func serve(
        _ request: LockRequest, from sender: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard isLeader else {
            return send(.redirect(leader: engine.leader), to: sender, at: now, emit: emit)
        }
        guard request.client == sender, request.operations.allSatisfy(\.isForClients) else {
            return
        }
        if let last = table.clients[sender], last.boot == request.boot,
            request.sequence <= last.sequence
        {
            // Applied already: the answer was lost, or the request is an old copy. Whether this
            // node still leads does not matter, since what it tells is committed.
            guard request.sequence == last.sequence else { return }
            return answer(
                sender, last.boot, last.sequence, last.results, at: now, emit: emit)
        }
        if let known = leadership?.proposed[sender], known.boot == request.boot,
            known.sequence >= request.sequence
        {
            return
        }
        propose(request, at: now, emit: emit)
    }

    /// An operation of the leader's own, which no client may ask for.
    private mutating func proposeOwn(
        _ operation: LockOperation, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard var leadership else { return }
        leadership.lastOwnSequence += 1
        self.leadership = leadership
        propose(
            LockRequest(
                client: .none, boot: BootID(boot.value ^ engine.term),
                sequence: leadership.lastOwnSequence, operations: [operation]), at: now,
            emit: emit)
    }

    private mutating func propose(
        _ request: LockRequest, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let context = leadership?.newContext() else { return }
        leadership?.proposers[context] = request.client
        leadership?.proposed[request.client] = (request.boot, request.sequence)
        let elapsed = UInt64(clamping: (now - clockSample).nanoseconds)
        let payload = LockEntryPayload(
            stamp: table.clock.addingReportingOverflow(elapsed).partialValue, request: request)
        raft(.propose(payload.encoded, context: context), at: now, emit: emit)
    }

    /// A request was applied; the leader answers it.
    mutating func applied(
        _ request: LockRequest, _ results: [LockResult]?, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard isLeader else { return }
        if let known = leadership?.proposed[request.client],
            known == (request.boot, request.sequence)
        {
            leadership?.proposed[request.client] = nil
        }
        for operation in request.operations {
            switch operation {
            case .openSession(let session, _):
                leadership?.expiries[session] =
                    now + configuration.leaderLease(table.leaseLength)
            case .setLeaseLength:
                leadership?.lengthChanged = now
            case .expireSession(let session):
                leadership?.expiring.remove(session)
                leadership?.expiries[session] = nil
            default: break
            }
        }
        if let results, request.client != .none {
            answer(request.client, request.boot, request.sequence, results, at: now, emit: emit)
        }
    }

    private mutating func answer(
        _ node: NodeID, _ boot: BootID, _ sequence: UInt64, _ results: [LockResult],
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        let retryAfter = results.map { result -> Duration in
            guard case .held(_, _, let session) = result else { return .zero }
            return max(expiry(of: session) - now, .zero)
        }
        if node == id {
            answered(boot, sequence, results, retryAfter, at: now, emit: emit)
        } else {
            send(
                .reply(boot: boot, sequence: sequence, results: results, retryAfter: retryAfter),
                to: node,
                at: now, emit: emit)
        }
    }

    // MARK: Leases

    /// A renewal is a read: it is answered once a majority has confirmed, in a round that began
    /// after its receipt, that this node still leads.
    mutating func serveRenewal(
        of session: SessionID, _ number: UInt64, from node: NodeID, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard isLeader else {
            if node != id {
                send(.redirect(leader: engine.leader), to: node, at: now, emit: emit)
            }
            return
        }
        guard let context = leadership?.newContext() else { return }
        leadership?.reads[context] = LockLeadership.Renewal(
            session: session, number: number, node: node)
        if configuration.mutation == .renewsUnconfirmed {
            return confirmed(context, at: now, emit: emit)
        }
        raft(.readIndex(context: context), at: now, emit: emit)
    }

    /// A majority has confirmed the leader, and everything up to the read's index is applied.
    mutating func confirmed(_ context: UInt64, at now: Instant, emit: (LockEffect) -> Void) {
        guard let renewal = leadership?.reads.removeValue(forKey: context) else { return }
        let isAlive =
            table.sessions[renewal.session]?.node == renewal.node
            && leadership?.expiring.contains(renewal.session) == false
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
                    renewal.session, number: renewal.number, leaseLength: table.leaseLength)
                : .renewalRefused(renewal.session, number: renewal.number),
            to: renewal.node, at: now, emit: emit)
    }

    /// A longer lease that was granted before, here or by an earlier leader, stays good.
    private mutating func extend(_ session: SessionID, at now: Instant) {
        let extended = now + configuration.leaderLease(table.leaseLength)
        let until = max(expiry(of: session), extended)
        leadership?.expiries[session] = until
    }

    /// When a session may be expired at the earliest.
    ///
    /// A new leader does not know what the old one has promised: it waits the longest lease from
    /// the beginning of its leadership.
    private func expiry(of session: SessionID) -> Instant {
        guard let leadership else { return .distantFuture }
        if let known = leadership.expiries[session] { return known }
        if configuration.mutation == .expiresAtOnce { return leadership.since }
        return leadership.since + configuration.leaderLease(table.longestLease)
    }

    // MARK: Upkeep

    /// How often the leader looks after sessions and voters.
    private static let upkeepInterval: Duration = .milliseconds(250)

    mutating func upkeep(at now: Instant, emit: (LockEffect) -> Void) {
        leadership?.upkeepDue = now + LockNode.upkeepInterval
        guard isLeader, engine.hasCommittedInTerm else { return }
        for session in table.sessions.keys.sorted() where expiry(of: session) <= now {
            guard leadership?.expiring.insert(session).inserted == true else { continue }
            // The context that the proposal will have, should it be turned down.
            if let context = leadership?.lastContext {
                leadership?.expiryProposals[context + 1] = session
            }
            proposeOwn(.expireSession(session), at: now, emit: emit)
        }
        let length =
            engine.members.voters.count >= 3
            ? configuration.leaseLength : configuration.leaseLengthWithFewVoters
        if table.leaseLength != length, leadership?.proposed[.none] == nil {
            proposeOwn(.setLeaseLength(length), at: now, emit: emit)
        }
        settleLeaseLength(at: now, emit: emit)
        guard let leadership, !members.isEmpty else { return }
        let voters = VoterChoice.choose(
            VoterChoice.Situation(
                members: members.values.sorted { $0.id < $1.id }, leaving: leadership.leaving,
                voters: engine.members.voters, leader: id,
                replaceAfter: configuration.replaceAfter, now: now))
        if voters != engine.members.voters {
            raft(.proposeMembers(voters: voters), at: now, emit: emit)
        }
    }

    /// Once nobody can hold a longer lease from before, later leaders need not wait for it.
    private mutating func settleLeaseLength(at now: Instant, emit: (LockEffect) -> Void) {
        guard let leadership, table.longestLease > table.leaseLength,
            leadership.proposed[.none] == nil
        else { return }
        let since = max(leadership.since, leadership.lengthChanged ?? leadership.since)
        guard since + configuration.leaderLease(table.longestLease) <= now else { return }
        proposeOwn(.settleLeaseLength, at: now, emit: emit)
    }

    /// Entries of collected tasks shrink; the leader's copy of the table decides for all.
    mutating func collect(_ dots: [BirthDot], at now: Instant, emit: (LockEffect) -> Void) {
        guard isLeader else { return }
        let fresh = dots.filter { !table.collected.contains($0) }
        var rest = fresh[...]
        while !rest.isEmpty {
            proposeOwn(
                .collect(Array(rest.prefix(LockOperation.dotsMax))), at: now, emit: emit)
            rest = rest.dropFirst(LockOperation.dotsMax)
        }
    }

    /// The own vote is gone.
    mutating func departed(emit: (LockEffect) -> Void) {
        guard departure != nil, !hasLeftVoters else { return }
        hasLeftVoters = true
        departure = nil
        emit(.leftVoters)
    }

    /// Gives up the own vote, and says so once it is gone.
    mutating func depart(at now: Instant, emit: (LockEffect) -> Void) {
        guard departure != nil, !hasLeftVoters else { return }
        let isAlone = !members.values.contains { $0.id != id && $0.isInReach }
        if isAlone || !engine.members.isVoter(id) && !isLeader {
            return departed(emit: emit)
        }
        departure = now + configuration.requestTimeout
        if isLeader {
            leadership?.leaving.insert(id)
            upkeep(at: now, emit: emit)
        } else if let target = target() {
            send(.leaving, to: target, at: now, emit: emit)
        }
    }
}

extension LockOperation {
    /// Whether a client may ask for it; the others are the leader's own.
    fileprivate var isForClients: Bool {
        switch self {
        case .openSession, .acquire, .release, .close, .forget: true
        case .expireSession, .collect, .setLeaseLength, .settleLeaseLength: false
        }
    }
}
