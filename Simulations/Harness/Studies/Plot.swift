/// A plot as inline SVG: lines or bars, with axes, a grid and a legend.
package struct Plot: Sendable {
    /// One line, or one row of bars.
    package struct Series: Sendable {
        /// What the legend calls it.
        package var name: String
        /// The points, in rising order of x.
        package var points: [(x: Double, y: Double)]

        /// Makes a series.
        package init(name: String, points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    /// How an axis counts.
    package enum Scale: Sendable {
        /// Evenly.
        case linear
        /// By powers of ten.
        case logarithmic
    }

    /// What is plotted.
    package var series: [Series]
    /// What x means, with its unit.
    package var xTitle: String
    /// What y means, with its unit.
    package var yTitle: String
    /// How x counts.
    package var xScale: Scale = .linear
    /// The least end of the y axis; the other end follows from the points.
    package var yMin: Double = 0
    /// The other end of the y axis, when it is known.
    package var yMax: Double?

    private static let width = 720.0
    private static let height = 340.0
    private static let left = 62.0
    private static let right = 16.0
    private static let top = 34.0
    private static let bottom = 48.0

    /// Makes a plot of lines.
    package init(_ series: [Series], xTitle: String, yTitle: String) {
        self.series = series
        self.xTitle = xTitle
        self.yTitle = yTitle
    }

    /// The plot as one `svg` element; colours and dashes come from the page's
    /// classes `s0`, `s1`, ….
    package var svg: String {
        let x = xAxis
        let y = yAxis
        var parts = [
            "<svg viewBox=\"0 0 \(Format.fixed(Plot.width, 0)) \(Format.fixed(Plot.height, 0))\" "
                + "role=\"img\" aria-label=\"\(yTitle) over \(xTitle)\">"
        ]
        parts += grid(x, y)
        for (number, line) in series.enumerated() {
            parts.append(path(line, number, x, y))
            parts.append(legend(line, number))
        }
        parts.append("</svg>")
        return parts.joined(separator: "\n")
    }

    // MARK: Axes

    private struct Axis {
        var low: Double
        var high: Double
        var ticks: [Double]
        var isLogarithmic: Bool
        var start: Double
        var end: Double

        func place(_ value: Double) -> Double {
            let share: Double
            if isLogarithmic {
                let span = logarithm(high) - logarithm(low)
                share = (logarithm(max(value, low)) - logarithm(low)) / max(span, 1e-12)
            } else {
                share = (value - low) / max(high - low, 1e-12)
            }
            return start + share * (end - start)
        }
    }

    private var xAxis: Axis {
        let values = series.flatMap { $0.points.map(\.x) }
        let end = Plot.width - Plot.right
        if xScale == .logarithmic {
            let (low, high, ticks) = Plot.decades(values)
            return Axis(
                low: low, high: high, ticks: ticks, isLogarithmic: true, start: Plot.left,
                end: end)
        }
        let low = values.min() ?? 0
        let high = max(values.max() ?? 1, low + 1e-9)
        return Axis(
            low: low, high: high, ticks: Plot.ticks(low, high), isLogarithmic: false,
            start: Plot.left, end: end)
    }

    private var yAxis: Axis {
        let high = yMax ?? max(series.flatMap { $0.points.map(\.y) }.max() ?? 1, 1e-9)
        var ticks = Plot.ticks(yMin, high)
        if ticks.count > 1, let last = ticks.last, last < high * (1 - 1e-6) {
            ticks.append(last + ticks[1] - ticks[0])
        }
        return Axis(
            low: yMin, high: max(high, ticks.last ?? high), ticks: ticks, isLogarithmic: false,
            start: Plot.height - Plot.bottom, end: Plot.top)
    }

    /// About five round numbers between two.
    static func ticks(_ low: Double, _ high: Double) -> [Double] {
        let span = max(high - low, 1e-9)
        var step = 1e-9
        while span / step > 50 { step *= 10 }
        let steps = [1.0, 2, 5, 10].map { $0 * step }
        let chosen = steps.first { span / $0 <= 6 } ?? 10 * step
        var tick = (low / chosen).rounded(.up) * chosen
        var ticks: [Double] = []
        while tick <= high + chosen * 1e-6 {
            ticks.append(tick)
            tick += chosen
        }
        return ticks
    }

    /// The powers of ten, with twos and fives between, that lie among some values; where they span
    /// less than a decade that would be too few, and round numbers take their place.
    static func decades(_ values: [Double]) -> (low: Double, high: Double, ticks: [Double]) {
        let low = max(values.filter { $0 > 0 }.min() ?? 1, 1e-6)
        let high = max(values.max() ?? 10, low * 1.01)
        guard high > 10 * low else { return (low, high, Plot.ticks(low, high)) }
        var decade = 1e-6
        while decade * 10 <= low { decade *= 10 }
        var ticks: [Double] = []
        while decade <= high {
            ticks += [1.0, 2, 5].map { $0 * decade }.filter { $0 >= low * 0.999 && $0 <= high }
            decade *= 10
        }
        return (low, high, ticks)
    }

    // MARK: Drawing

    private func grid(_ x: Axis, _ y: Axis) -> [String] {
        var parts: [String] = []
        let base = Format.fixed(Plot.height - Plot.bottom, 1)
        let ceiling = Format.fixed(Plot.top, 1)
        for tick in x.ticks {
            let place = Format.fixed(x.place(tick), 1)
            parts.append(
                "<line class=\"grid\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(ceiling)\" "
                    + "y2=\"\(base)\"/><text class=\"tick\" text-anchor=\"middle\" x=\"\(place)\" "
                    + "y=\"\(Format.fixed(Plot.height - Plot.bottom + 16, 1))\">"
                    + "\(Format.short(tick))</text>")
        }
        let begin = Format.fixed(Plot.left, 1)
        let end = Format.fixed(Plot.width - Plot.right, 1)
        for tick in y.ticks {
            let place = y.place(tick)
            parts.append(
                "<line class=\"grid\" x1=\"\(begin)\" x2=\"\(end)\" "
                    + "y1=\"\(Format.fixed(place, 1))\" y2=\"\(Format.fixed(place, 1))\"/>"
                    + "<text class=\"tick\" text-anchor=\"end\" "
                    + "x=\"\(Format.fixed(Plot.left - 7, 1))\" "
                    + "y=\"\(Format.fixed(place + 4, 1))\">\(Format.short(tick))</text>")
        }
        let middle = Format.fixed((Plot.left + Plot.width - Plot.right) / 2, 1)
        parts.append(
            "<text class=\"axis\" text-anchor=\"middle\" x=\"\(middle)\" "
                + "y=\"\(Format.fixed(Plot.height - 8, 1))\">\(xTitle)</text>")
        parts.append(
            "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(16 "
                + "\(Format.fixed((Plot.height - Plot.bottom + Plot.top) / 2, 1))) rotate(-90)\">"
                + "\(yTitle)</text>")
        return parts
    }

    private func path(_ line: Series, _ number: Int, _ x: Axis, _ y: Axis) -> String {
        var data = ""
        for (index, point) in line.points.enumerated() {
            let place = Format.fixed(x.place(point.x), 1)
            data += "\(index == 0 ? "M" : "L")\(place) \(Format.fixed(y.place(point.y), 1))"
        }
        return "<path class=\"line s\(number)\" d=\"\(data)\"><title>\(line.name)</title></path>"
    }

    private func legend(_ line: Series, _ number: Int) -> String {
        let spot = Plot.left + Double(number) * 150
        return "<path class=\"line s\(number)\" d=\"M\(Format.fixed(spot, 1)) 14h28\"/>"
            + "<text class=\"name\" x=\"\(Format.fixed(spot + 34, 1))\" "
            + "y=\"18\">\(line.name)</text>"
    }
}
