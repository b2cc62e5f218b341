/// What plots look like, on a page and in files of their own.
package enum PlotStyle {
    /// How many series a plot tells apart.
    package static let seriesMax = 12

    /// Colours on light paper, after Paul Tol's and Okabe and Ito's for all kinds of eyes.
    private static let light = [
        "#0b6fb8", "#d1495b", "#2e8b57", "#a86f00", "#7a4fb5", "#008299", "#b3478f", "#7d5a3c",
        "#5a6570", "#4c6b00", "#c2541b", "#3f51b5",
    ]

    /// The same on dark paper.
    private static let dark = [
        "#5db3ee", "#f2808e", "#6fce98", "#e2b64f", "#b795ea", "#4fc6d8", "#e88fc8", "#c9a27f",
        "#a9b4c0", "#a8c957", "#f29a66", "#98a5f0",
    ]

    private static let dashes = ["", "7 3", "2 3", "10 3 2 3", "14 3", "5 2 1 2"]

    /// Variables for paper, ink and series.
    package static var variables: String {
        """
        :root { color-scheme: light dark; \(lightVariables) }
        @media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #9aa5b3; \
        --line: #2a323c; --base: #5b6675; --paper: #14181d; --raised: #1b2027; \(colours(dark)) } }
        @media print { :root { color-scheme: light; \(lightVariables) } }
        """
    }

    private static var lightVariables: String {
        "--ink: #1c2430; --soft: #5b6675; --line: #e6eaef; --base: #98a2ae; --paper: #ffffff; "
            + "--raised: #f6f8fa; " + colours(light)
    }

    private static func colours(_ colours: [String]) -> String {
        colours.enumerated().map { "--c\($0): \($1);" }.joined(separator: " ")
    }

    /// The rules of marks and texts.
    package static var rules: String {
        let series = light.indices.map { number in
            let dash = dashes[number / 2 % dashes.count]
            let pattern = dash.isEmpty ? "" : " .line.s\(number) { stroke-dasharray: \(dash); }"
            return ".s\(number) { color: var(--c\(number)); }" + pattern
        }
        return """
            .grid { stroke: var(--line); } .base { stroke: var(--base); }
            .tick { fill: var(--soft); font-size: 11px; } .axis { fill: var(--soft); font-size: 12px; }
            .name { fill: var(--ink); font-size: 12px; }
            .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
            .band { fill: currentColor; opacity: .14; } .dot { fill: currentColor; stroke: var(--paper); }
            .whisker { stroke: currentColor; stroke-width: 1.5; fill: none; }
            .span { fill: currentColor; opacity: .85; }
            \(series.joined(separator: "\n"))
            """
    }

    /// All that a file of its own needs.
    static var file: String {
        variables + "\ntext { font-family: system-ui, 'DejaVu Sans', sans-serif; }\n"
            + ".paper { fill: var(--paper); }\n" + rules
    }
}
