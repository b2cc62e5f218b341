/// What came of a study, as files: numbers for programs, a page for people, plots for documents.
package struct StudyReport: Sendable {
    /// What came of it.
    package let outcome: StudyOutcome
    /// The drawings, in the order of the plan's figures.
    package let figures: [Figure]

    /// A figure of the plan, drawn.
    package struct Figure: Sendable {
        /// What was asked for.
        package var plan: StudyFigure
        /// One drawing for each combination of what has no place in it.
        package var drawings: [(facet: String, drawing: Drawing)]
    }

    /// Draws what the plan asks for.
    package init(_ outcome: StudyOutcome) {
        self.outcome = outcome
        figures = outcome.plan.figures.map { figure in
            Figure(
                plan: figure,
                drawings: figure.facets(of: outcome.plan).map { facet in
                    let varied = facet.filter { setting in
                        figure.values(
                            of: StudyPlan.Sweep(
                                name: setting.name, values: outcome.plan.values(of: setting.name))
                        ).count > 1
                    }
                    return (
                        StudyReport.words(varied),
                        outcome.drawing(of: figure, facet: facet)
                    )
                })
        }
    }

    /// The plots as files of their own: names without an ending, and contents.
    package var plots: [(name: String, content: String)] {
        figures.enumerated().flatMap { number, figure in
            figure.drawings.enumerated().map { part, drawing in
                let letter = figure.drawings.count > 1 ? "-\(part + 1)" : ""
                return (
                    "\(number + 1)\(letter)-\(StudyReport.slug(figure.plan.title))",
                    drawing.drawing.file
                )
            }
        }
    }

    /// One line per run: what is varied, the seed, and all numbers; the first line names them.
    package var csv: String {
        let names = outcome.plan.dimensions.map(\.name) + ["seed"]
        var lines = [(names + Measure.allCases.map(\.name)).joined(separator: ",")]
        for cell in outcome.cells {
            for record in cell.records {
                let settings = cell.settings.map { StudyReport.quoted($0.value) }
                let values = Measure.allCases.map { measure in
                    record.measures[measure.name].map { "\($0)" } ?? ""
                }
                lines.append(
                    (settings + ["\(record.seed)"] + values).joined(separator: ","))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What JSON says of the study: every estimate.
    package var summary: Summary {
        Summary(
            title: outcome.plan.title, question: outcome.plan.question,
            behaviour: StudyTrial.hexadecimal(outcome.behaviour),
            parameters: StudyReport.dictionary(outcome.plan.parameters),
            baseline: outcome.plan.baseline, confidence: StudyOutcome.confidence,
            cells: outcome.cells.map { cell in
                var estimates: [String: Summary.Interval] = [:]
                var ratios: [String: Summary.Interval] = [:]
                for measure in Measure.allCases {
                    let estimate = outcome.estimate(of: measure, in: cell)
                    estimates[measure.name] = estimate.map(Summary.Interval.init)
                    let ratio = outcome.ratio(of: measure, in: cell)
                    ratios[measure.name] = ratio.map(Summary.Interval.init)
                }
                return Summary.Cell(
                    settings: StudyReport.dictionary(cell.settings),
                    seeds: cell.records.map(\.seed), measures: estimates,
                    ratios: outcome.plan.baseline == nil ? nil : ratios)
            })
    }

    /// The contents of `results.json`.
    package struct Summary: Codable, Sendable {
        /// An estimate; without two seeds nothing is known of its width.
        package struct Interval: Codable, Sendable {
            /// The mean over seeds.
            package var mean: Double
            /// Where the interval begins.
            package var low: Double?
            /// Where it ends.
            package var high: Double?
            /// How many seeds it was made of.
            package var samples: Int

            fileprivate init(_ estimate: Estimate) {
                mean = estimate.mean
                samples = estimate.count
                guard estimate.halfWidth.isFinite else { return }
                low = estimate.mean - estimate.halfWidth
                high = estimate.mean + estimate.halfWidth
            }
        }

        /// One combination of what is varied.
        package struct Cell: Codable, Sendable {
            /// What makes it.
            package var settings: [String: String]
            /// The seeds that were run.
            package var seeds: [UInt64]
            /// By the measures' names.
            package var measures: [String: Interval]
            /// The same over what they are for the baseline with the same seed.
            package var ratios: [String: Interval]?
        }

        /// What it is called.
        package var title: String
        /// What was asked.
        package var question: String
        /// A digest of how the program behaved.
        package var behaviour: String
        /// What all runs shared, besides the usual values.
        package var parameters: [String: String]
        /// The policy that others are compared with.
        package var baseline: String?
        /// How sure the intervals are.
        package var confidence: Double
        /// All combinations.
        package var cells: [Cell]
    }

    // MARK: Text

    private static func dictionary(_ settings: [StudyPlan.Setting]) -> [String: String] {
        Dictionary(settings.map { ($0.name, $0.value) }) { $1 }
    }

    /// Settings as words.
    static func words(_ settings: [StudyPlan.Setting]) -> String {
        settings.map(\.words).joined(separator: ", ")
    }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else {
            return field
        }
        return "\""
            + field.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"") + "\""
    }

    /// A title as a part of a file's name.
    private static func slug(_ title: String) -> String {
        let words = title.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        return words.joined(separator: "-")
    }
}
