import SimulationHarness
import Testing

/// The study of membership, as far as it takes a moment.
@Suite struct SwimTests {
    /// Few nodes, for a debug build; `Scripts/check` compares more of them with theory.
    private static let study = {
        var study = SwimStudy(nodeCount: 24, seed: 3)
        study.eventCount = 2
        return study
    }()

    @Test func `one seed, one table`() {
        func table() -> String {
            SwimReport(nodeCount: 24, seed: 3, rows: SwimTests.study.rows(of: .leaves)).json
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
