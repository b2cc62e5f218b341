/// What is kept of one run of a study: a line of its results file.
package struct StudyRecord: Codable, Sendable {
    /// A task's time on a node.
    package struct Span: Hashable, Sendable {
        /// The number of the node.
        package var node: Int
        /// When it began and ended, in seconds since the first submission.
        package var start: Double
        /// See `start`.
        package var end: Double
    }

    /// `StudyTrial.key`.
    package var key: String
    /// The seed.
    package var seed: UInt64
    /// What was measured, by the measures' names; what a run says nothing about is missing.
    package var measures: [String: Double]
    /// For each distribution its values at `shares`.
    package var quantiles: [String: [Double]]
    /// The nodes' shares of busy time at evenly spaced ranks, in rising order.
    package var busyShares: [Double]
    /// Seconds since the first submission.
    package var times: [Double]
    /// The deviation of the nodes' load at these times.
    package var deviations: [Double]
    /// What ran where and when on the first few nodes; of a study's first seed alone.
    package var spans: [Span]
    /// How many events it took.
    package var events: Int

    /// The shares of tasks at which a distribution is kept: 0, 1/200 … 1, and finer at the end.
    package static let shares: [Double] =
        (0..<198).map { Double($0) / 200 } + (0...20).map { 0.99 + Double($0) / 2_000 }
    /// How many points a curve over time or nodes has at most: more than that can't be seen.
    package static let pointsMax = 240
    /// How many nodes a timeline shows at most.
    package static let timelineNodesMax = 20
    /// How many executions are kept for timelines at most.
    package static let spansMax = 4_000
}

extension StudyRecord {
    /// Keeps what reports need of a run.
    ///
    /// - Parameters:
    ///   - key: `StudyTrial.key`.
    ///   - seed: The run's seed.
    ///   - result: What came of it.
    ///   - withSpans: Whether it is to be seen as a timeline.
    package init(key: String, seed: UInt64, result: FairnessResult, withSpans: Bool) {
        self.key = key
        self.seed = seed
        measures = [:]
        for (measure, value) in result.measures { measures[measure.name] = value }
        quantiles = [:]
        for kind in StudyDistribution.allCases {
            let sorted = kind.values(of: result).sorted()
            guard !sorted.isEmpty else { continue }
            quantiles[kind.rawValue] = StudyRecord.shares.map {
                StudyRecord.rounded(Statistics.quantile($0, of: sorted))
            }
        }
        let shares = result.busyShares.sorted()
        let ranks = min(shares.count, StudyRecord.pointsMax)
        busyShares = (0..<ranks).map { rank in
            let place = ranks > 1 ? Double(rank) / Double(ranks - 1) : 0.5
            return StudyRecord.rounded(Statistics.quantile(place, of: shares))
        }
        let every = max(1, (result.imbalance.count / StudyRecord.pointsMax) + 1)
        let samples = stride(from: 0, to: result.imbalance.count, by: every).map {
            result.imbalance[$0]
        }
        times = samples.map { StudyRecord.rounded($0.seconds) }
        deviations = samples.map { StudyRecord.rounded($0.deviation) }
        let kept = result.timeline.filter { $0.node < StudyRecord.timelineNodesMax }
        spans = kept.prefix(withSpans ? StudyRecord.spansMax : 0).map {
            Span(
                node: $0.node, start: StudyRecord.rounded(Double($0.from) / 1e9),
                end: StudyRecord.rounded(Double($0.to) / 1e9))
        }
        events = result.span.events
    }

    /// A number to about six digits: a plot shows no more, and files stay short.
    private static func rounded(_ value: Double) -> Double {
        guard value != 0, value.isFinite else { return value }
        var scale = 1.0
        while value.magnitude * scale < 1e5, scale < 1e12 { scale *= 10 }
        return (value * scale).rounded() / scale
    }
}

extension StudyRecord.Span: Codable {
    /// Reads `[node, start, end]`.
    package init(from decoder: any Decoder) throws {
        var fields = try decoder.unkeyedContainer()
        node = try fields.decode(Int.self)
        start = try fields.decode(Double.self)
        end = try fields.decode(Double.self)
    }

    /// Writes `[node, start, end]`: there are thousands.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.unkeyedContainer()
        try fields.encode(node)
        try fields.encode(start)
        try fields.encode(end)
    }
}

/// What of each task or job a study keeps the distribution of.
package enum StudyDistribution: String, CaseIterable, Sendable {
    /// From submission to the start of the program, in seconds.
    case wait
    /// From submission to the end over the run time.
    case slowdown
    /// From submission of a job to the end of its last task, in seconds.
    case response

    /// All values of a run.
    func values(of result: FairnessResult) -> [Double] {
        switch self {
        case .wait: result.waits
        case .slowdown: result.slowdowns
        case .response: result.responses
        }
    }
}
