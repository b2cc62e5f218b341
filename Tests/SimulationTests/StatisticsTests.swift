import SimulationHarness
import Testing

@Suite struct StatisticsTests {
    private func isClose(_ left: Double, _ right: Double) -> Bool {
        abs(left - right) < 1e-9 * max(1, abs(right))
    }

    @Test func `Jain's index is 1 for equal shares and 1 over n for a single one`() {
        #expect(isClose(Statistics.jain([3, 3, 3, 3]), 1))
        #expect(isClose(Statistics.jain([5, 0, 0, 0]), 0.25))
        // The example of the report: ten users, of which six get everything alike.
        #expect(isClose(Statistics.jain([1, 1, 1, 1, 1, 1, 0, 0, 0, 0]), 0.6))
        #expect(isClose(Statistics.jain([1, 2, 3]), 36.0 / 42))
    }

    @Test func `quantiles are interpolated between samples`() {
        let sorted = [1.0, 2, 3, 4]
        #expect(isClose(Statistics.quantile(0, of: sorted), 1))
        #expect(isClose(Statistics.quantile(1, of: sorted), 4))
        #expect(isClose(Statistics.quantile(0.5, of: sorted), 2.5))
        #expect(isClose(Statistics.quantile(0.25, of: sorted), 1.75))
        #expect(isClose(Statistics.quantile(0.95, of: Array(0...100).map(Double.init)), 95))
        #expect(Statistics.quantile(0.5, of: []) == 0)
        #expect(Statistics.quantile(0.99, of: [7]) == 7)
    }

    @Test func `mean and deviation are those of the population`() {
        #expect(isClose(Statistics.mean([2, 4, 4, 4, 5, 5, 7, 9]), 5))
        #expect(isClose(Statistics.deviation([2, 4, 4, 4, 5, 5, 7, 9]), 2))
        #expect(Statistics.deviation([]) == 0)
    }

    @Test func `the ideal wait is that of the textbook's queues`() {
        // M/M/1: ρ / (1 − ρ).
        #expect(isClose(Statistics.idealWait(servers: 1, load: 0.5), 1))
        #expect(isClose(Statistics.idealWait(servers: 1, load: 0.8), 4))
        // M/M/2: ρ² / (1 − ρ²).
        #expect(isClose(Statistics.idealWait(servers: 2, load: 0.5), 1.0 / 3))
        #expect(isClose(Statistics.idealWait(servers: 2, load: 0.8), 0.64 / 0.36))
        #expect(Statistics.idealWait(servers: 3, load: 0) == 0)
    }

    @Test func `a spread names its samples in any order`() {
        let spread = Spread((1...101).map(Double.init).reversed())
        #expect(isClose(spread.mean, 51))
        #expect(isClose(spread.median, 51))
        #expect(isClose(spread.p95, 96))
        #expect(isClose(spread.p99, 100))
        #expect(spread.largest == 101)
    }

    @Test(
        arguments: [
            (0, 2, "0.00"), (1.005, 1, "1.0"), (-2.5, 0, "-3"), (12.345, 2, "12.35"),
            (-0.001, 2, "0.00"), (1e6, 0, "1000000"), (.infinity, 2, "–"),
        ] as [(Double, Int, String)])
    func `numbers have as many digits as asked for`(value: Double, digits: Int, text: String) {
        #expect(Format.fixed(value, digits) == text)
    }

    @Test(
        arguments: [(0, "0"), (0.25, "0.25"), (3, "3"), (250, "250"), (20_000, "20k")]
            as [(Double, String)])
    func `labels are short`(value: Double, text: String) {
        #expect(Format.short(value) == text)
    }
}
