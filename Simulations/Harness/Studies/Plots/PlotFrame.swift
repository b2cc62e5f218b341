/// What surrounds the marks of a plot: a legend, a grid, labels and titles.
struct PlotFrame {
    /// The width of every plot.
    static let width = 720.0

    private static let nameSize = 12.0
    private static let tickSize = 11.0
    private static let rowHeight = 20.0
    private static let sampleWidth = 26.0

    /// The area of the marks.
    let left: Double
    let right = PlotFrame.width - 18
    let top: Double
    let bottom: Double
    /// The whole height.
    let height: Double
    private let legend: [(name: String, style: Int, x: Double, y: Double)]

    /// Room for marks.
    ///
    /// - Parameters:
    ///   - names: What the legend says, with the number of each style; none with one name alone.
    ///   - rowLabels: Labels at the left that need more room than numbers do.
    ///   - depth: The height of the area of the marks.
    init(names: [(name: String, style: Int)], rowLabels: [String] = [], depth: Double) {
        let widest = rowLabels.map { Drawing.width(of: $0, size: PlotFrame.nameSize) }.max()
        left = widest.map { min($0 + 20, 260) } ?? 70
        var places: [(name: String, style: Int, x: Double, y: Double)] = []
        var x = left
        var y = 16.0
        for (name, style) in names where names.count > 1 {
            let width =
                PlotFrame.sampleWidth + 8 + Drawing.width(of: name, size: PlotFrame.nameSize)
            if x > left, x + width > right {
                x = left
                y += PlotFrame.rowHeight
            }
            places.append((name, style, x, y))
            x += width + 18
        }
        legend = places
        top = places.isEmpty ? 14 : y + 16
        bottom = top + depth
        height = bottom + 46
    }

    /// The legend.
    func drawLegend(in drawing: inout Drawing, marker: (Int, Double, Double) -> String) {
        for (name, style, x, y) in legend {
            let middle = Drawing.number(y - 4)
            drawing.elements.append(
                "<path class=\"line s\(style)\" d=\"M\(Drawing.number(x)) \(middle)"
                    + "h\(Drawing.number(PlotFrame.sampleWidth))\"/>"
                    + marker(style, x + PlotFrame.sampleWidth / 2, y - 4))
            drawing.text(name, "name", at: (x + PlotFrame.sampleWidth + 8, y))
        }
    }

    /// Lines and labels of the axis below the marks.
    func drawBelow(_ axis: Axis, title: String, in drawing: inout Drawing) {
        var taken = -Double.infinity
        for tick in axis.ticks {
            let place = axis.place(tick.value)
            drawing.line("grid", from: (place, top), to: (place, bottom))
            let half = Drawing.width(of: tick.label, size: PlotFrame.tickSize) / 2
            guard place - half > taken + 6, place + half < PlotFrame.width else { continue }
            taken = place + half
            drawing.text(tick.label, "tick", at: (place, bottom + 17), anchor: "middle")
        }
        drawing.line("base", from: (left, bottom), to: (right, bottom))
        drawing.text(
            title, "axis", at: ((left + right) / 2, bottom + 38), anchor: "middle")
    }

    /// Lines and labels of the axis at the left of the marks.
    func drawLeft(_ axis: Axis, title: String, in drawing: inout Drawing) {
        var taken = Double.infinity
        for tick in axis.ticks {
            let place = axis.place(tick.value)
            drawing.line("grid", from: (left, place), to: (right, place))
            guard place + 14 < taken else { continue }
            taken = place
            drawing.text(tick.label, "tick", at: (left - 8, place + 4), anchor: "end")
        }
        let middle = Drawing.number((top + bottom) / 2)
        drawing.elements.append(
            "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(16 \(middle)) "
                + "rotate(-90)\">\(Markup.escaped(title))</text>")
    }

    /// Names at the left of rows, and a line through each.
    func drawRows(_ labels: [String], at places: [Double], in drawing: inout Drawing) {
        for (label, place) in zip(labels, places) {
            drawing.line("grid", from: (left, place), to: (right, place))
            drawing.text(label, "name", at: (left - 10, place + 4), anchor: "end")
        }
    }
}
