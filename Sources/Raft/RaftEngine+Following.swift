import Model

/// What a leader's messages do to a follower's log. Source: paper §5.3, §7.
extension RaftEngine {
    mutating func follow(
        _ message: RaftFollow, from sender: NodeID, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        if role != .follower || leader != sender {
            becomeFollower(leader: sender, at: now, emit: emit)
        }
        resetElectionTimer(at: now)
        leaderHeardUntil = now + configuration.electionTimeout
        switch message {
        case .append(let previousIndex, let previousTerm, let entries, let commit, let round):
            takeAppend(
                previousIndex: previousIndex, previousTerm: previousTerm, entries: entries,
                commit: commit, round: round, from: sender, emit: emit)
        case .snapshot(let snapshot, let offset, let totalBytes, let round):
            takeSnapshot(
                snapshot, offset: offset, totalBytes: totalBytes, round: round, from: sender,
                emit: emit)
        }
    }

    private mutating func takeAppend(
        previousIndex: UInt64, previousTerm: UInt64, entries: [RaftEntry], commit: UInt64,
        round: UInt64, from sender: NodeID, emit: (RaftEffect) -> Void
    ) {
        guard areInOrder(entries, after: previousTerm) else { return }
        let (lastNew, overflow) = previousIndex.addingReportingOverflow(UInt64(entries.count))
        guard !overflow else { return }
        guard previousIndex < log.snapshot.index || log.term(at: previousIndex) == previousTerm
        else {
            let hint = min(log.lastIndex, previousIndex &- 1)
            storage.sendWhenDurable(
                RaftMessage(
                    term: term,
                    .appendReject(
                        previousIndex: previousIndex, hintIndex: max(hint, commitIndex),
                        round: round)), to: sender)
            return
        }
        if configuration.mutation == .truncatesAlways,
            max(previousIndex, commitIndex) < log.lastIndex
        {
            truncate(from: max(previousIndex, commitIndex) + 1, emit: emit)
        }
        let lastBefore = log.lastIndex
        guard join(entries, behind: previousIndex, emit: emit) else { return }
        var matched = max(lastNew, log.snapshot.index)
        if configuration.mutation == .answersLastIndex { matched = max(lastBefore, matched) }
        acknowledge(matched, round: round, to: sender, emit: emit)
        let isUnchecked = configuration.mutation == .commitsUnchecked
        advanceCommit(to: isUnchecked ? commit : min(commit, matched), emit: emit)
    }

    /// Says how far the log agrees, once that much is on disk.
    private mutating func acknowledge(
        _ matched: UInt64, round: UInt64, to sender: NodeID, emit: (RaftEffect) -> Void
    ) {
        let reply = RaftMessage(term: term, .appendReply(matchIndex: matched, round: round))
        if configuration.mutation == .answersBeforeDisk { return emit(.send(reply, to: sender)) }
        storage.sendWhenDurable(reply, to: sender)
    }

    /// Whether the terms of entries are ones that a leader of this term can have in its log.
    private func areInOrder(_ entries: [RaftEntry], after previousTerm: UInt64) -> Bool {
        var last = previousTerm
        for entry in entries {
            guard entry.term >= last else { return false }
            last = entry.term
        }
        return last <= term
    }

    /// Puts entries into the log; returns `false` for ones that contradict what is committed.
    private mutating func join(
        _ entries: [RaftEntry], behind previousIndex: UInt64, emit: (RaftEffect) -> Void
    ) -> Bool {
        var index = previousIndex
        for entry in entries {
            index += 1
            guard index > log.snapshot.index else { continue }
            if let known = log.term(at: index) {
                if known == entry.term { continue }
                guard index > commitIndex else { return false }
                truncate(from: index, emit: emit)
            }
            append(entry, emit: emit)
        }
        return true
    }

    private mutating func truncate(from index: UInt64, emit: (RaftEffect) -> Void) {
        log.truncate(from: index)
        storage.write.entries.removeAll { $0.index >= index }
        storage.write.truncateFrom = min(storage.write.truncateFrom ?? index, index)
        if membersIndex >= index, configuration.mutation != .keepsLostMembers {
            (members, membersIndex) = log.newestMembers
            emit(.membersChanged(members))
        }
    }

    private mutating func takeSnapshot(
        _ snapshot: RaftSnapshot, offset: UInt64, totalBytes: UInt64, round: UInt64,
        from sender: NodeID, emit: (RaftEffect) -> Void
    ) {
        guard totalBytes <= UInt64(RaftSnapshot.payloadSizeBytesMax), snapshot.term <= term,
            snapshot.index <= RaftLog.indexMax
        else { return }
        if snapshot.index <= commitIndex {
            return acknowledge(commitIndex, round: round, to: sender, emit: emit)
        }
        if incomingSnapshot?.index != snapshot.index || incomingSnapshot?.term != snapshot.term
            || incomingSnapshot?.totalBytes != totalBytes
            || incomingSnapshot?.leaderTerm != term && configuration.mutation != .mixesSnapshots
        {
            incomingSnapshot = RaftIncomingSnapshot(
                leaderTerm: term, index: snapshot.index, term: snapshot.term,
                totalBytes: totalBytes, payload: [])
        }
        guard var incoming = incomingSnapshot else { return }
        if offset == UInt64(incoming.payload.count),
            UInt64(snapshot.payload.count) <= totalBytes - offset
        {
            incoming.payload += snapshot.payload
            incomingSnapshot = incoming
        }
        guard UInt64(incoming.payload.count) == totalBytes else {
            emit(
                .send(
                    RaftMessage(
                        term: term,
                        .snapshotReply(
                            index: snapshot.index, receivedBytes: UInt64(incoming.payload.count),
                            round: round)), to: sender))
            return
        }
        var whole = snapshot
        whole.payload = incoming.payload
        install(whole, round: round, for: sender, emit: emit)
    }

    private mutating func install(
        _ snapshot: RaftSnapshot, round: UInt64, for sender: NodeID, emit: (RaftEffect) -> Void
    ) {
        incomingSnapshot = nil
        storage.write.truncateFrom = nil
        storage.write.entries = []
        let keepsLog =
            log.term(at: snapshot.index) == snapshot.term
            || configuration.mutation == .keepsLogBehindSnapshot
                && log.term(at: snapshot.index) != nil
        if keepsLog {
            log.compact(into: snapshot)
        } else {
            log.replace(by: snapshot)
            storage.write.dropsEntries = true
        }
        storage.write.snapshot = snapshot
        (members, membersIndex) = log.newestMembers
        commitIndex = snapshot.index
        appliedIndex = snapshot.index
        emit(.membersChanged(members))
        emit(
            .installSnapshot(
                index: snapshot.index, term: snapshot.term, payload: snapshot.payload))
        emit(.applied(upTo: snapshot.index))
        acknowledge(snapshot.index, round: round, to: sender, emit: emit)
    }
}

/// What a follower takes from a leader.
enum RaftFollow {
    case append(
        previousIndex: UInt64, previousTerm: UInt64, entries: [RaftEntry], commit: UInt64,
        round: UInt64)
    case snapshot(RaftSnapshot, offset: UInt64, totalBytes: UInt64, round: UInt64)
}
