import CRDT
import Gossip
import Lock
import Model

/// A majority of the lock's voters is lost for good: a person has the lock begun anew.
extension Node {
    /// Begins a new generation of the lock on this node, with what its table knows.
    ///
    /// Refused while a majority of the voters looks alive, or this node is in touch with one.
    mutating func recoverLock(
        _ request: RequestID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if let hindrance = hindranceToRecovery {
            return emit(.reply(request, .refused(Refusal(.conflict, hindrance))))
        }
        recoverReply = request
        lock(.recover(recovery), at: now, emit: emit)
    }

    private var hindranceToRecovery: String? {
        guard recoverReply == nil, activity == .active else {
            return "this node recovers already, or is going down"
        }
        let others = membership.members.filter { $0.id != id && $0.state.isInReach }
        guard !lock.isForsworn || others.isEmpty else {
            return
                "this node's disk has lost its part of the lock, and the node can't tell who votes; "
                + "ask another member to recover it"
        }
        let voters = lock.voters
        let inReach = voters.filter { membership.member($0)?.state.isInReach == true }
        // Voters that are there and have forgotten too much are of no use.
        guard inReach.count <= voters.count / 2 || lock.isBehind else {
            return "\(inReach.count) of \(voters.count) voters are in reach: the lock needs no "
                + "recovery, wait until they agree"
        }
        return nil
    }

    /// All that the table knows of claims and ends.
    private var recovery: LockRecovery {
        var recovery = LockRecovery()
        recovery.amendments = membership.amendments
        for record in table.records {
            if let close = record.close {
                recovery.closes.append(
                    LockRecovery.Close(
                        task: record.id, birth: record.birth, token: close.token,
                        outcome: close.outcome))
            } else if let attempt = record.latestAttempt {
                recovery.attempts.append(
                    LockRecovery.Attempt(
                        task: record.id, birth: record.birth, token: attempt.token,
                        session: attempt.session, node: attempt.node,
                        isLive: !attempt.phase.isTerminal,
                        waits: record.spec.onPartition == .wait || record.spec.restart == .never,
                        count: attempt.count, end: attempt.end ?? .loss,
                        isLastAttempt: !record.spec.runsAgain(after: .loss, attempt.count)))
            }
        }
        for origin in table.collected.origins {
            recovery.collected += table.collected.intervals(of: origin).map { interval in
                let first = BirthDot(origin: BootID(origin), sequence: interval.lowerBound)
                return (first, interval.upperBound)
            }
        }
        return recovery
    }

    /// The lock has begun anew: what this node holds, it names to the new one.
    mutating func generationBegan(
        _ generation: UInt32, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        emit(
            .observe(
                .notice(
                    .warning,
                    "the lock has begun anew with generation \(generation): earlier ones are void"))
        )
        if let request = recoverReply {
            recoverReply = nil
            emit(.reply(request, .accepted))
        }
        needsSession = true
        openSessionIfClear(at: now, emit: emit)
    }

    mutating func recoveryRefused(emit: (NodeEffect) -> Void) {
        guard let request = recoverReply else { return }
        recoverReply = nil
        emit(
            .reply(
                request,
                .refused(
                    Refusal(
                        .conflict,
                        "this node is in touch with a majority of the lock's voters; "
                            + "recovery is for when they are lost for good"))))
    }
}
