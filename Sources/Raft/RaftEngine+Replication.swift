import Model

/// What a leader sends, what comes back, and what is committed. Source: paper §5.3, §7.
extension RaftEngine {
    /// Sends new entries to everybody whose window has room.
    mutating func replicate(emit: (RaftEffect) -> Void) {
        for peer in members.everyone where peer != id {
            sendAppend(to: peer, isHeartbeat: false, emit: emit)
        }
    }

    /// Sends what the peer lacks, or an empty append as a heartbeat when it may get nothing now.
    mutating func sendAppend(
        to peer: NodeID, isHeartbeat: Bool, emit: (RaftEffect) -> Void
    ) {
        guard var progress = leading?.progress[peer], let round = leading?.round else { return }
        guard progress.nextIndex > log.snapshot.index,
            log.term(at: progress.nextIndex - 1) != nil
        else {
            guard progress.isSilent else {
                return sendSnapshot(to: peer, isRepeated: isHeartbeat, emit: emit)
            }
            if isHeartbeat { sendHeartbeat(to: peer, round: round, emit: emit) }
            return
        }
        progress.snapshot = nil
        // What was in flight at the last heartbeat and is not answered by now may be lost.
        if isHeartbeat, !progress.inflight.isEmpty {
            progress.inflight = []
            progress.isProbing = true
            progress.nextIndex = max(progress.matchIndex + 1, log.firstIndex)
        }
        let hasRoom =
            !progress.isSilent
            && progress.inflight.count < (progress.isProbing ? 1 : configuration.inflightMax)
        guard let previous = log.term(at: progress.nextIndex - 1) else { return }
        let entries =
            hasRoom
            ? log.batch(from: progress.nextIndex, countMax: configuration.batchCountMax) : []
        guard isHeartbeat || !entries.isEmpty else { return }
        emit(
            .send(
                RaftMessage(
                    term: term,
                    .append(
                        previousIndex: progress.nextIndex - 1, previousTerm: previous,
                        entries: entries, commit: commitIndex, round: round)), to: peer))
        if !entries.isEmpty {
            progress.inflight.append(progress.nextIndex - 1 + UInt64(entries.count))
            if !progress.isProbing { progress.nextIndex += UInt64(entries.count) }
        }
        leading?.progress[peer] = progress
    }

    /// Asks a member that lacks the whole log, and has not answered for long, whether it is there.
    private func sendHeartbeat(to peer: NodeID, round: UInt64, emit: (RaftEffect) -> Void) {
        emit(
            .send(
                RaftMessage(
                    term: term,
                    .append(
                        previousIndex: log.snapshot.index, previousTerm: log.snapshot.term,
                        entries: [], commit: commitIndex, round: round)), to: peer))
    }

    private mutating func sendSnapshot(
        to peer: NodeID, isRepeated: Bool, emit: (RaftEffect) -> Void
    ) {
        guard var progress = leading?.progress[peer], let round = leading?.round else { return }
        let snapshot = log.snapshot
        let isUnderWay = progress.snapshot?.index == snapshot.index
        if isUnderWay, !isRepeated { return }
        let offset = isUnderWay ? progress.snapshot?.sentBytes ?? 0 : 0
        progress.snapshot = (snapshot.index, offset)
        leading?.progress[peer] = progress
        sendChunk(of: snapshot, from: offset, to: peer, round: round, emit: emit)
    }

    private func sendChunk(
        of snapshot: RaftSnapshot, from offset: UInt64, to peer: NodeID, round: UInt64,
        emit: (RaftEffect) -> Void
    ) {
        let begin = min(Int(offset), snapshot.payload.count)
        let end = min(begin + configuration.chunkSizeBytes, snapshot.payload.count)
        emit(
            .send(
                RaftMessage(
                    term: term,
                    .snapshot(
                        index: snapshot.index, term: snapshot.term, members: snapshot.members,
                        offset: UInt64(begin), totalBytes: UInt64(snapshot.payload.count),
                        chunk: Array(snapshot.payload[begin..<end]), round: round)), to: peer))
    }

    // MARK: The leader hears

