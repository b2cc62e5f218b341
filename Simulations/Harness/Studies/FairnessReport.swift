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

    /// One line per policy, all numbers; the first line names them.
    package var csv: String {
        let head = ["policy", "nodes", "tasks", "load", "seed"]
        var lines = [(head + Measure.allCases.map(\.name)).joined(separator: ",")]
        for result in results {
            let setting = [
                quoted(result.name), "\(study.nodeCount)", "\(study.taskCount)",
                Format.fixed(study.load, 3), "\(study.seed)",
            ]
            let values = Measure.allCases.map { measure in
                result.measures[measure].map { Format.fixed($0, 5) } ?? ""
            }
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
                "  Jain's index     \(Format.fixed(result[.jain], 4)) (busy time over capacity)",
                "  wait             " + FairnessReport.row(wait, Format.seconds),
                "  slowdown         " + FairnessReport.row(slowdown) { Format.fixed($0, 2) },
                "  lock requests    \(Format.fixed(result[.lockRequests], 2)) per task, "
                    + "\(Format.fixed(result[.claims], 2)) claims per task, "
                    + "\(Format.fixed(100 * result[.claimsWasted], 1)) % of them wasted",
                "  packets          \(Format.fixed(result[.messages], 1)) per task",
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
        if study.sizes == [1, 2] { words.append("--uneven") }
        return (words + ["--seed \(study.seed)"]).joined(separator: " ")
    }

    /// A field that may hold commas.
    private func quoted(_ field: String) -> String {
        field.contains(",") ? "\"\(field)\"" : field
    }

    private static func row(_ spread: Spread, _ format: (Double) -> String) -> String {
        "mean \(format(spread.mean)), p50 \(format(spread.median)), p95 \(format(spread.p95)), "
            + "p99 \(format(spread.p99)), max \(format(spread.largest))"
    }
}
