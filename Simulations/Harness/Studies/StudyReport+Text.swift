extension StudyReport {
    /// All numbers of the plan for a terminal: a row for each, a column for each policy, once for
    /// each combination of what else is varied.
    package var text: String {
        let policies = outcome.plan.policies.map(\.name)
        var parts = [outcome.plan.title, outcome.plan.question]
        for start in stride(from: 0, to: outcome.cells.count, by: policies.count) {
            let cells = Array(outcome.cells[start..<start + policies.count])
            let point = StudyReport.words(Array(cells[0].settings.dropLast()))
            var rows = [[point] + policies]
            for measure in outcome.plan.measures {
                let estimates = cells.map { outcome.estimate(of: measure, in: $0) }
                guard estimates.contains(where: { $0 != nil }) else { continue }
                rows.append(
                    [measure.title] + estimates.map { $0.map(measure.plain) ?? "–" })
            }
            parts.append(StudyReport.aligned(rows))
        }
        return parts.joined(separator: "\n\n")
    }

    private static func aligned(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let gap = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + gap : gap + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
