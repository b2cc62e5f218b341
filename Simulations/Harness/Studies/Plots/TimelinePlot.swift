/// A plot of what ran where and when: a row per node, a bar per task (a Gantt chart).
package struct TimelinePlot: Sendable {
    /// One task's time on a node.
    package struct Bar: Hashable, Sendable {
        /// The number of its node's row.
        package var row: Int
        /// Which of the node's lanes it lies in: tasks that overlap lie side by side.
        package var lane: Int
        /// When it began and ended, in seconds.
        package var start: Double
        /// See `start`.
        package var end: Double
        /// The number of its colour.
        package var style: Int
        /// What is shown when it is pointed at.
        package var title: String
    }

    /// What the rows are called, from the top.
    package var rows: [String]
    /// How many lanes each row has.
    package var lanes: [Int]
    /// The bars.
    package var bars: [Bar]

    private static let depthMax = 620.0

    /// The plot.
    package var drawing: Drawing {
        let count = lanes.reduce(0, +)
        let gap = 4.0
        let lane = min(
            9, max(1.5, (TimelinePlot.depthMax - gap * Double(rows.count)) / Double(max(1, count))))
        let depth = lane * Double(count) + gap * Double(rows.count)
        let frame = PlotFrame(names: [], rowLabels: rows, depth: max(60, depth))
        let axis = Axis(
            holding: bars.flatMap { [$0.start, $0.end] }, .linear, isTight: true,
            from: frame.left, to: frame.right)
        var drawing = Drawing(
            width: PlotFrame.width, height: frame.height, label: "tasks on nodes over time")
        frame.drawBelow(axis, title: "seconds since the first submission", in: &drawing)
        var tops: [Double] = []
        var top = frame.top
        for lanes in lanes {
            tops.append(top + gap / 2)
            top += lane * Double(lanes) + gap
        }
        frame.drawRows(
            labels(lane: lane, gap: gap),
            at: zip(tops, lanes).map {
                $0 + lane * Double($1) / 2
            }, in: &drawing)
        drawing.elements.append("<g class=\"marks\">")
        for bar in bars {
            let from = axis.place(bar.start)
            let width = max(0.6, axis.place(bar.end) - from - 0.4)
            let height = tops[bar.row] + lane * Double(bar.lane)
            drawing.elements.append(
                "<rect class=\"span s\(bar.style)\" x=\"\(Drawing.number(from))\" "
                    + "y=\"\(Drawing.number(height))\" width=\"\(Drawing.number(width))\" "
                    + "height=\"\(Drawing.number(max(1, lane - 0.8)))\">"
                    + "<title>\(Markup.escaped(bar.title))</title></rect>")
        }
        drawing.elements.append("</g>")
        return drawing
    }

    /// The names that fit: with many nodes every second one, or fewer.
    private func labels(lane: Double, gap: Double) -> [String] {
        let height = lane * Double(lanes.reduce(0, +)) / Double(max(1, rows.count)) + gap
        let every = max(1, Int((13 / height).rounded(.up)))
        return rows.enumerated().map { $0.offset % every == 0 ? $0.element : "" }
    }
}
