import Model

/// Messages and completed writes come in here; terms are compared before anything else (§5.1).
extension RaftEngine {
    mutating func receive(
        _ message: RaftMessage, from sender: NodeID, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        // Past the last term nobody could ever campaign again.
        guard sender != id, message.term <= RaftEngine.termMax else { return }
        switch message.content {
        case .preVoteRequest(let lastIndex, let lastTerm):
            answerPreVote(
                term: message.term, lastIndex: lastIndex, lastTerm: lastTerm, from: sender,
                at: now, emit: emit)
            return
        case .preVoteReply(let isGranted) where isGranted:
            // Carries the term that would begin, which nobody has entered yet.
            countPreVote(
                term: message.term, isGranted: true, from: sender, at: now, emit: emit)
            return
        case .voteRequest(_, _, let isTransfer)
        where message.term > term && !isTransfer && isLeaderBelievedIn(at: now):
            return  // A live leader is not to be disturbed (thesis §4.2.3).
        default:
            break
        }
        if message.term > term {
            enter(term: message.term, at: now, emit: emit)
        } else if message.term < term {
            return answerStale(message, from: sender, emit: emit)
        }
        take(message.content, from: sender, at: now, emit: emit)
    }

    private mutating func take(
        _ content: RaftMessage.Content, from sender: NodeID, at now: Instant,
        emit: (RaftEffect) -> Void
    ) {
        switch content {
        case .preVoteRequest: break  // answered before terms are compared
        case .preVoteReply(let isGranted):
            countPreVote(term: term, isGranted: isGranted, from: sender, at: now, emit: emit)
        case .voteRequest(let lastIndex, let lastTerm, _):
            answerVote(
                lastIndex: lastIndex, lastTerm: lastTerm, from: sender, at: now, emit: emit)
        case .voteReply(let isGranted):
            countVote(isGranted: isGranted, from: sender, at: now, emit: emit)
        case .append(let previousIndex, let previousTerm, let entries, let commit, let round):
            guard role != .leader else { return }  // two leaders of a term: a peer's fault
            follow(
                .append(
                    previousIndex: previousIndex, previousTerm: previousTerm, entries: entries,
                    commit: commit, round: round), from: sender, at: now, emit: emit)
        case .snapshot(
            let index, let term, let members, let offset, let total, let chunk, let round):
            guard role != .leader else { return }
            let part = RaftSnapshot(index: index, term: term, members: members, payload: chunk)
            follow(
                .snapshot(part, offset: offset, totalBytes: total, round: round), from: sender,
                at: now, emit: emit)
        case .appendReply(let matchIndex, let round):
            appended(by: sender, upTo: matchIndex, round: round, at: now, emit: emit)
        case .appendReject(let previousIndex, let hintIndex, let round):
            rejected(
                by: sender, previousIndex: previousIndex, hintIndex: hintIndex, round: round,
                emit: emit)
        case .snapshotReply(let index, let receivedBytes, let round):
            snapshotReceived(
                by: sender, index: index, receivedBytes: receivedBytes, round: round, emit: emit)
        case .timeoutNow:
            guard role != .leader, leader == sender, members.voters.contains(id) else { return }
            campaign(isTransfer: true, at: now, emit: emit)
        }
    }

    /// A leader or candidate of the past learns of the newer term by an answer that carries it.
    private func answerStale(
        _ message: RaftMessage, from sender: NodeID, emit: (RaftEffect) -> Void
    ) {
        switch message.content {
        case .append(let previousIndex, _, _, _, let round):
            emit(
                .send(
                    RaftMessage(
                        term: term,
                        .appendReject(
                            previousIndex: previousIndex, hintIndex: log.lastIndex, round: round)),
                    to: sender))
        case .snapshot(let index, _, _, _, _, _, let round):
            emit(
                .send(
                    RaftMessage(
                        term: term, .snapshotReply(index: index, receivedBytes: 0, round: round)),
                    to: sender))
        case .voteRequest:
            emit(.send(RaftMessage(term: term, .voteReply(isGranted: false)), to: sender))
        default:
            break
        }
    }

    /// A write is on disk: what hung on it may be sent, and own entries count.
    mutating func persisted(
        _ ticket: RaftTicket, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        for (message, receiver) in storage.complete(ticket) where message.term == term {
            if receiver == id {
                countVote(isGranted: true, from: id, at: now, emit: emit)
            } else {
                emit(.send(message, to: receiver))
            }
        }
        commitByCounting(at: now, emit: emit)
    }
}
