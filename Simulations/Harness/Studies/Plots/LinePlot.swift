/// A plot of lines, with bands where a value is not known exactly.
package struct LinePlot: Sendable {
    /// A point of a line.
    package struct Point: Hashable, Sendable {
        /// Where it lies.
        package var x: Double
        /// How high it lies.
        package var y: Double
        /// How far the true height may be from it; 0 when that is not known or not worth showing.
        package var halfWidth: Double = 0

        /// Makes a point.
        package init(x: Double, y: Double, halfWidth: Double = 0) {
            self.x = x
            self.y = y
            self.halfWidth = halfWidth.isFinite ? halfWidth : 0
        }
    }

    /// One line.
    package struct Series: Sendable {
        /// What the legend calls it.
        package var name: String
        /// The number of its colour, the same in all plots of a report.
        package var style: Int
        /// The points, in rising order of x.
        package var points: [Point]

        /// Makes a series.
        package init(name: String, style: Int, points: [Point]) {
            self.name = name
            self.style = style % PlotStyle.seriesMax
            self.points = points
        }
    }

    /// What is plotted.
    package var series: [Series]
    /// What x means, with its unit.
    package var xTitle: String
    /// What y means, with its unit.
    package var yTitle: String
    /// Whether x counts by powers of ten.
    package var isLogarithmicX = false
    /// Whether y does.
    package var isLogarithmicY = false
    /// Between which heights points and bands lie, whatever they say.
    package var bounds = -Double.greatestFiniteMagnitude ... .greatestFiniteMagnitude
    /// A height that the y axis is to hold, besides those of the points.
    package var yExtra: [Double] = []

    /// The most points that a line is marked at; more of them are a curve.
    private static let markersMax = 12
    private static let depth = 270.0

    /// Makes a plot of lines.
    package init(_ series: [Series], xTitle: String, yTitle: String) {
        self.series = series
        self.xTitle = xTitle
        self.yTitle = yTitle
    }

    /// The plot.
    package var drawing: Drawing {
        let frame = PlotFrame(names: series.map { ($0.name, $0.style) }, depth: LinePlot.depth)
        let points = series.flatMap(\.points)
        let x = Axis(
            holding: points.map(\.x), isLogarithmicX ? .logarithmic : .linear, isTight: true,
            from: frame.left, to: frame.right)
        let heights = points.flatMap { point in
            let (low, high) = ends(of: point)
            // A margin may be many times the value: that can't be shown by powers of ten.
            return isLogarithmicY
                ? [max(low, point.y / 10), min(high, 10 * point.y)] : [low, high]
        }
        let y = Axis(
            holding: heights + yExtra,
            isLogarithmicY ? .logarithmic : .linear, isTight: false,
            from: frame.bottom, to: frame.top)
        var drawing = Drawing(
            width: PlotFrame.width, height: frame.height, label: "\(yTitle) over \(xTitle)")
        frame.drawBelow(x, title: xTitle, in: &drawing)
        frame.drawLeft(y, title: yTitle, in: &drawing)
        drawing.elements.append("<g class=\"marks\">")
        for line in series { drawing.elements += band(line, x, y) }
        for line in series { drawing.elements += marks(line, x, y) }
        drawing.elements.append("</g>")
        frame.drawLegend(in: &drawing) { style, x, y in
            points.count <= LinePlot.markersMax * series.count
                ? LinePlot.marker(style, x, y) : ""
        }
        return drawing
    }

    private func band(_ line: Series, _ x: Axis, _ y: Axis) -> [String] {
        guard line.points.count > 1, line.points.contains(where: { $0.halfWidth > 0 }) else {
            return []
        }
        let upper = line.points.map { (x.place($0.x), y.place(ends(of: $0).high)) }
        let lower = line.points.map { (x.place($0.x), y.place(ends(of: $0).low)) }
        return [
            "<path class=\"band s\(line.style)\" d=\"\(LinePlot.path(upper + lower.reversed()))Z\"/>"
        ]
    }

    private func ends(of point: Point) -> (low: Double, high: Double) {
        (
            max(point.y - point.halfWidth, bounds.lowerBound),
            min(point.y + point.halfWidth, bounds.upperBound)
        )
    }

    private func marks(_ line: Series, _ x: Axis, _ y: Axis) -> [String] {
        let places = line.points.map { (x.place($0.x), y.place($0.y)) }
        var marks: [String] = []
        if places.count > 1 {
            marks.append(
                "<path class=\"line s\(line.style)\" d=\"\(LinePlot.path(places))\">"
                    + "<title>\(Markup.escaped(line.name))</title></path>")
        }
        if places.count <= LinePlot.markersMax {
            marks += places.map { LinePlot.marker(line.style, $0.0, $0.1) }
        }
        return marks
    }

    private static func path(_ places: [(Double, Double)]) -> String {
        var data = ""
        for place in places {
            data += data.isEmpty ? "M" : "L"
            data += "\(Drawing.number(place.0)) \(Drawing.number(place.1))"
        }
        return data
    }

    static func marker(_ style: Int, _ x: Double, _ y: Double) -> String {
        "<circle class=\"dot s\(style)\" cx=\"\(Drawing.number(x))\" "
            + "cy=\"\(Drawing.number(y))\" r=\"4\"/>"
    }
}
