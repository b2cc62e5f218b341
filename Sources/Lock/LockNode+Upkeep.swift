import Model
import Raft

/// What a leader looks after by itself: sessions, length of leases, voters, collected tasks.
extension LockNode {
    /// How often the leader looks after sessions and voters.
    private static let upkeepInterval: Duration = .milliseconds(250)
    /// How many of its requests a leaving node may miss before it counts as staying.
    private static let leavingRequests = 10
    /// How many births of collected tasks wait for the log at most; further ones keep their entry.
    static let uncollectedMax = 65_536

    mutating func upkeep(at now: Instant, emit: (LockEffect) -> Void) {
        leadership?.upkeepDue = now + LockNode.upkeepInterval
        guard isLeader, engine.hasCommittedInTerm else { return }
        for session in leadership?.expiries.keys.sorted() ?? []
        where table.sessions[session] == nil {
            leadership?.expiries[session] = nil
        }
        for session in table.sessions.keys.sorted() where expiry(of: session) <= now {
            guard leadership?.expiring.insert(session).inserted == true else { continue }
            proposeOwn(.expireSession(session), at: now, emit: emit)
        }
        proposeLeaseLength(at: now, emit: emit)
        proposeCollected(at: now, emit: emit)
        proposeVoters(at: now, emit: emit)
    }

    /// The length of leases stands in the log, so that all leaders count alike.
    mutating func proposeLeaseLength(at now: Instant, emit: (LockEffect) -> Void) {
        let length =
            engine.members.voters.count >= 3
            ? configuration.leaseLength : configuration.leaseLengthWithFewVoters
        guard leadership?.isSettingLength == false else { return }
        if table.leaseLength != length {
            leadership?.isSettingLength = true
            proposeOwn(.setLeaseLength(length), at: now, emit: emit)
        } else if table.longestLease > length, isLongestLeaseOver(at: now) {
            leadership?.isSettingLength = true
            proposeOwn(.settleLeaseLength, at: now, emit: emit)
        }
    }

    /// Whether nobody can hold a longer lease from before: later leaders need not wait for it.
    private func isLongestLeaseOver(at now: Instant) -> Bool {
        guard let leadership, engine.hasCommittedInTerm else { return false }
        let since = max(leadership.since, leadership.lengthChanged ?? leadership.since)
        return since + LockConfiguration.leaderLease(table.longestLease) <= now
    }

    // MARK: Collected tasks

    /// Every member of the log remembers what is collected until the log holds it, since any of
    /// them may lead next.
    mutating func collect(_ dots: [BirthDot], at now: Instant, emit: (LockEffect) -> Void) {
        guard engine.members.everyone.contains(id) else { return }
        for dot in dots where !table.collected.contains(dot) {
            guard uncollected.count < LockNode.uncollectedMax else { return }
            uncollected.insert(dot)
        }
    }

    private mutating func proposeCollected(at now: Instant, emit: (LockEffect) -> Void) {
        guard !uncollected.isEmpty, leadership?.isCollecting == false else { return }
        uncollected = uncollected.filter { !table.collected.contains($0) }
        let dots = Array(uncollected.sorted().prefix(LockOperation.dotsMax))
        guard !dots.isEmpty else { return }
        leadership?.isCollecting = true
        proposeOwn(.collect(dots), at: now, emit: emit)
    }

    // MARK: Voters

    private mutating func proposeVoters(at now: Instant, emit: (LockEffect) -> Void) {
        guard var leadership, !members.isEmpty else { return }
        leadership.leaving = leadership.leaving.filter { node, until in
            // Once it has left, membership knows: if it comes back, it is as good as any.
            until > now && members[node]?.state != .left
        }
        self.leadership?.leaving = leadership.leaving
        let voters = VoterChoice.choose(
            VoterChoice.Situation(
                members: members.values.sorted { $0.id < $1.id },
                leaving: Set(leadership.leaving.keys), voters: engine.members.voters, leader: id,
                replaceAfter: configuration.replaceAfter, now: now))
        if voters != engine.members.voters {
            raft(.proposeMembers(voters: voters), at: now, emit: emit)
        }
    }

    /// A node is about to leave: choose others, then tell it that it may go.
    mutating func wantsToLeave(
        _ node: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard isLeader else {
            return send(.redirect(leader: leader), to: node, at: now, emit: emit)
        }
        leadership?.leaving[node] =
            now + configuration.requestTimeout * LockNode.leavingRequests
        upkeep(at: now, emit: emit)
        tellDeparted(at: now, emit: emit)
    }

    /// Tells those who want to leave and have no vote any more; a lost word is asked for again.
    mutating func tellDeparted(at now: Instant, emit: (LockEffect) -> Void) {
        guard let leaving = leadership?.leaving.keys.sorted(), engine.hasCommittedInTerm,
            engine.areMembersCommitted
        else { return }
        for node in leaving where node != id && !engine.members.isVoter(node) {
            send(.departed, to: node, at: now, emit: emit)
        }
    }

    /// Gives up the own vote, and says so once it is gone.
    mutating func depart(at now: Instant, emit: (LockEffect) -> Void) {
        guard departure != nil, !hasLeftVoters else { return }
        let isAlone = !members.values.contains { $0.id != id && $0.isInReach }
        let hasNoVote = !engine.members.isVoter(id) && !isLeader && engine.areMembersCommitted
        if isAlone || hasNoVote { return departed(emit: emit) }
        departure = now + configuration.requestTimeout
        if isLeader {
            leadership?.leaving[id] =
                now + configuration.requestTimeout * LockNode.leavingRequests
            upkeep(at: now, emit: emit)
        } else if let target = target() {
            send(.leaving, to: target, at: now, emit: emit)
        }
    }

    mutating func departed(emit: (LockEffect) -> Void) {
        guard departure != nil, !hasLeftVoters else { return }
        hasLeftVoters = true
        departure = nil
        emit(.leftVoters)
    }
}
