/// What came of a validation, as a table and as JSON.
package struct ValidationReport: Sendable {
    /// What was measured for one case.
    package struct Part: Sendable {
        /// The case.
        package var name: String
        /// Who published the figures.
        package var source: String
        /// What makes ours.
        package var drives: String
        /// The rows.
        package var rows: [ValidationRow]

        /// Makes a part.
        package init(_ case: ValidationCase, rows: [ValidationRow]) {
            name = `case`.name
            source = `case`.source
            drives = `case`.drives
            self.rows = rows
        }
    }

    /// How much was spent.
    package var scale: ValidationScale
    /// The cases, in order.
    package var parts: [Part]

    /// Makes a report.
    package init(scale: ValidationScale, parts: [Part]) {
        self.scale = scale
        self.parts = parts
    }

    /// The rows that are not met.
    package var misses: [ValidationRow] {
        parts.flatMap(\.rows).filter { $0.verdict != .met }
    }

    /// The table, for a terminal.
    package var text: String {
        let names = parts.flatMap(\.rows).map { $0.name.count }
        let width = (names.max() ?? 0) + 4
        var lines = [
            ValidationReport.line(
                ["", "published", "ours", "interval", "verdict"], nameWidth: width)
        ]
        for part in parts {
            lines += ["", "\(part.name): \(part.source)", "  (\(part.drives))"]
            if part.rows.isEmpty { lines.append("  at full scale only") }
            for row in part.rows {
                let digits = ValidationReport.digits(for: row.published)
                let low = Format.fixed(row.interval.lowerBound, digits)
                let high = Format.fixed(row.interval.upperBound, digits)
                lines.append(
                    ValidationReport.line(
                        [
                            "  " + row.name, Format.fixed(row.published, digits),
                            Format.fixed(row.ours.mean, digits), "\(low) … \(high)",
                            row.verdict.rawValue,
                        ], nameWidth: width))
            }
        }
        let count = parts.reduce(0) { $0 + $1.rows.count }
        lines += ["", "\(count - misses.count) of \(count) published figures met"]
        return lines.joined(separator: "\n")
    }

    private static func line(_ cells: [String], nameWidth: Int) -> String {
        let widths = [nameWidth, 11, 11, 24]
        var line = ""
        for (cell, width) in zip(cells, widths) {
            let gap = String(repeating: " ", count: max(0, width - cell.count))
            line += line.isEmpty ? cell + gap : gap + cell
        }
        return line + "  " + (cells.last ?? "")
    }

    /// So that four digits that mean something are shown.
    private static func digits(for value: Double) -> Int {
        value.magnitude >= 100 ? 1 : value.magnitude >= 1 ? 4 : 5
    }

    /// All numbers, for programs.
    package var json: String {
        let rows = parts.flatMap { part in
            part.rows.map { row in
                let fields: [(String, String)] = [
                    ("case", "\"\(part.name)\""), ("name", "\"\(row.name)\""),
                    ("drives", "\"\(part.drives)\""),
                    ("published", Format.fixed(row.published, 6)),
                    ("tolerance", Format.fixed(row.tolerance, 6)),
                    ("ours", Format.fixed(row.ours.mean, 6)),
                    ("low", Format.fixed(row.interval.lowerBound, 6)),
                    ("high", Format.fixed(row.interval.upperBound, 6)),
                    ("runs", "\(row.ours.count)"), ("verdict", "\"\(row.verdict.rawValue)\""),
                ]
                return "    {" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
            }
        }
        return """
            {
              "scale": "\(scale.rawValue)",
              "confidence": \(Validation.confidence),
              "missed": \(misses.count),
              "rows": [
            \(rows.joined(separator: ",\n"))
              ]
            }

            """
    }
}
