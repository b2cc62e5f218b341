/// A number that a study says of a run; the first tenth or so of the run, in which the cluster fills
/// up, is not counted (`warmup`).
package enum Measure: String, CaseIterable, Sendable, Comparable {
    case jain, gini
    case busyRatio = "busy_max_over_min"
    case utilisation
    case imbalance
    case waitMean = "wait_mean"
    case waitP50 = "wait_p50"
    case waitP95 = "wait_p95"
    case waitP99 = "wait_p99"
    case waitP999 = "wait_p99.9"
    case waitMax = "wait_max"
    case slowdownMean = "slowdown_mean"
    case slowdownP50 = "slowdown_p50"
    case slowdownP95 = "slowdown_p95"
    case slowdownP99 = "slowdown_p99"
    case slowdownP999 = "slowdown_p99.9"
    case slowdownMax = "slowdown_max"
    case responseMean = "response_mean"
    case responseP50 = "response_p50"
    case responseP95 = "response_p95"
    case responseP99 = "response_p99"
    case starved
    case makespan
    case userJain = "user_jain"
    case userSlowdownRatio = "user_slowdown_max_over_min"
    case lockRequests = "lock_requests_per_task"
    case claims = "claims_per_task"
    case claimsWasted = "claims_wasted"
    case messages = "messages_per_task"
    case bytes = "bytes_per_task"
    case claimDelayP50 = "claim_delay_p50"
    case claimLatencyMean = "claim_latency_mean"
    case claimLatencyP95 = "claim_latency_p95"
    case reruns
    case rerunDelayMean = "rerun_delay_mean"
    case rerunDelayMax = "rerun_delay_max"
    case convergence

    /// What reports and files call it.
    package var name: String { rawValue }

    /// In what it is counted: `s`, `share` (0…1), `ratio`, `bytes` or `count`.
    package var unit: String {
        switch self {
        case .jain, .gini, .utilisation, .imbalance, .starved, .userJain, .claimsWasted: "share"
        case .busyRatio, .slowdownMean, .slowdownP50, .slowdownP95, .slowdownP99, .slowdownP999,
            .slowdownMax, .userSlowdownRatio:
            "ratio"
        case .waitMean, .waitP50, .waitP95, .waitP99, .waitP999, .waitMax, .responseMean,
            .responseP50, .responseP95, .responseP99, .makespan, .claimDelayP50, .claimLatencyMean,
            .claimLatencyP95, .rerunDelayMean, .rerunDelayMax, .convergence:
            "s"
        case .bytes: "bytes"
        case .lockRequests, .claims, .messages, .reruns: "count"
        }
    }

    /// What it means, in a line.
    package var meaning: String {
        switch self {
        case .jain: "Jain's index of busy time over capacity: 1 when all nodes are equally busy"
        case .gini: "Gini's coefficient of busy time over capacity: 0 when all are equally busy"
        case .busyRatio: "busy time over capacity, of the busiest node over the idlest"
        case .utilisation: "share of all cores' time in which tasks ran"
        case .imbalance: "deviation, over nodes, of the share of cores in use; mean over time"
        case .waitMean, .waitP50, .waitP95, .waitP99, .waitP999, .waitMax:
            "from the submission of a task to the start of its program"
        case .slowdownMean, .slowdownP50, .slowdownP95, .slowdownP99, .slowdownP999, .slowdownMax:
            "from submission to end, over the task's own run time of one second at least"
        case .responseMean, .responseP50, .responseP95, .responseP99:
            "from the submission of a job to the end of its last task"
        case .starved:
            "share of tasks that waited for more than `starvation` times their fair time: wait "
                + "under the central queue, and run time of one second at least"
        case .makespan: "from the first submission to the last end"
        case .userJain: "Jain's index, over users, of dominant share over weight"
        case .userSlowdownRatio: "mean slowdown, of the user with the most over the one with least"
        case .lockRequests: "requests for claims that the lock was sent"
        case .claims: "claims that the lock was asked for; one is needed"
        case .claimsWasted: "share of claims that were not granted"
        case .messages: "packets between nodes"
        case .bytes: "bytes between nodes"
        case .claimDelayP50: "from the submission of a task to the grant of the claim on it"
        case .claimLatencyMean, .claimLatencyP95: "from the request for a claim to its answer"
        case .reruns: "attempts that were cut short, and made again"
        case .rerunDelayMean, .rerunDelayMax:
            "from the end of an attempt that was cut short to the task's next start"
        case .convergence:
            "from the last incident's end until the imbalance is what it was before the first"
        }
    }

    /// By place in the list.
    package static func < (left: Measure, right: Measure) -> Bool {
        left.place < right.place
    }

    private var place: Int { Measure.allCases.firstIndex(of: self) ?? 0 }
}
