/// A drawing in SVG, for a page or for a file of its own.
package struct Drawing: Sendable {
    /// Its size in units of the drawing; a page scales it to its column.
    package var width: Double
    /// See `width`.
    package var height: Double
    /// What it shows, for those who can't see it.
    package var label: String
    /// Its elements.
    package var elements: [String] = []

    /// An `svg` element for a page that has `PlotStyle`.
    package var inline: String {
        "<svg \(attributes)>\n\(elements.joined(separator: "\n"))\n</svg>"
    }

    /// A file that brings its style along.
    package var file: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" \(attributes)>
        <style>\(PlotStyle.file)</style>
        <rect class="paper" width="100%" height="100%"/>
        \(elements.joined(separator: "\n"))
        </svg>

        """
    }

    private var attributes: String {
        "viewBox=\"0 0 \(Drawing.number(width)) \(Drawing.number(height))\" role=\"img\" "
            + "aria-label=\"\(Markup.escaped(label))\""
    }

    // MARK: Elements

    mutating func line(
        _ style: String, from start: (x: Double, y: Double), to end: (x: Double, y: Double)
    ) {
        elements.append(
            "<line class=\"\(style)\" x1=\"\(Drawing.number(start.x))\" "
                + "y1=\"\(Drawing.number(start.y))\" x2=\"\(Drawing.number(end.x))\" "
                + "y2=\"\(Drawing.number(end.y))\"/>")
    }

    mutating func text(
        _ text: String, _ style: String, at place: (x: Double, y: Double), anchor: String = "start"
    ) {
        elements.append(
            "<text class=\"\(style)\" x=\"\(Drawing.number(place.x))\" "
                + "y=\"\(Drawing.number(place.y))\" text-anchor=\"\(anchor)\">"
                + "\(Markup.escaped(text))</text>")
    }

    /// A number with one digit behind the point, or none.
    static func number(_ value: Double) -> String {
        let text = Format.fixed(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// About how wide a text is in the page's font at this size; rather too much.
    static func width(of text: String, size: Double) -> Double {
        Double(text.count) * size * 0.62
    }
}

/// Text within HTML and SVG.
enum Markup {
    /// A text with what would be markup taken for text.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
