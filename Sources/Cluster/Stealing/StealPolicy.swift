package import Model

/// What a node knows of itself and of a task when it decides how long to wait before it claims it.
package struct StealOffer: Hashable, Sendable {
    /// The dominant share of the node's capacity after taking the task, 0…1.
    package var load: Double
    /// How far the node is behind the first candidate of the task, in ranks: `StealPolicy.lag`.
    package var lag: Double
    /// How many tasks the node has.
    package var taskCount: Int
    /// How many cores the node gives to tasks.
    package var cores: Double

    /// The node's rank: 0 for the first candidates.
    package var rank: Int { Int(lag) }

    /// Makes an offer.
    package init(
        load: Double, lag: Double, taskCount: Int = 0, cores: Double = 1
    ) {
        self.load = load
        self.lag = lag
        self.taskCount = taskCount
        self.cores = cores
    }
}

/// How a policy waits: one file in `Policies` holds one.
///
/// A rule decides the wait and nothing else, from its arguments and its numbers alone, so that the
/// same code runs in the daemon and in the simulator, and nodes with different rules get along.
package protocol StealRule: Sendable {
    /// How many nodes are candidates of the first rank for a task; `nil` when all nodes are alike to
    /// the rule.
    var candidates: UInt32? { get }

    /// The longest that `wait` gives to a candidate of the first rank.
    var longestWait: Duration { get }

    /// The wait from the moment when the task became stealable; never negative.
    ///
    /// It is asked again whenever the node's load has changed, with the generator as it was: the
    /// same draws for one task.
    func wait(for offer: StealOffer, using generator: inout SeededGenerator) -> Duration
}

/// How long a node waits before it claims a task that it has room for.
///
/// The wait sorts the contenders: the least loaded node asks the lock first, and the others see
/// its claim before they would ask themselves. A policy is a value: a name and a rule.
package struct StealPolicy: Sendable {
    /// What command lines call it.
    package let name: String
    /// What it does, in half a line.
    package let summary: String
    /// How it waits.
    package let rule: any StealRule

    /// Makes a policy.
    package init(_ name: String, _ summary: String, _ rule: some StealRule) {
        self.name = name
        self.summary = summary
        self.rule = rule
    }

    /// The policies that command lines know, with their usual numbers; the default comes first.
    package static let all = all(.standard)

    private static func all(_ tuning: StealTuning) -> [StealPolicy] {
        [
            .proportional(tuning), .quadratic(tuning), .capped(tuning), .dChoices(tuning), .none,
            .random(), .memoryless(), .binPacking(tuning), .spread(tuning),
        ]
    }

    /// The policy of this name, with its usual numbers for such a network.
    package static func named(
        _ name: some StringProtocol, for profile: TimingProfile = .lan
    ) -> StealPolicy? {
        all(StealTuning.usual(for: profile)).first { $0.name == name }
    }

    /// The wait from the moment when the task became stealable; never negative.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        rule.wait(for: offer, using: &generator)
    }

    /// The rank of the node before which `place` others stand for a task, and how far behind the
    /// first of its rank it is: 0 ..< 1 for the first `candidates`, and each further rank holds as
    /// many as all the earlier ones together.
    package func lag(at place: Int) -> Double {
        guard let candidates = rule.candidates else { return 0 }
        var before = 0
        var held = max(1, Int(candidates))
        var rank = 0
        while place >= held, rank < StealPolicy.rankMax {
            before = held
            held *= 2
            rank += 1
        }
        return Double(rank) + min(Double(place - before) / Double(held - before), 0.999)
    }

    /// More ranks than any cluster has.
    private static let rankMax = 32

    /// A fraction in 0 ..< 1 that is spread evenly over nodes and tasks.
    static func place(of node: NodeID, for task: TaskID) -> Double {
        var generator = SeededGenerator(
            seed: node.value.high ^ node.value.low &* 0x9E37_79B9_7F4A_7C15
                ^ task.value.high &* 0xC2B2_AE3D_27D4_EB4F ^ task.value.low)
        return generator.fraction()
    }
}
