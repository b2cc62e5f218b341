/// One figure of a study of membership, with what theory says.
package struct SwimRow: Sendable {
    /// What came of the comparison.
    package enum Verdict: String, Sendable {
        /// Within ten per cent of theory.
        case met
        /// Further off, and not by chance.
        case missed
        /// Further off, perhaps by chance.
        case vague
        /// There is no theory.
        case none
    }

    /// What is measured.
    package var name: String
    /// The unit of all numbers; empty for counts and shares.
    package var unit: String
    /// What theory says, if anything.
    package var theory: Double?
    /// What was measured; the interval holds the true mean 95 times of 100.
    package var ours: Estimate

    /// How far off theory may be: a tenth.
    package static let tolerance = 0.1

    /// A figure that was measured several times.
    package init(_ name: String, unit: String, theory: Double?, samples: [Double]) {
        self.name = name
        self.unit = unit
        self.theory = theory
        ours = Estimate(samples: samples, confidence: 0.95)
    }

    /// A figure that there is only one of in a run.
    package init(_ name: String, unit: String, theory: Double?, measured: Double) {
        self.name = name
        self.unit = unit
        self.theory = theory
        ours = Estimate(mean: measured, halfWidth: 0, count: 1)
    }

    /// Whether theory is met.
    package var verdict: Verdict {
        guard let theory else { return .none }
        let off = (ours.mean - theory).magnitude
        let bound = SwimRow.tolerance * theory.magnitude
        if ours.count > 0, off <= bound { return .met }
        return off - ours.halfWidth > bound || ours.count == 0 ? .missed : .vague
    }
}

/// What came of a study of membership, as a table and as JSON.
package struct SwimReport: Sendable {
    /// How many nodes there were.
    package var nodeCount: Int
    /// The seed.
    package var seed: UInt64
    /// The figures, in order.
    package var rows: [SwimRow]

    /// Makes a report.
    package init(nodeCount: Int, seed: UInt64, rows: [SwimRow]) {
        self.nodeCount = nodeCount
        self.seed = seed
        self.rows = rows
    }

    /// The figures that theory is not met by.
    package var misses: [SwimRow] { rows.filter { $0.verdict == .missed } }

    /// The table, for a terminal.
    package var text: String {
        var lines = ["\(Format.count(nodeCount)) nodes, seed \(seed)", ""]
        let cells = rows.map(SwimReport.cells)
        let head = ["", "theory", "ours", "95 % interval", "runs", "verdict"]
        let widths = head.indices.map { column in
            ([head] + cells).map { $0[column].count }.max() ?? 0
        }
        for row in [head] + cells {
            let padded = zip(row, widths).enumerated().map { column, cell in
                let gap = String(repeating: " ", count: cell.1 - cell.0.count)
                return column == 0 || column == 5 ? cell.0 + gap : gap + cell.0
            }
            lines.append(padded.joined(separator: "  "))
        }
        return lines.joined(separator: "\n")
    }

    private static func cells(_ row: SwimRow) -> [String] {
        let digits = (row.theory ?? row.ours.mean).magnitude >= 100 ? 0 : 4
        let isOnce = row.ours.halfWidth == 0
        let low = Format.fixed(row.ours.interval.lowerBound, digits)
        let high = Format.fixed(row.ours.interval.upperBound, digits)
        return [
            row.name + (row.unit.isEmpty ? "" : " [\(row.unit)]"),
            row.theory.map { Format.fixed($0, digits) } ?? "–",
            Format.fixed(row.ours.mean, digits), isOnce ? "–" : "\(low) … \(high)",
            "\(row.ours.count)", row.verdict == .none ? "–" : row.verdict.rawValue,
        ]
    }

    /// All numbers, for programs.
    package var json: String {
        let rows = rows.map { row in
            let fields: [(String, String)] = [
                ("name", "\"\(row.name)\""), ("unit", "\"\(row.unit)\""),
                ("theory", row.theory.map { Format.fixed($0, 6) } ?? "null"),
                ("ours", Format.fixed(row.ours.mean, 6)),
                ("low", Format.fixed(row.ours.interval.lowerBound, 6)),
                ("high", Format.fixed(row.ours.interval.upperBound, 6)),
                ("samples", "\(row.ours.count)"), ("verdict", "\"\(row.verdict.rawValue)\""),
            ]
            return "    {" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
        }
        return """
            {
              "nodes": \(nodeCount),
              "seed": \(seed),
              "confidence": 0.95,
              "missed": \(misses.count),
              "rows": [
            \(rows.joined(separator: ",\n"))
              ]
            }

            """
    }
}
