import Model

/// Who should vote, given who is there: pure, so that every leader decides alike.
///
/// One voter with one or two members, `LockConfiguration.votersMax` with more. Who left goes at
/// once; who is dead goes when its time is up and somebody can take its place. A majority is
/// never given up: without a replacement a dead voter stays. Modelled on dqlite's roles.
enum VoterChoice {
    /// What the choice depends on.
    struct Situation {
        /// All members that are known, sorted by ID.
        var members: [LockMember]
        /// Those that are about to leave.
        var leaving: Set<NodeID>
        /// The voters in force.
        var voters: [NodeID]
        /// The leader, who decides and stays if it can.
        var leader: NodeID
        /// How long a voter may be dead before it is replaced.
        var replaceAfter: Duration
        var now: Instant
    }

    /// The voters that should be, sorted; never empty.
    static func choose(_ situation: Situation) -> [NodeID] {
        let known = Dictionary(uniqueKeysWithValues: situation.members.map { ($0.id, $0) })
        let present = situation.members.filter {
            $0.state != .left && !situation.leaving.contains($0.id)
        }
        let target = present.count >= 3 ? LockConfiguration.votersMax : 1
        let candidates = present.filter(\.isInReach).sorted { left, right in
            rank(left, situation) < rank(right, situation)
        }
        // Who can't be replaced yet keeps its vote.
        let kept = situation.voters.filter { voter in
            guard let member = known[voter], !situation.leaving.contains(voter) else {
                return false
            }
            switch member.state {
            case .alive, .suspect, .left: return false
            case .dead: return situation.now - member.since < situation.replaceAfter
            }
        }
        var chosen = Array(kept.prefix(max(target - 1, 0)))
        chosen += candidates.prefix(target - chosen.count).map(\.id)
        // Too few to replace a dead voter: it stays, so that its return restores the majority.
        for voter in situation.voters where chosen.count < target {
            guard known[voter]?.state == .dead, !chosen.contains(voter) else { continue }
            chosen.append(voter)
        }
        return chosen.isEmpty ? situation.voters : chosen.sorted()
    }

    /// The leader first, then voters, then the longest in this state; ties by ID.
    private static func rank(
        _ member: LockMember, _ situation: Situation
    ) -> (Int, Int64, NodeID) {
        if member.id == situation.leader { return (0, 0, member.id) }
        let isVoter = situation.voters.contains(member.id)
        return (isVoter ? 1 : 2, member.since.nanoseconds, member.id)
    }
}
