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

    private static func tenths(_ seconds: Double) -> String {
        "\((seconds * 10).rounded() / 10)"
    }
}
