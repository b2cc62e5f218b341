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
        let known = Dictionary(situation.members.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let staying = situation.members.filter {
            $0.state != .left && !situation.leaving.contains($0.id)
        }
        // A voter of whom membership knows nothing (yet) is as good as dead, not as good as gone.
        let silent = situation.voters.filter { voter in
            guard !situation.leaving.contains(voter) else { return false }
            return known[voter].map { $0.state == .dead } ?? true
        }
        let unknownCount = silent.count { known[$0] == nil }
        let target = staying.count + unknownCount >= 3 ? LockConfiguration.votersMax : 1
        let candidates = staying.filter { member in
            situation.voters.contains(member.id) ? member.isInReach : member.state == .alive
        }.sorted { rank($0, situation) < rank($1, situation) }.map(\.id)
        // Who died lately may come back, and keeps its vote for now.
        let patient = silent.filter { voter in
            guard let member = known[voter] else { return false }
            return situation.now - member.since < situation.replaceAfter
        }
        var chosen = Array(patient.prefix(max(target - 1, 0)))
        chosen += candidates.prefix(target - chosen.count)
        // Too few to replace a silent voter: it stays, so that its return restores the majority.
        chosen += silent.filter { !chosen.contains($0) }.prefix(target - chosen.count)
        // Two voters survive no more than one does, and stop twice as often.
        if chosen.count.isMultiple(of: 2) { chosen = Array(candidates.prefix(1)) }
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