    mutating func appended(
        by peer: NodeID, upTo matchIndex: UInt64, round: UInt64, at now: Instant,
        emit: (RaftEffect) -> Void
    ) {
        guard role == .leader, var progress = leading?.progress[peer],
            matchIndex <= log.lastIndex
        else { return }
        take(round, into: &progress)
        progress.inflight.removeAll { $0 <= matchIndex }
        progress.isProbing = false
        progress.snapshot = nil
        progress.matchIndex = max(progress.matchIndex, matchIndex)
        progress.nextIndex = max(progress.nextIndex, progress.matchIndex + 1)
        leading?.progress[peer] = progress
        commitByCounting(at: now, emit: emit)
        guard role == .leader else { return }
        sendAppend(to: peer, isHeartbeat: false, emit: emit)
        finishTransfer(emit: emit)
        advanceChange(emit: emit)
        confirmReads(emit: emit)
    }

    mutating func rejected(
        by peer: NodeID, previousIndex: UInt64, hintIndex: UInt64, round: UInt64,
        emit: (RaftEffect) -> Void
    ) {
        guard role == .leader, var progress = leading?.progress[peer] else { return }
        take(round, into: &progress)
        // An answer to an older message says nothing new.
        if previousIndex > progress.matchIndex, previousIndex < progress.nextIndex {
            progress.nextIndex = max(
                progress.matchIndex + 1, min(previousIndex, hintIndex.saturatingSuccessor))
            progress.isProbing = true
            progress.inflight = []
        } else if hintIndex < progress.matchIndex, previousIndex == progress.matchIndex {
            // It denies what it has confirmed: its disk is an older one. (Or this is old news: then
            // it confirms again.) What is committed stays so; who must not vote is the lock's matter.
            progress.matchIndex = 0
            progress.nextIndex = hintIndex + 1
            progress.isProbing = true
            progress.inflight = []
        }
        leading?.progress[peer] = progress
        sendAppend(to: peer, isHeartbeat: false, emit: emit)
        confirmReads(emit: emit)
    }

    mutating func snapshotReceived(
        by peer: NodeID, index: UInt64, receivedBytes: UInt64, round: UInt64,
        emit: (RaftEffect) -> Void
    ) {
        guard role == .leader, var progress = leading?.progress[peer] else { return }
        take(round, into: &progress)
        leading?.progress[peer] = progress
        defer { confirmReads(emit: emit) }
        guard let sent = progress.snapshot, sent.index == index, index == log.snapshot.index,
            receivedBytes != sent.sentBytes,
            receivedBytes < UInt64(log.snapshot.payload.count), let leading
        else { return }
        // Less than before: it has begun anew.
        if configuration.mutation == .forgetsRestartedReceivers, receivedBytes < sent.sentBytes {
            return
        }
        self.leading?.progress[peer]?.snapshot = (index, receivedBytes)
        sendChunk(
            of: log.snapshot, from: receivedBytes, to: peer, round: leading.round, emit: emit)
    }

    private func take(_ round: UInt64, into progress: inout RaftLeading.Progress) {
        guard let current = leading?.round, round <= current else { return }
        progress.answeredRound = max(progress.answeredRound, round)
        progress.unansweredHeartbeats = 0
    }

    /// Commits what a majority has on disk, if it is of this term (paper §5.4.2, figure 8).
    mutating func commitByCounting(at now: Instant, emit: (RaftEffect) -> Void) {
        guard role == .leader, let leading else { return }
        let own =
            configuration.mutation == .countsUnpersisted ? log.lastIndex : persistedIndex
        func stored(by node: NodeID) -> UInt64 {
            node == id ? own : leading.progress[node]?.matchIndex ?? 0
        }
        let candidates = Set(members.everyone.map(stored)).sorted(by: >)
        let index = candidates.first { index in
            index > commitIndex && hasQuorum { stored(by: $0) >= index }
        }
        guard let index else { return }
        guard log.term(at: index) == term || configuration.mutation == .commitsOldTerms else {
            return
        }
        advanceCommit(to: index, emit: emit)
        afterCommit(at: now, emit: emit)
    }

    private mutating func afterCommit(at now: Instant, emit: (RaftEffect) -> Void) {
        releaseEarlyReads(at: now, emit: emit)
        advanceChange(emit: emit)
        // A leader that its own change removed hands over by stepping back (paper §6).
        if !members.isVoter(id), !members.isJoint, membersIndex <= commitIndex {
            replicate(emit: emit)
            becomeFollower(leader: nil, at: now, emit: emit)
        } else if role == .leader {
            // Followers learn of the commit with the next append or heartbeat.
            replicate(emit: emit)
        }
    }
}

extension UInt64 {
    /// One more, or the same at the end of the range.
    var saturatingSuccessor: UInt64 { self == .max ? self : self + 1 }
}
