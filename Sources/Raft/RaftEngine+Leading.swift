import Model

/// Leading: heartbeats, check-quorum, proposals, reads and handing over.
extension RaftEngine {
    /// Won: begins the term with an entry of its own (paper §8).
    mutating func lead(at now: Instant, emit: (RaftEffect) -> Void) {
        role = .leader
        grants = []
        refusals = []
        leading = RaftLeading(
            quorumDeadline: now + configuration.electionTimeout,
            firstIndexOfTerm: log.lastIndex + 1)
        for peer in members.everyone where peer != id {
            leading?.progress[peer] = RaftLeading.Progress(nextIndex: log.lastIndex + 1)
        }
        setLeader(id, emit: emit)
        append(RaftEntry(term: term, content: .noop), emit: emit)
        heartbeat(at: now, emit: emit)
    }

    /// Whatever waited for this leader is told that it leads no more.
    mutating func endLeading(emit: (RaftEffect) -> Void) {
        guard let leading else { return }
        self.leading = nil
        heartbeatDeadline = nil
        for read in leading.reads { emit(.readDropped(context: read.context)) }
        for context in leading.earlyReads { emit(.readDropped(context: context)) }
    }

    /// Shows everybody that the leader lives; steps down when no majority answers any more.
    mutating func heartbeat(at now: Instant, emit: (RaftEffect) -> Void) {
        heartbeatDeadline = now + configuration.heartbeatInterval
        if let leading, leading.quorumDeadline <= now {
            let isHeard = hasQuorum { peer in
                peer == id || leading.progress[peer]?.answeredRound ?? 0 > leading.quorumRound
            }
            guard isHeard || configuration.mutation == .leadsWithoutQuorum else {
                return becomeFollower(leader: nil, at: now, emit: emit)
            }
            self.leading?.quorumRound = leading.round
            self.leading?.quorumDeadline = now + configuration.electionTimeout
            self.leading?.transferTarget = nil
        }
        for peer in members.everyone where peer != id {
            leading?.progress[peer]?.unansweredHeartbeats += 1
        }
        beginRound(emit: emit)
    }

    /// Begins a round: what is confirmed in it was asked for before it.
    mutating func beginRound(emit: (RaftEffect) -> Void) {
        leading?.round += 1
        for peer in members.everyone where peer != id {
            sendAppend(to: peer, isHeartbeat: true, emit: emit)
        }
        confirmReads(emit: emit)
    }

    // MARK: Proposals

    mutating func propose(
        _ command: [UInt8], context: UInt64, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        guard role == .leader, leading?.transferTarget == nil, members.isVoter(id),
            command.count <= RaftEntry.commandSizeBytesMax,
            log.lastIndex - commitIndex < configuration.uncommittedMax,
            log.sizeBytes(after: commitIndex) < configuration.uncommittedSizeBytesMax
        else { return emit(.dropped(context: context, leader: role == .leader ? nil : leader)) }
        append(RaftEntry(term: term, content: .command(command)), emit: emit)
        emit(.proposed(context: context, index: log.lastIndex))
        replicate(emit: emit)
    }

    // MARK: Members (paper §6)

    mutating func proposeMembers(
        voters: [NodeID], at now: Instant, emit: (RaftEffect) -> Void
    ) {
        let voters = Array(Set(voters)).sorted()
        guard role == .leader, !voters.isEmpty, voters.count <= RaftMembers.countMax / 2,
            mayChangeMembers, voters != members.voters
        else { return }
        let newcomers = voters.filter { !members.isVoter($0) }
        leading?.change = RaftLeading.Change(voters: voters)
        if members.learners != newcomers {
            appendMembers(RaftMembers(voters: members.voters, learners: newcomers), emit: emit)
        } else {
            advanceChange(emit: emit)
        }
    }

    /// One change at a time, each on committed ground, and none before this term has committed.
    private var mayChangeMembers: Bool {
        if configuration.mutation == .overlapsChanges { return true }
        return !members.isJoint && membersIndex <= commitIndex && hasCommittedInTerm
    }

