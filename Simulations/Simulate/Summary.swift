import Cluster
import SimulationHarness

/// Reports in words.
enum Summary {
    /// One run in one line.
    static func line(_ report: RunReport) -> String {
        let states = TaskState.allCases.compactMap { state in
            report.states[state].map { "\($0) \(state.rawValue)" }
        }
        let incidents = report.counts.incidents.values.reduce(0, +)
        return "seed \(report.seed): \(states.joined(separator: ", ")); "
            + "\(report.counts.events) events in \(tenths(report.seconds)) s, "
            + "\(incidents) incidents, \(report.counts.lapses) lapsed leases, "
            + "\(report.counts.starts) starts, trace \(String(report.traceHash, radix: 16))"
    }

    /// What broke in a run, and the command that plays it again.
    static func violation(_ report: RunReport, _ options: ScenarioOptions) -> String {
        guard let violation = report.violation else { return "" }
        let program = CommandLine.arguments.first ?? "simulate"
        return """
              VIOLATION in seed \(report.seed): \(violation)
              replay: \(program) run \(options.text)--seed \(report.seed) --trace
            """
    }

    static func tenths(_ seconds: Double) -> String {
        "\((seconds * 10).rounded() / 10)"
    }
}
