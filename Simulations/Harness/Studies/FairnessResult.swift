/// How one contender did in one run.
package struct FairnessResult: Sendable {
    /// The contender's name, with arguments.
    package var name: String
    /// What went wrong, if anything: nothing may.
    package var violation: Violation?
    /// The numbers; one that says nothing about this run is missing.
    package var measures: [Measure: Double]
    /// How long each task waited for its program to start, in seconds; like all that follows
    /// without the warm-up.
    package var waits: [Double]
    /// From submission to the end, over the run time.
    package var slowdowns: [Double]
    /// From the submission of each job to the end of its last task, in seconds.
    package var responses: [Double]
    /// The share of its cores' time that each machine was busy, from the end of the warm-up to the
    /// last submission.
    package var busyShares: [Double]
    /// What the users got.
    package var users: [UserShare] = []
    /// How unequal the machines were over time, the warm-up included.
    package var imbalance: [StudySample]
    /// Which node ran what when, the warm-up included; the first `timelineCountMax` executions.
    package var timeline: [StudyRun.Span]
    /// Virtual seconds from the first submission to the end, and events of the world.
    package var span: (seconds: Double, events: Int)

    /// How many executions a timeline holds at most.
    package static let timelineCountMax = 20_000

    /// A measure; 0 when it says nothing about this run.
    package subscript(_ measure: Measure) -> Double { measures[measure] ?? 0 }

    /// What several runs with seeds of their own say together: the mean of each measure, and how
    /// far the true one may be from it with a confidence of 95 % (Student's).
    package static func estimates(of results: [FairnessResult]) -> [Measure: Estimate] {
        var estimates: [Measure: Estimate] = [:]
        for measure in Measure.allCases {
            let samples = results.compactMap { $0.measures[measure] }
            guard !samples.isEmpty else { continue }
            estimates[measure] = Estimate(samples: samples, confidence: 0.95)
        }
        return estimates
    }
}

/// What one user got, from the end of the warm-up to the last submission.
package struct UserShare: Hashable, Sendable {
    /// The user.
    package var name: String
    /// What the user was entitled to, beside the others.
    package var weight: Double
    /// The share of all cores' time that the user's tasks held.
    package var cpuShare: Double
    /// The same of memory.
    package var memoryShare: Double
    /// How long the user's tasks waited on average, in seconds.
    package var waitMean: Double
    /// Their mean slowdown.
    package var slowdownMean: Double

    /// The larger of the shares.
    ///
    /// Source: Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011).
    package var dominantShare: Double { max(cpuShare, memoryShare) }
}

/// The state of all machines at one time.
package struct StudySample: Sendable {
    /// Virtual seconds since the beginning of submissions.
    package var seconds: Double
    /// The mean share of cores in use.
    package var meanLoad: Double
    /// The standard deviation of that share over machines.
    package var deviation: Double
}
