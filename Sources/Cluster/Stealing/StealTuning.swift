import Model

/// The numbers of a wait that grows with some amount.
package struct StealTuning: Hashable, Sendable {
    /// The wait where the amount is 1: of a node that the task would fill wholly, say; 0…10 s.
    package var slope: Duration
    /// The random part of every wait, uniform from zero to this, 0…1 s; breaks ties of nodes that
    /// do not agree on their places.
    package var jitter: Duration
    /// How many nodes are first-rank candidates of a task, 1 or more.
    package var candidates: UInt32
    /// The head start of each rank of candidates over the next one.
    ///
    /// The candidates of a rank are spread over it evenly: it should be longer than a claim and its
    /// news take, times `candidates`. Each rank doubles the number of candidates, so that n nodes
    /// make about log₂(n / candidates) ranks.
    package var rankDelay: Duration

    /// Suits claims that take a few milliseconds: an idle node of a small cluster asks after
    /// about 2 ms; with n contenders, one rank's worth of them ask (DESIGN §6).
    package static let standard = StealTuning(
        slope: .milliseconds(80), jitter: .milliseconds(2), candidates: 4,
        rankDelay: .milliseconds(20))

    /// Suits claims that take some 20 ms: sites that are a few milliseconds apart.
    ///
    /// Where they are farther apart, several candidates ask, and the lock decides as ever.
    package static let wide = StealTuning(
        slope: .milliseconds(320), jitter: .milliseconds(8), candidates: 4,
        rankDelay: .milliseconds(160))

    /// The numbers for such a network; all nodes of a cluster should have the same.
    static func usual(for profile: TimingProfile) -> StealTuning {
        switch profile {
        case .lan, .local: .standard
        case .wan: .wide
        }
    }

    /// Makes a tuning.
    package init(slope: Duration, jitter: Duration, candidates: UInt32, rankDelay: Duration) {
        self.slope = slope
        self.jitter = jitter
        self.candidates = candidates
        self.rankDelay = rankDelay
    }
}

extension StealTuning {
    /// The wait at this amount, which is kept within 0…1, and this far behind the first candidate.
    func wait(
        at amount: Double, lag: Double, using generator: inout SeededGenerator
    ) -> Duration {
        slope * min(max(amount, 0), 1) + generator.duration(upTo: jitter) + rankDelay * lag
    }

    /// The longest wait of the first rank.
    var longestWait: Duration { slope + jitter + rankDelay }
}
