import Model

/// Who should vote, given who is there: pure, so that every leader decides alike.
///
/// One voter with one or two members, three with more, five from `membersForFive` on. Who left goes
/// at once; who is dead goes when its time is up and somebody can take its place. A majority is
/// never given up: without a replacement a dead voter stays. Members of one zone are spread over as
/// many others as there are. Modelled on dqlite's roles.
enum VoterChoice {
    /// What the choice depends on.
    struct Situation {
        /// All members that are known, sorted by ID.
        var members: [LockMember]
        /// Those that are about to leave.
        var leaving: Set<NodeID> = []
        /// Those that look alive and take no part in the log for long.
        var unheard: Set<NodeID> = []
        /// The voters in force.
        var voters: [NodeID]
        /// The leader, who decides and stays if it can.
        var leader: NodeID
        /// How long a voter may be dead before it is replaced, and how long a member must have
        /// been there before it takes the place of a live voter.
        var replaceAfter: Duration
        var now: Instant
    }

    /// From how many members on there are five voters; a cluster that shrinks keeps them while
    /// there are five members.
    static let membersForFive = 7

    /// The voters that should be, sorted; never empty.
    static func choose(_ situation: Situation) -> [NodeID] {
        let known = Dictionary(situation.members.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let staying = situation.members.filter {
            $0.state != .left && !situation.leaving.contains($0.id)
        }
        // A voter of whom membership knows nothing (yet) is as good as dead, not as good as gone.
        let silent = situation.voters.filter { voter in
            guard !situation.leaving.contains(voter) else { return false }
            guard let member = known[voter] else { return true }
            return member.state == .dead
                || member.state != .left && situation.unheard.contains(voter)
        }
        // Who died lately may come back, and keeps its vote for now.
        let patient = silent.filter { voter in
            guard let member = known[voter], !situation.unheard.contains(voter) else {
                return false
            }
            return situation.now - member.since < situation.replaceAfter
        }
        let unknownCount = silent.count { known[$0] == nil }
        let target = target(of: staying.count + unknownCount, situation)
        var seats = Seats(members: known, chosen: Array(patient.prefix(max(target - 1, 0))))
        let candidates = staying.filter { member in
            guard !situation.unheard.contains(member.id) else { return false }
            return situation.voters.contains(member.id)
                ? member.isInReach : member.state == .alive
        }
        fill(&seats, from: candidates, target: target, situation)
        // Too few to replace a silent voter: it stays, so that its return restores the majority.
        let missing = max(target - seats.chosen.count, 0)
        seats.chosen += silent.filter { !seats.chosen.contains($0) }.prefix(missing)
        // An even number survives no more than the odd one below it, and stops more often.
        if seats.chosen.count.isMultiple(of: 2), seats.chosen.count > 0 {
            seats.chosen = Array(seats.byWorth(situation).prefix(seats.chosen.count - 1))
        }
        return seats.chosen.isEmpty ? situation.voters : seats.chosen.sorted()
    }

    private static func target(of count: Int, _ situation: Situation) -> Int {
        if count < 3 { return 1 }
        let keepsFive = situation.voters.count >= 5 && count >= 5
        return count >= membersForFive || keepsFive ? LockConfiguration.votersMax : 3
    }

    /// Voters stay, newcomers take the seats that are free, and then spread over the zones.
    private static func fill(
        _ seats: inout Seats, from candidates: [LockMember], target: Int, _ situation: Situation
    ) {
        let present = candidates.filter { situation.voters.contains($0.id) }
        for pass in [present, candidates] {
            while seats.chosen.count < target,
                let best = seats.best(of: pass, situation)
            {
                seats.chosen.append(best.id)
            }
        }
        let settled = candidates.filter { situation.now - $0.since >= situation.replaceAfter }
        while let newcomer = seats.best(of: settled, situation),
            let crowded = seats.mostCrowded(but: situation.leader, situation),
            seats.neighbours(of: crowded) > seats.neighbours(of: newcomer.id) + 1
        {
            seats.chosen.removeAll { $0 == crowded }
            seats.chosen.append(newcomer.id)
        }
    }

    /// The seats that are taken so far.
    private struct Seats {
        let members: [NodeID: LockMember]
        var chosen: [NodeID]

        /// How many voters there are in the node's zone, itself included; who names no zone is
        /// alone in it.
        func neighbours(of node: NodeID) -> Int {
            guard let zone = members[node]?.zone else { return chosen.contains(node) ? 1 : 0 }
            return chosen.count { members[$0]?.zone == zone }
        }

        /// The one who adds most: from the emptiest zone, then by rank.
        func best(of candidates: [LockMember], _ situation: Situation) -> LockMember? {
            candidates.filter { !chosen.contains($0.id) }.min { left, right in
                let first = rank(left.id, situation)
                let second = rank(right.id, situation)
                // The leader decides who votes: it comes first wherever it is.
                if first.0 == 0 || second.0 == 0 { return first < second }
                let (one, two) = (neighbours(of: left.id), neighbours(of: right.id))
                return one == two ? first < second : one < two
            }
        }

        /// Of the fullest zone, the voter that is worth least.
        func mostCrowded(but leader: NodeID, _ situation: Situation) -> NodeID? {
            chosen.filter { $0 != leader && members[$0] != nil }.max { left, right in
                let (one, two) = (neighbours(of: left), neighbours(of: right))
                return one == two
                    ? rank(left, situation) < rank(right, situation) : one < two
            }
        }

        /// The chosen ones, those in reach first, then by rank.
        func byWorth(_ situation: Situation) -> [NodeID] {
            chosen.sorted { left, right in
                let isLeftHere = members[left]?.isInReach == true
                let isRightHere = members[right]?.isInReach == true
                if isLeftHere != isRightHere { return isLeftHere }
                return rank(left, situation) < rank(right, situation)
            }
        }

        /// The leader first, then voters, then the longest in this state; ties by ID.
        private func rank(_ node: NodeID, _ situation: Situation) -> (Int, Int64, NodeID) {
            if node == situation.leader { return (0, 0, node) }
            let since = members[node]?.since.nanoseconds ?? .max
            return (situation.voters.contains(node) ? 1 : 2, since, node)
        }
    }
}