    /// Takes the next step of a change, once the last one is committed.
    mutating func advanceChange(emit: (RaftEffect) -> Void) {
        guard role == .leader, membersIndex <= commitIndex, hasCommittedInTerm else { return }
        if members.isJoint {
            return appendMembers(RaftMembers(voters: members.voters), emit: emit)
        }
        guard let change = leading?.change else { return }
        let newcomers = change.voters.filter { !members.isVoter($0) }
        guard newcomers.allSatisfy(hasCaughtUp) else { return }
        leading?.change = nil
        guard change.voters != members.voters else { return }
        var next = RaftMembers(voters: change.voters, outgoingVoters: members.voters)
        if configuration.mutation == .skipsJoint { next.outgoingVoters = [] }
        appendMembers(next, emit: emit)
    }

    private func hasCaughtUp(_ node: NodeID) -> Bool {
        if configuration.mutation == .promotesAtOnce { return true }
        guard let progress = leading?.progress[node] else { return node == id }
        return log.lastIndex - min(progress.matchIndex, log.lastIndex)
            <= configuration.catchUpMargin && progress.matchIndex > 0
    }

    private mutating func appendMembers(_ members: RaftMembers, emit: (RaftEffect) -> Void) {
        append(RaftEntry(term: term, content: .members(members)), emit: emit)
        let present = Set(members.everyone)
        for peer in present.sorted() where peer != id && leading?.progress[peer] == nil {
            leading?.progress[peer] = RaftLeading.Progress(nextIndex: log.lastIndex)
        }
        replicate(emit: emit)
        for peer in (leading?.progress.keys.sorted() ?? []) where !present.contains(peer) {
            leading?.progress[peer] = nil
        }
    }

    // MARK: Reads (thesis §6.4)

    mutating func readIndex(context: UInt64, at now: Instant, emit: (RaftEffect) -> Void) {
        guard role == .leader, let leading,
            leading.reads.count + leading.earlyReads.count < configuration.readsMax
        else { return emit(.readDropped(context: context)) }
        guard hasCommittedInTerm || configuration.mutation == .readsBeforeOwnEntry else {
            self.leading?.earlyReads.append(context)
            return
        }
        if configuration.mutation == .readsUnconfirmed {
            return emit(.readReady(context: context, index: commitIndex))
        }
        let isOld = configuration.mutation == .readsWithOldRound
        let round = leading.round + (isOld ? 0 : 1)
        self.leading?.reads.append(
            RaftLeading.Read(context: context, index: commitIndex, round: round))
        if isOld { return confirmReads(emit: emit) }
        // A round that waits for its answers carries no later reads: they gather for the next.
        let isIdle = leading.reads.isEmpty
        if isIdle { beginRound(emit: emit) }
    }

    /// Answers the reads whose round a majority has confirmed, and begins one for the others.
    mutating func confirmReads(emit: (RaftEffect) -> Void) {
        guard role == .leader, let leading, !leading.reads.isEmpty else { return }
        var confirmed = 0
        for read in leading.reads {
            let isConfirmed = hasQuorum { peer in
                peer == id || leading.progress[peer]?.answeredRound ?? 0 >= read.round
            }
            guard isConfirmed else { break }
            confirmed += 1
        }
        let ready = leading.reads.prefix(confirmed)
        self.leading?.reads.removeFirst(confirmed)
        for read in ready { emit(.readReady(context: read.context, index: read.index)) }
        if let next = self.leading?.reads.first, confirmed > 0, next.round > leading.round {
            beginRound(emit: emit)
        }
    }

    /// The first entry of this term is committed: reads that came before it may begin.
    mutating func releaseEarlyReads(at now: Instant, emit: (RaftEffect) -> Void) {
        guard let contexts = leading?.earlyReads, !contexts.isEmpty, hasCommittedInTerm else {
            return
        }
        leading?.earlyReads = []
        for context in contexts { readIndex(context: context, at: now, emit: emit) }
    }

    /// Whether an entry of this leader's own term is committed (paper §5.4.2, §8).
    package var hasCommittedInTerm: Bool {
        guard let leading else { return false }
        return commitIndex >= leading.firstIndexOfTerm
    }

    // MARK: Handing over (thesis §3.10)

    mutating func transferLeadership(
        to target: NodeID, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        guard role == .leader, target != id, members.voters.contains(target) else { return }
        leading?.transferTarget = target
        finishTransfer(emit: emit)
    }

    /// Tells the target to campaign once it has everything.
    mutating func finishTransfer(emit: (RaftEffect) -> Void) {
        guard let target = leading?.transferTarget,
            leading?.progress[target]?.matchIndex == log.lastIndex
                || configuration.mutation == .transfersTooEarly
        else { return }
        emit(.send(RaftMessage(term: term, .timeoutNow), to: target))
    }
}
