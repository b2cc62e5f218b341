import SimulationHarness

extension StudyCommand {
    /// What `--help` says of study files.
    static var manual: String {
        """
        A study file in short (Docs/Studies.md has all of it):

          title: How steep should the delay be?
          question: What does a steeper slope buy, and what does it cost?
          parameters: {nodes: 50, load: 0.8, tasks: 2000}   # of all runs
          sweeps: {slope: [5ms, 20ms, 80ms]}                # all combinations are run
          policies: ["proportional(slope=$slope)", central] # $name: a value that is swept
          seeds: 5                                          # or {first: 1, count: 5}
          measures: [jain, wait_p99, claims_wasted]         # what tables show
          plots:
            - {plot: lines, x: slope, y: jain}

        Kinds of plots: lines (x, y), dots (measure, rows), distribution (of), imbalance, nodes, \
        timeline (from, to). All take title, caption and at (only these values of what is swept).

        Each finished run is a line in DIR/runs.jsonl. After an interruption the same command goes \
        on; after a change only what is new is run. Written are DIR/report.html, results.json, \
        results.csv and plots/*.svg. Exit code 1 says that a run broke a promise.

        Parameters:
        \(parameters)

        Measures:
        \(measures)
        """
    }

    private static var parameters: String {
        rows(
            FairnessStudy.parameters.filter { !["policy", "seed"].contains($0.name) }.map {
                ($0.name, "\($0.meaning) (\($0.unit); \($0.usual))")
            } + [("policies", "\(Contender.policyNames); \(Contender.referenceNames)")])
    }

    private static var measures: String {
        rows(Measure.allCases.map { ($0.name, $0.meaning) })
    }

    private static func rows(_ rows: [(name: String, meaning: String)]) -> String {
        let width = rows.map(\.name.count).max() ?? 0
        return rows.map { name, meaning in
            "  \(name)\(String(repeating: " ", count: width - name.count))  \(meaning)"
        }.joined(separator: "\n")
    }
}
