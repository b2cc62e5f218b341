import Model

/// How much is spent on a validation.
package enum ValidationScale: String, Hashable, Sendable, CaseIterable {
    /// Seconds, in a debug build: a part of the rows, with wide intervals.
    case small
    /// Minutes, in a release build: all rows, with narrow intervals.
    case full
}

/// Ways in which a model could be wrong; each must be noticed.
package enum ModelMutation: String, Hashable, Sendable, CaseIterable {
    /// Run times do not vary.
    case servesEvenly
    /// Who should ask several workers asks one.
    case asksOne
    /// Who runs empty leaves the others alone.
    case stealsNothing
    /// A place in a line is a task at once.
    case bindsEarly
    /// Nobody listens to what is answered.
    case hearsNothing
    /// Nothing is lost where the price of a loss is looked at.
    case losesNothing
    /// Everybody tells two others in a round.
    case tellsTwo
    /// Members are probed half as often as the periods say that are counted.
    case probesLate
    /// A claim is seen after twice the latency.
    case seesLate
}

/// One published figure, and what became of it here.
package struct ValidationRow: Sendable {
    /// What came of the comparison.
    package enum Verdict: String, Sendable {
        /// The published figure lies in the interval.
        case met
        /// It does not.
        case missed
        /// The interval is too wide to say anything.
        case vague
    }

    /// What is measured, and under which parameters.
    package var name: String
    /// The published figure.
    package var published: Double
    /// By how much that may be off by itself: its rounding, or what a formula for endless systems
    /// leaves out.
    package var tolerance: Double
    /// What was measured.
    package var ours: Estimate
    /// The largest half-width that says something, as a share of the published figure.
    package var widthMax: Double

    /// Makes a row; `widthMax` is a twentieth unless given.
    package init(
        _ name: String, published: Double, tolerance: Double, ours: Estimate,
        widthMax: Double = 0.05
    ) {
        self.name = name
        self.published = published
        self.tolerance = tolerance
        self.ours = ours
        self.widthMax = widthMax
    }

    /// The interval that must hold the published figure.
    package var interval: ClosedRange<Double> {
        let width = ours.halfWidth + tolerance
        return ours.mean - width...ours.mean + width
    }

    /// Whether the published figure is reproduced.
    package var verdict: Verdict {
        let width = ours.halfWidth + tolerance
        if (published - ours.mean).magnitude > width { return .missed }
        return width <= widthMax * published.magnitude ? .met : .vague
    }
}

/// Published figures that come from one model.
package struct ValidationCase: Sendable {
    /// What `--only` calls it.
    package var name: String
    /// Who published the figures.
    package var source: String
    /// What makes our figures: a part of the production core, or of the harness.
    package var drives: String
    /// Measures; with a mutation the model is wrong on purpose.
    package var run: @Sendable (ValidationScale, ModelMutation?) -> [ValidationRow]
}

/// The harness' own proof: figures of the literature, made again.
package enum Validation {
    /// How often an interval of ours holds the true figure: one right row in a thousand is missed.
    package static let confidence = 0.999

    /// All cases, in the order of the table.
    package static let cases: [ValidationCase] = [
        erlang, supermarket, finiteSupermarket, stealing, rumours, tablePush, gossipRounds,
        detection, sparrow, claimRace,
    ]

    /// One number from each of several runs with seeds of their own.
    static func replicate(
        _ count: Int, seed: UInt64, runsCompared: Int? = nil, _ measure: (UInt64) -> Double
    ) -> Estimate {
        var seeds = SeededGenerator(seed: seed)
        return Estimate(
            samples: (0..<count).map { _ in measure(seeds.next()) }, confidence: confidence,
            runsCompared: runsCompared)
    }

    /// Several numbers from each of several runs with seeds of their own.
    static func replicateAll(
        _ count: Int, seed: UInt64, runsCompared: Int? = nil, _ measure: (UInt64) -> [Double]
    ) -> [Estimate] {
        var seeds = SeededGenerator(seed: seed)
        let runs = (0..<count).map { _ in measure(seeds.next()) }
        return (runs.first ?? []).indices.map { place in
            Estimate(
                samples: runs.map { $0[place] }, confidence: confidence,
                runsCompared: runsCompared)
        }
    }
}
