import Model

/// Elections: pre-vote, vote, and who may win. Source: paper §5.2, §5.4.1; thesis §9.6.
extension RaftEngine {
    /// Asks whether an election could be won, without disturbing anybody by a new term.
    mutating func campaignBeforeVote(at now: Instant, emit: (RaftEffect) -> Void) {
        becomeFollower(leader: nil, at: now, emit: emit)
        guard term < RaftEngine.termMax else { return }
        role = .preCandidate
        grants = [id]
        refusals = []
        if hasQuorum(where: { grants.contains($0) }) || configuration.mutation == .skipsPreVote {
            return campaign(isTransfer: false, at: now, emit: emit)
        }
        let request = RaftMessage(
            term: term + 1, .preVoteRequest(lastIndex: log.lastIndex, lastTerm: log.lastTerm))
        for peer in voterPeers { emit(.send(request, to: peer)) }
    }

    /// Whether this node may ask for votes.
    ///
    /// Beside the voters, one that the newest members do not name any more: until that change is
    /// committed, perhaps nobody else has all entries (thesis §4.2.2).
    var mayCampaign: Bool {
        if members.isVoter(id) { return true }
        guard membersIndex > max(commitIndex, hardState.leftAtIndex),
            configuration.mutation != .leavesTooEarly
        else { return false }
        return log.members(at: membersIndex - 1).isVoter(id)
    }

    /// Takes note, once, that the change is committed by which this node ceased to vote.
    mutating func settleDeparture() {
        guard areMembersCommitted, hardState.leftAtIndex < membersIndex, !members.isVoter(id),
            membersIndex > log.snapshot.index
        else { return }
        hardState.leftAtIndex = membersIndex
        storage.write.hardState = hardState
    }

    /// Begins a new term, votes for itself, and asks the others.
    ///
    /// Its own vote counts once it is on disk: else a sole voter could lead the same term twice.
    mutating func campaign(isTransfer: Bool, at now: Instant, emit: (RaftEffect) -> Void) {
        guard term < RaftEngine.termMax, mayCampaign else { return }
        endLeading(emit: emit)
        setLeader(nil, emit: emit)
        role = .candidate
        hardState.term += 1
        hardState.vote = id
        storage.write.hardState = hardState
        resetElectionTimer(at: now)
        grants = []
        refusals = []
        storage.sendWhenDurable(RaftMessage(term: term, .voteReply(isGranted: true)), to: id)
        if configuration.mutation == .leadsOnUnwrittenVote, hasQuorum(where: { $0 == id }) {
            return lead(at: now, emit: emit)
        }
        let request = RaftMessage(
            term: term,
            .voteRequest(
                lastIndex: log.lastIndex, lastTerm: log.lastTerm, isTransfer: isTransfer))
        for peer in voterPeers { storage.sendWhenDurable(request, to: peer) }
    }

    mutating func answerPreVote(
        term requested: UInt64, lastIndex: UInt64, lastTerm: UInt64, from candidate: NodeID,
        at now: Instant, emit: (RaftEffect) -> Void
    ) {
        let isGranted =
            requested > term && isUpToDate(lastIndex: lastIndex, lastTerm: lastTerm)
            && !isLeaderBelievedIn(at: now)
        emit(
            .send(
                RaftMessage(
                    term: isGranted ? requested : term, .preVoteReply(isGranted: isGranted)),
                to: candidate))
    }

    mutating func answerVote(
        lastIndex: UInt64, lastTerm: UInt64, from candidate: NodeID, at now: Instant,
        emit: (RaftEffect) -> Void
    ) {
        let hasVote = hardState.vote == nil || hardState.vote == candidate
        let mayVote = hasVote && leader == nil || configuration.mutation == .votesTwice
        let isGranted = mayVote && isUpToDate(lastIndex: lastIndex, lastTerm: lastTerm)
        if isGranted {
            hardState.vote = candidate
            storage.write.hardState = hardState
            resetElectionTimer(at: now)
        }
        let reply = RaftMessage(term: term, .voteReply(isGranted: isGranted))
        if configuration.mutation == .votesBeforeDisk { return emit(.send(reply, to: candidate)) }
        storage.sendWhenDurable(reply, to: candidate)
    }

    mutating func countPreVote(
        term granted: UInt64, isGranted: Bool, from voter: NodeID, at now: Instant,
        emit: (RaftEffect) -> Void
    ) {
        guard role == .preCandidate else { return }
        // A grant names the term that was asked for: one of an earlier term names an older one.
        guard
            granted == term + 1 || !isGranted || configuration.mutation == .countsStalePreVotes
        else { return }
        count(isGranted, of: voter)
        if hasQuorum(where: { grants.contains($0) }) {
            campaign(isTransfer: false, at: now, emit: emit)
        } else if isLost {
            becomeFollower(leader: nil, at: now, emit: emit)
        }
    }

    mutating func countVote(
        isGranted: Bool, from voter: NodeID, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        guard role == .candidate else { return }
        count(isGranted, of: voter)
        if hasQuorum(where: { grants.contains($0) }) {
            lead(at: now, emit: emit)
        } else if isLost {
            becomeFollower(leader: nil, at: now, emit: emit)
        }
    }

    /// Steps back without changing the term.
    mutating func becomeFollower(
        leader: NodeID?, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        endLeading(emit: emit)
        role = .follower
        grants = []
        refusals = []
        resetElectionTimer(at: now)
        setLeader(leader, emit: emit)
    }

    /// A newer term was seen: everything known about the old one is void.
    mutating func enter(term newer: UInt64, at now: Instant, emit: (RaftEffect) -> Void) {
        hardState.term = newer
        hardState.vote = nil
        storage.write.hardState = hardState
        becomeFollower(leader: nil, at: now, emit: emit)
    }

    mutating func setLeader(_ newer: NodeID?, emit: (RaftEffect) -> Void) {
        guard leader != newer else { return }
        leader = newer
        emit(.leaderChanged(newer, term: term))
    }

    /// Whether a leader was heard so lately that a candidate must be a troublemaker (thesis
    /// §4.2.3); a leader believes in itself as long as a majority answers it.
    func isLeaderBelievedIn(at now: Instant) -> Bool {
        if configuration.mutation == .disturbsLeaders { return false }
        return role == .leader || leader != nil && now < leaderHeardUntil
    }

    /// Whether those for which `holds` is true are a majority, of both sides while joint.
    func hasQuorum(where holds: (NodeID) -> Bool) -> Bool {
        if configuration.mutation == .countsJointAsOne {
            return RaftMembers(voters: members.voters + members.outgoingVoters)
                .hasQuorum(where: holds)
        }
        return members.hasQuorum(where: holds)
    }

    private mutating func count(_ isGranted: Bool, of voter: NodeID) {
        guard members.isVoter(voter) else { return }
        if isGranted { grants.insert(voter) } else { refusals.insert(voter) }
    }

    private var isLost: Bool {
        !hasQuorum(where: { !refusals.contains($0) })
    }

    private func isUpToDate(lastIndex: UInt64, lastTerm: UInt64) -> Bool {
        if configuration.mutation == .votesWithoutLogCheck { return true }
        return (lastTerm, lastIndex) >= (log.lastTerm, log.lastIndex)
    }

    private var voterPeers: [NodeID] {
        members.everyone.filter { $0 != id && members.isVoter($0) }
    }
}
