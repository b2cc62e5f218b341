package import Model

/// How long a node waits before it claims a task that it has room for.
///
/// The wait sorts the contenders: the least loaded node asks the lock first, and the others see
/// its claim before they would ask themselves. A policy is a value; it decides the wait and
/// nothing else. The same code runs in the daemon and in the simulator.
package enum StealPolicy: Hashable, Sendable {
    /// No wait: every node asks at once, whatever its load.
    case none
    /// A wait drawn uniformly from zero to the given bound, whatever the load.
    case random(upTo: Duration)
    /// A wait that grows with the load which the node would have after taking the task, after a
    /// head start for a few candidates per task (the default).
    case proportional(StealTuning)
    /// Only `d` candidates per task wait in proportion to their load; the others wait for `late`
    /// on top of it.
    case dChoices(d: UInt32, late: Duration, StealTuning)
}

/// The numbers of a wait that grows with load.
package struct StealTuning: Hashable, Sendable {
    /// The wait of a node that the task would fill wholly; 0…10 s.
    package var slope: Duration
    /// The random part of every wait, uniform from zero to this, 0…1 s; breaks ties.
    package var jitter: Duration
    /// About how many nodes are first-rank candidates of a task, 1 or more.
    package var candidates: UInt32
    /// The head start of each rank of candidates over the next one; each rank doubles the number
    /// of candidates, so that n nodes make about log₂(n / candidates) ranks.
    package var rankDelay: Duration

    /// Suits claims that take a few milliseconds: an idle node of a small cluster asks after
    /// about 2 ms; with n contenders, one rank's worth of them ask (DESIGN §6).
    package static let standard = StealTuning(
        slope: .milliseconds(40), jitter: .milliseconds(2), candidates: 4,
        rankDelay: .milliseconds(30))

    /// Makes a tuning.
    package init(slope: Duration, jitter: Duration, candidates: UInt32, rankDelay: Duration) {
        self.slope = slope
        self.jitter = jitter
        self.candidates = candidates
        self.rankDelay = rankDelay
    }
}

extension StealPolicy {
    /// The wait from the moment when the task became stealable.
    ///
    /// - Parameters:
    ///   - load: The dominant share of the node's capacity after taking the task, 0…1.
    ///   - rank: The node's rank for the task, see `candidateRank`.
    ///   - generator: Draws the jitter.
    /// - Returns: How long to wait; never negative.
    package func wait(
        load: Double, rank: Int, using generator: inout SeededGenerator
    ) -> Duration {
        switch self {
        case .none:
            return .zero
        case .random(let bound):
            return generator.duration(upTo: bound)
        case .proportional(let tuning):
            return tuning.wait(load: load, using: &generator) + tuning.rankDelay * rank
        case .dChoices(_, let late, let tuning):
            return tuning.wait(load: load, using: &generator) + (rank == 0 ? .zero : late)
        }
    }

    /// The node's rank among the candidates of a task: 0 for about `candidates` nodes out of
    /// `memberCount`, then each rank holds as many as all the earlier ones together.
    ///
    /// The rank depends on a hash of node and task alone, so that nodes agree on it without
    /// talking, and a backlog is spread over all nodes.
    package func candidateRank(of node: NodeID, for task: TaskID, memberCount: Int) -> Int {
        let candidates: UInt32
        switch self {
        case .none, .random: return 0
        case .proportional(let tuning): candidates = tuning.candidates
        case .dChoices(let d, _, _): candidates = d
        }
        guard memberCount > Int(candidates) else { return 0 }
        let place = StealPolicy.place(of: node, for: task)
        var share = place * Double(memberCount) / Double(max(candidates, 1))
        var rank = 0
        while share >= 1 {
            share /= 2
            rank += 1
        }
        return rank
    }

    /// A fraction in 0 ..< 1 that is spread evenly over nodes and tasks.
    static func place(of node: NodeID, for task: TaskID) -> Double {
        var generator = SeededGenerator(
            seed: node.value.high ^ node.value.low &* 0x9E37_79B9_7F4A_7C15
                ^ task.value.high &* 0xC2B2_AE3D_27D4_EB4F ^ task.value.low)
        return generator.fraction()
    }
}

extension StealTuning {
    fileprivate func wait(load: Double, using generator: inout SeededGenerator) -> Duration {
        slope * min(max(load, 0), 1) + generator.duration(upTo: jitter)
    }
}
