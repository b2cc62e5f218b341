package import Model
import Raft

/// What a leader looks after by itself: sessions, length of leases, voters, collected tasks.
extension LockNode {
    /// How often the leader looks after sessions and voters.
    private static let upkeepInterval: Duration = .milliseconds(250)
    /// How many of its requests a leaving node may miss before it counts as staying.
    static let leavingRequests = 10
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
        proposeRecovered(at: now, emit: emit)
        signFloor(emit: emit)
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

    /// Once no lease of a lost generation can be good any more, the lock grants again.
    private mutating func proposeRecovered(at now: Instant, emit: (LockEffect) -> Void) {
        guard let leadership, table.isRecovering, !leadership.isEndingRecovery,
            leadership.since + LockConfiguration.leaderLease(table.longestLease) <= now
        else { return }
        self.leadership?.isEndingRecovery = true
        proposeOwn(.endRecovery, at: now, emit: emit)
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

    /// The births of tasks that nobody holds and that have an entry yet, sorted.
    package var endedBirths: [BirthDot] {
        table.entries.values.compactMap(\.birthUnlessHeld).sorted()
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
        noteUnheard(at: now)
        let voters = VoterChoice.choose(
            VoterChoice.Situation(
                members: members.values.sorted { $0.id < $1.id },
                leaving: Set(leadership.leaving.keys),
                unheard: self.leadership?.unheard ?? [], voters: engine.members.voters,
                leader: id, replaceAfter: configuration.replaceAfter, now: now))
        guard voters != engine.members.voters else {
            self.leadership?.wanted = nil
            return
        }
        if self.leadership?.wanted?.voters != voters { self.leadership?.wanted = (voters, now) }
        raft(.proposeMembers(voters: voters), at: now, emit: emit)
    }

    /// Who looks alive but takes no part in the log is no voter for this leader.
    private mutating func noteUnheard(at now: Instant) {
        guard let leadership else { return }
        let patience = configuration.replaceAfter
        for voter in engine.members.voters where voter != id {
            let heard = leadership.heard[voter] ?? leadership.since
            if now - heard >= patience, members[voter]?.isInReach == true {
                self.leadership?.unheard.insert(voter)
            } else {
                self.leadership?.unheard.remove(voter)
            }
        }
        // A change waits for its newcomers to catch up, but not for ever.
        if let wanted = leadership.wanted, now - wanted.since >= patience * 2 {
            let newcomers = wanted.voters.filter { !engine.members.voters.contains($0) }
            self.leadership?.unheard.formUnion(newcomers)
        }
    }

    /// Lets the voter lead that was heard last; returns whether there is one.
    @discardableResult
    mutating func handOver(at now: Instant, emit: (LockEffect) -> Void) -> Bool {
        guard isLeader, let heard = leadership?.heard else { return false }
        let others = engine.members.voters.filter { $0 != id && members[$0]?.state == .alive }
        let latest = others.max { left, right in
            let (one, two) = (heard[left] ?? .zero, heard[right] ?? .zero)
            return one == two ? left > right : one < two
        }
        guard let latest else { return false }
        raft(.transferLeadership(latest), at: now, emit: emit)
        return true
    }

    /// How often a leader that leaves asks another voter to lead before it leaves as one.
    private static let handOversMax = 3

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
        if isLeader, handOverCount < LockNode.handOversMax {
            handOverCount += 1
            // The next leader is asked for the rest.
            if handOver(at: now, emit: emit) { return }
        }
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
