/// A plot of estimates, one row for each thing that was measured.
///
/// Source: Cleveland, "The Elements of Graphing Data" (1985): places along a common line are read
/// more exactly than lengths of bars.
package struct DotPlot: Sendable {
    /// An estimate of one row.
    package struct Dot: Hashable, Sendable {
        /// The number of its row.
        package var row: Int
        /// The number of its series.
        package var series: Int
        /// The estimate.
        package var value: Double
        /// How far the true value may be from it; 0 when that is not known.
        package var halfWidth: Double

        /// Makes a dot.
        package init(row: Int, series: Int, value: Double, halfWidth: Double) {
            self.row = row
            self.series = series
            self.value = value
            self.halfWidth = halfWidth.isFinite ? halfWidth : 0
        }
    }

    /// What the rows are called, from the top.
    package var rows: [String]
    /// What the legend says, and the numbers of the colours.
    package var series: [(name: String, style: Int)]
    /// The estimates.
    package var dots: [Dot]
    /// What is measured, with its unit.
    package var title: String
    /// Whether it counts by powers of ten.
    package var isLogarithmic = false
    /// Between which numbers estimates and intervals lie, whatever they say.
    package var bounds = -Double.greatestFiniteMagnitude ... .greatestFiniteMagnitude

    private static let rowHeight = 30.0

    /// Makes a plot.
    package init(
        rows: [String], series: [(name: String, style: Int)], dots: [Dot], title: String
    ) {
        self.rows = rows
        self.series = series
        self.dots = dots
        self.title = title
    }

    /// The plot.
    package var drawing: Drawing {
        // Series lie side by side within a row.
        let lane = max(9, DotPlot.rowHeight / Double(max(1, series.count)))
        let rowHeight = max(DotPlot.rowHeight, lane * Double(series.count) + 8)
        let frame = PlotFrame(
            names: series, rowLabels: rows, depth: rowHeight * Double(max(1, rows.count)))
        let values = dots.flatMap { dot in
            let (low, high) = ends(of: dot)
            // A margin may be many times the value: that can't be shown by powers of ten.
            return isLogarithmic
                ? [max(low, dot.value / 10), min(high, 10 * dot.value)] : [low, high]
        }
        let axis = Axis(
            holding: values,
            isLogarithmic ? .logarithmic : .linear, isTight: false,
            from: frame.left + 8, to: frame.right - 8)
        var drawing = Drawing(width: PlotFrame.width, height: frame.height, label: title)
        frame.drawBelow(axis, title: title, in: &drawing)
        let middles = rows.indices.map { frame.top + (Double($0) + 0.5) * rowHeight }
        frame.drawRows(rows, at: middles, in: &drawing)
        drawing.elements.append("<g class=\"marks\">")
        for dot in dots {
            let place = Double(dot.series) - Double(series.count - 1) / 2
            draw(dot, on: axis, at: middles[dot.row] + place * lane, in: &drawing)
        }
        drawing.elements.append("</g>")
        frame.drawLegend(in: &drawing, marker: LinePlot.marker)
        return drawing
    }

    private func draw(_ dot: Dot, on axis: Axis, at height: Double, in drawing: inout Drawing) {
        let style = series[dot.series].style
        if dot.halfWidth > 0 {
            drawing.line(
                "whisker s\(style)", from: (axis.place(ends(of: dot).low), height),
                to: (axis.place(ends(of: dot).high), height))
        }
        drawing.elements.append(LinePlot.marker(style, axis.place(dot.value), height))
    }

    private func ends(of dot: Dot) -> (low: Double, high: Double) {
        (
            max(dot.value - dot.halfWidth, bounds.lowerBound),
            min(dot.value + dot.halfWidth, bounds.upperBound)
        )
    }
}
