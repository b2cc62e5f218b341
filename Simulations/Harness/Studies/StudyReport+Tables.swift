extension StudyReport {
    /// How many measures stand side by side in one table.
    private static let columnsMax = 6

    /// All numbers that the plan asks for, and what they mean.
    var tables: String {
        let measures = outcome.plan.measures.filter { measure in
            outcome.cells.contains { outcome.estimate(of: measure, in: $0) != nil }
        }
        guard !measures.isEmpty else { return "" }
        let parts = tables(measures) { measure, cell in
            outcome.estimate(of: measure, in: cell).map(measure.markup)
        }
        let note =
            outcome.plan.seedCount > 1
            ? "Mean over \(outcome.plan.seedCount) seeds, ± half the interval that holds the true "
                + "mean 95 times in a hundred (Student's t)."
            : "One seed: nothing is known of how exact these numbers are."
        let meanings = measures.map {
            "<div><dt>\(Markup.escaped($0.title))</dt>: <dd>\(Markup.escaped($0.meaning)).</dd></div>"
        }
        return """
            <section><h2>All numbers</h2>
            <p class="note">\(note)</p>
            \(parts)
            \(comparison(measures))
            <dl class="meanings">\(meanings.joined(separator: "\n"))</dl>
            </section>
            """
    }

    /// What a cell of a table says, if anything.
    private typealias Entry = (Measure, StudyOutcome.Cell) -> String?

    /// Everything over what it is for the baseline.
    private func comparison(_ measures: [Measure]) -> String {
        guard let baseline = outcome.plan.baseline else { return "" }
        let parts = tables(measures) { measure, cell in
            outcome.ratio(of: measure, in: cell).map { ratio in
                let digits = ratio.halfWidth.isFinite ? Format.digits(of: ratio.halfWidth) : 3
                let margin = Format.fixed(ratio.halfWidth, digits)
                return "\(Format.fixed(ratio.mean, digits))"
                    + (ratio.halfWidth.isFinite ? " <small>± \(margin)</small>" : "")
            }
        }
        return """
            <h2 class="next">The same over \(Markup.escaped(baseline))</h2>
            <p class="note">Each run over the run of \(Markup.escaped(baseline)) with the same seed, \
            which has the same tasks: what seeds differ by cancels out.</p>
            \(parts)
            """
    }

    private func tables(_ measures: [Measure], _ entry: Entry) -> String {
        stride(from: 0, to: measures.count, by: StudyReport.columnsMax).map { first in
            let last = min(first + StudyReport.columnsMax, measures.count)
            return table(Array(measures[first..<last]), entry)
        }.joined(separator: "\n")
    }

    private func table(_ measures: [Measure], _ entry: Entry) -> String {
        let names = measures.map { "<th scope=\"col\">\(Markup.escaped($0.title))</th>" }
        var rows: [String] = []
        var point = ""
        for cell in outcome.cells {
            let here = StudyReport.words(Array(cell.settings.dropLast()))
            if here != point {
                point = here
                rows.append(
                    "<tr><th class=\"point\" colspan=\"\(measures.count + 1)\">"
                        + "\(Markup.escaped(point))</th></tr>")
            }
            rows.append(row(cell, measures, entry))
        }
        return "<div class=\"wide\"><table><thead><tr><th scope=\"col\">policy</th>"
            + "\(names.joined())</tr></thead>\n<tbody>\(rows.joined(separator: "\n"))</tbody>"
            + "</table></div>"
    }

    private func row(
        _ cell: StudyOutcome.Cell, _ measures: [Measure], _ entry: Entry
    ) -> String {
        let policy = cell.value(of: StudyPlan.policyName) ?? ""
        let style =
            outcome.plan.values(of: StudyPlan.policyName).firstIndex(of: policy) ?? 0
        let cells = measures.map { measure in
            "<td>\(entry(measure, cell) ?? "–")</td>"
        }
        return "<tr><th scope=\"row\"><i class=\"s\(style % PlotStyle.seriesMax)\"></i>"
            + "\(Markup.escaped(policy))</th>\(cells.joined())</tr>"
    }
}

extension Measure {
    /// An estimate with its interval, for a cell of a table.
    fileprivate func markup(_ estimate: Estimate) -> String {
        let text = text(estimate)
        let margin = text.margin.isEmpty ? "" : " <small>\(text.margin)</small>"
        return text.mean + margin + text.unit
    }
}
