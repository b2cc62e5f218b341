package import Model
package import Raft

/// Reads the lock's messages for people: nothing is verified, and nothing is decided by it.
package enum LockInspection {
    /// What a message says.
    package static func describe(_ bytes: [UInt8]) -> String {
        guard let message = try? LockMessage(decoding: bytes) else { return "unreadable" }
        switch message {
        case .ofGeneration(let generation, let inner):
            return "generation \(generation): \(describe(inner.encoded))"
        case .raft(let message): return "raft term \(message.term) \(text(of: message.content))"
        case .request(let request): return "request \(text(of: request))"
        case .redirect(let leader): return "redirect to \(leader.map(short) ?? "nobody")"
        case .leaving: return "leaving"
        case .departed: return "departed"
        default: return "\(message)"
        }
    }

    private static func text(of content: RaftMessage.Content) -> String {
        guard case .append(let index, let term, let entries, let commit, let round) = content
        else { return "\(content)" }
        return "append after \(index):\(term), commit \(commit), round \(round), "
            + "[\(entries.map(text).joined(separator: "; "))]"
    }

    private static func text(of entry: RaftEntry) -> String {
        guard case .command(let command) = entry.content else {
            return "\(entry.term) \(entry.content)"
        }
        guard let payload = try? LockEntryPayload(decoding: command) else {
            return "\(entry.term) unreadable"
        }
        return "\(entry.term) \(text(of: payload.request))"
    }

    private static func text(of request: LockRequest) -> String {
        "\(short(request.client))/\(request.boot.value & 0xFFFF)#\(request.sequence) "
            + request.operations.map(text).joined(separator: ", ")
    }

    private static func text(of operation: LockOperation) -> String {
        switch operation {
        case .openSession(let session, let kept, let last, _):
            "open \(session) keeping \(kept.map(\.description)) "
                + "after \(last?.description ?? "none")"
        case .expireSession(let session): "expire \(session)"
        case .acquire(let request, let session): "acquire \(request.task) for \(session)"
        case .release(let claim, let end, let rest):
            "release \(claim) after \(end.map { "\($0)" } ?? "nothing") resting \(rest)"
        case .close(let task, let token, let outcome, _):
            "close \(task) \(token?.description ?? "unclaimed") \(outcome.kind)"
        case .forget(let node): "forget \(short(node))"
        case .collect(let births): "collect \(births.count)"
        case .setLeaseLength(let length): "lease length \(length)"
        case .settleLeaseLength: "lease length settled"
        case .endRecovery: "recovered"
        case .amend(.eviction(let eviction)):
            "evict \(eviction.nodes.map(short).joined(separator: ", "))"
        case .amend(.succession(let succession)): "renew \(short(succession.node))"
        }
    }

    private static func short(_ node: NodeID) -> String { String(node.description.prefix(4)) }
}

extension LockNode {
    /// The last entry of the log that this node knows to be committed, 0 when it has no log.
    package var commitIndex: UInt64 { engine.commitIndex }

    /// The committed entries behind `index` that this node still has, in order.
    package func committedEntries(after index: UInt64) -> [RaftEngine.CommittedEntry] {
        engine.committedEntries(after: index)
    }

    /// Every set of which a majority is needed for a decision, as far as this node knows: two while
    /// a change of voters is under way.
    package var voterSets: [[NodeID]] {
        let members = engine.members
        guard members.everyone.contains(id) else { return [] }
        return [members.voters, members.outgoingVoters].filter { !$0.isEmpty }
    }
}

extension LockNode {
    /// How many writes wait for the disk; a node with as many as that is silent, and adds one row of
    /// each kind at most.
    package var unwrittenCount: Int { unwritten.count }

    /// The most that there are of them.
    package static var unwrittenCountMax: Int { unwrittenMax + LockConfiguration.operationsMax }
}
