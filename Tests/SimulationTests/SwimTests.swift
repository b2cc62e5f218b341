import Gossip
import SimulationHarness
import Testing

/// The study of membership, at a size that takes a moment.
@Suite struct SwimTests {
    /// Enough nodes for the formulas, and few enough for a debug build.
    private static let study = {
        var study = SwimStudy(nodeCount: 100, seed: 3)
        study.periods = 16
        study.eventCount = 3
        study.lossyProbes = 12_000
        return study
    }()

    @Test(arguments: SwimStudy.Part.allCases)
    func `no figure is off by more than a tenth, unless by chance`(part: SwimStudy.Part) {
        let rows = SwimTests.study.rows(of: part)
        #expect(!rows.isEmpty)
        for row in rows {
            #expect(row.ours.count > 0, "\(row.name) was not measured")
            #expect(row.verdict != .missed, "\(row.name): \(row.ours), theory \(row.theory ?? 0)")
        }
    }

    @Test func `probes half as often as they count are noticed`() {
        var study = SwimTests.study
        study.configuration.probeInterval = study.configuration.probeInterval * 2
        let slow = study.rows(of: .failures)
        let theory = SwimTests.study.rows(of: .failures)
        for (row, expected) in zip(slow, theory) {
            var wrong = row
            wrong.theory = expected.theory
            #expect(wrong.verdict == .missed)
        }
    }

    @Test func `one seed, one table`() {
        func table() -> String {
            SwimReport(nodeCount: 100, seed: 3, rows: SwimTests.study.rows(of: .leaves)).json
        }
        #expect(table() == table())
    }

    @Test func `a figure is met, missed or vague by its distance and its interval`() {
        func verdict(_ samples: [Double], theory: Double?) -> SwimRow.Verdict {
            SwimRow("x", unit: "s", theory: theory, samples: samples).verdict
        }
        #expect(verdict([10, 10.5, 9.5], theory: 10.9) == .met)
        #expect(verdict([10, 10.1, 9.9], theory: 12) == .missed)
        #expect(verdict([5, 10, 15], theory: 12) == .vague)
        #expect(verdict([1, 2], theory: nil) == .none)
        #expect(verdict([], theory: 1) == .missed)
        #expect(SwimRow("x", unit: "", theory: 0, measured: 0).verdict == .met)
        #expect(SwimRow("x", unit: "", theory: 0, measured: 1).verdict == .missed)
    }
}
