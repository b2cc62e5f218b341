import Testing

@testable import SimulationHarness

/// Axes and plots, from inside: round numbers, and everything within its place.
@Suite struct PlotTests {
    private func axis(
        _ values: [Double], _ scale: Axis.Scale = .linear, isTight: Bool = false
    ) -> Axis {
        Axis(holding: values, scale, isTight: isTight, from: 0, to: 100)
    }

    @Test func `ticks are round numbers with no more digits than they need`() {
        #expect(axis([0.991, 0.998]).ticks.map(\.label).contains("0.992"))
        #expect(axis([0, 97]).ticks.map(\.label) == ["0", "20", "40", "60", "80", "100"])
        #expect(axis([0, 23_000]).ticks.map(\.label).last == "25,000")
        #expect(axis([0.5, 900], .logarithmic).ticks.map(\.label).contains("100"))
        // Less than half a decade has round numbers, for want of powers of ten.
        #expect(axis([1, 2], .logarithmic).ticks.count >= 4)
    }

    @Test(arguments: [
        [], [0], [5], [1, 1, 1], [-3, 4], [0, 1e-9], [1e-9, 1e12], [0.99, 0.99],
        [.nan, 1, .infinity],
    ])
    func `an axis holds any values, and places them within its ends`(values: [Double]) {
        for scale in [Axis.Scale.linear, .logarithmic] {
            for isTight in [false, true] {
                let axis = axis(values, scale, isTight: isTight)
                #expect(axis.low < axis.high)
                #expect((1...60).contains(axis.ticks.count), "\(axis.ticks)")
                for value in values.filter(\.isFinite) + axis.ticks.map(\.value) {
                    #expect((-0.001...100.001).contains(axis.place(value)), "\(value)")
                }
            }
        }
    }

    @Test func `a colour is a policy's in all plots, and twelve are told apart`() {
        let series = (0..<12).map { LinePlot.Series(name: "\($0)", style: $0, points: []) }
        #expect(Set(series.map(\.style)).count == PlotStyle.seriesMax)
        #expect(LinePlot.Series(name: "", style: 12, points: []).style == 0)
        for style in 0..<PlotStyle.seriesMax {
            #expect(PlotStyle.variables.components(separatedBy: "--c\(style):").count == 4)
            #expect(PlotStyle.rules.contains(".s\(style) {"))
        }
    }

    @Test func `an interval does not leave the bounds of what is measured`() {
        let point = LinePlot.Point(x: 10, y: 0.99, halfWidth: 0.5)
        var plot = LinePlot(
            [LinePlot.Series(name: "", style: 0, points: [point, .init(x: 20, y: 0.98)])],
            xTitle: "", yTitle: "")
        plot.bounds = 0...1
        #expect(!plot.drawing.inline.contains(">1.2<"))
        #expect(plot.drawing.inline.contains(">1.0<"))
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
