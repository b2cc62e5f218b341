import Model

/// What came of a study of fairness, as a table, as CSV and as one page with plots.
package struct FairnessReport: Sendable {
    /// What was studied.
    package var study: FairnessStudy
    /// One result per policy.
    package var results: [FairnessResult]

    /// Makes a report.
    package init(study: FairnessStudy, results: [FairnessResult]) {
        self.study = study
        self.results = results
    }

    /// The columns of table and CSV: name, and how a result fills it.
    private static let columns: [(name: String, value: @Sendable (FairnessResult) -> Double)] = [
        ("jain", { $0.jain }),
        ("wait_mean_s", { Spread($0.waits).mean }),
        ("wait_p50_s", { Spread($0.waits).median }),
        ("wait_p95_s", { Spread($0.waits).p95 }),
        ("wait_p99_s", { Spread($0.waits).p99 }),
        ("wait_max_s", { Spread($0.waits).largest }),
        ("slowdown_mean", { Spread($0.slowdowns).mean }),
        ("slowdown_p50", { Spread($0.slowdowns).median }),
        ("slowdown_p95", { Spread($0.slowdowns).p95 }),
        ("slowdown_p99", { Spread($0.slowdowns).p99 }),
        ("slowdown_max", { Spread($0.slowdowns).largest }),
        ("busy_mean", { Statistics.mean($0.busyShares) }),
        ("imbalance_mean", { Statistics.mean($0.imbalance.map(\.deviation)) }),
        ("lock_requests_per_task", { $0.requestsPerTask }),
        ("claims_per_task", { $0.claimsPerTask }),
        ("claims_wasted", { $0.wastedShare }),
        ("packets_per_task", { $0.packetsPerTask }),
    ]

    /// One line per policy, all numbers; the first line names them.
    package var csv: String {
        let head = ["policy", "nodes", "tasks", "load", "seed"]
        var lines = [(head + FairnessReport.columns.map(\.name)).joined(separator: ",")]
        for result in results {
            let setting = [
                result.name, "\(study.nodeCount)", "\(study.taskCount)",
                Format.fixed(study.load, 3), "\(study.seed)",
            ]
            let values = FairnessReport.columns.map { Format.fixed($0.value(result), 5) }
            lines.append((setting + values).joined(separator: ","))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The main numbers, for a terminal.
    package var text: String {
        var lines = [
            "\(Format.count(study.nodeCount)) nodes, \(Format.count(study.coreCount)) cores, "
                + "\(Format.count(study.taskCount)) tasks, load "
                + "\(Format.fixed(study.load, 2)), mean run time "
                + "\(Format.seconds(study.meanService.seconds)), seed \(study.seed)",
            "one line before all cores would wait \(Format.seconds(study.idealWaitSeconds)) "
                + "on average (M/M/\(study.coreCount))",
        ]
        for result in results {
            let wait = Spread(result.waits)
            let slowdown = Spread(result.slowdowns)
            lines += [
                "", "\(result.name):",
                "  Jain's index     \(Format.fixed(result.jain, 4)) (busy time over capacity)",
                "  wait             " + FairnessReport.row(wait, Format.seconds),
                "  slowdown         " + FairnessReport.row(slowdown) { Format.fixed($0, 2) },
                "  lock requests    \(Format.fixed(result.requestsPerTask, 2)) per task, "
                    + "\(Format.fixed(result.claimsPerTask, 2)) claims per task, "
                    + "\(Format.fixed(100 * result.wastedShare, 1)) % of them wasted",
                "  packets          \(Format.fixed(result.packetsPerTask, 1)) per task",
            ]
            if let violation = result.violation { lines.append("  VIOLATION: \(violation)") }
        }
        return lines.joined(separator: "\n")
    }

    /// The command that makes this report again.
    package var command: String {
        var words = [
            "simulate fairness --nodes \(study.nodeCount)",
            "--policy \(results.map(\.name).joined(separator: ","))", "--load \(study.load)",
            "--tasks \(study.taskCount)", "--service \(study.meanService.seconds)",
            "--cores \(study.coresPerNode)",
        ]
        if study.isUneven { words.append("--uneven") }
        return (words + ["--seed \(study.seed)"]).joined(separator: " ")
    }

    private static func row(_ spread: Spread, _ format: (Double) -> String) -> String {
        "mean \(format(spread.mean)), p50 \(format(spread.median)), p95 \(format(spread.p95)), "
            + "p99 \(format(spread.p99)), max \(format(spread.largest))"
    }
}
