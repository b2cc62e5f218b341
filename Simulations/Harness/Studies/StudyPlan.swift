/// A study: a question, what is run to answer it, and what is shown of the answer.
package struct StudyPlan: Sendable {
    /// A name and its value, as somebody wrote it.
    package struct Setting: Hashable, Sendable {
        /// A parameter of `FairnessStudy`, or a variable that stands as `$name` in other values.
        package var name: String
        /// The value.
        package var value: String

        /// Makes a setting.
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }

        /// The two as people say it; a policy needs no name of what it is.
        package var words: String {
            if name == StudyPlan.policyName { return value }
            return "\(name) \(value.isEmpty ? "none" : value)"
        }
    }

    /// Something that is varied.
    package struct Sweep: Hashable, Sendable {
        /// A parameter of `FairnessStudy`, or a variable that stands as `$name` in other values.
        package var name: String
        /// Its values, in the order in which they are shown.
        package var values: [String]

        /// Makes a sweep.
        package init(name: String, values: [String]) {
            self.name = name
            self.values = values
        }
    }

    /// What it is called, in one line.
    package var title: String
    /// What it is to find out.
    package var question: String
    /// What all runs share, besides the usual values.
    package var parameters: [Setting] = []
    /// What is varied: all combinations are run.
    package var sweeps: [Sweep] = []
    /// What stands in the files with recorded tasks that a parameter names.
    package var traces: [String: String] = [:]
    /// The policies that are compared: what the report calls them, and what they are.
    package var policies: [Setting]
    /// The policy that others are compared with, seed by seed: one of their names.
    package var baseline: String?
    /// The seed of the first run of each combination.
    package var firstSeed: UInt64 = 1
    /// How many seeds there are.
    package var seedCount = 1
    /// What the tables show.
    package var measures: [Measure]
    /// What is plotted.
    package var figures: [StudyFigure] = []
    /// The command that makes the report again.
    package var command: String

    /// How many runs a study has at most.
    package static let runsMax = 20_000
    /// How many seeds each combination has at most.
    package static let seedsMax = 1_000
    /// How many values something that is varied has at most.
    package static let valuesMax = 64

    /// Makes a plan with no sweeps.
    package init(
        title: String, question: String, policies: [Setting], measures: [Measure], command: String
    ) {
        self.title = title
        self.question = question
        self.policies = policies
        self.measures = measures
        self.command = command
    }

    /// The name that stands for the choice of a policy where a parameter's name can stand.
    package static let policyName = "policy"

    /// All that is varied, the policy last.
    package var dimensions: [Sweep] {
        sweeps + [Sweep(name: StudyPlan.policyName, values: policies.map(\.name))]
    }

    /// How many runs there are.
    package var runCount: Int {
        dimensions.reduce(seedCount) { count, dimension in
            let (product, isTooLarge) = count.multipliedReportingOverflow(
                by: dimension.values.count)
            return isTooLarge ? .max : product
        }
    }

    /// All combinations of what is varied, the policy changing fastest.
    package var cells: [[Setting]] {
        dimensions.reduce([[]]) { cells, dimension in
            cells.flatMap { cell in
                dimension.values.map { cell + [Setting(name: dimension.name, value: $0)] }
            }
        }
    }

    /// All runs: one seed of everything, then the next one, so that an early look shows all there
    /// is, if not yet exactly.
    ///
    /// - Throws: A `StudyError` when a parameter does not take its value.
    package func trials() throws(StudyError) -> [StudyTrial] {
        var trials: [StudyTrial] = []
        let cells = cells
        for number in 0..<seedCount {
            for (index, cell) in cells.enumerated() {
                var study = try study(of: cell)
                study.seed = firstSeed &+ UInt64(number)
                let trace = traces[study.tracePath].map { Digest.of(Array($0.utf8)) }
                trials.append(StudyTrial(cell: index, study: study, trace: trace ?? 0))
            }
        }
        return trials
    }

    /// What is run for a combination of what is varied.
    ///
    /// - Throws: A `StudyError` when a parameter does not take its value.
    package func study(of cell: [Setting]) throws(StudyError) -> FairnessStudy {
        var study = FairnessStudy()
        for setting in parameters + cell where StudyPlan.isParameter(setting.name) {
            guard setting.name != StudyPlan.policyName else { continue }
            try study.set(setting.name, to: StudyPlan.filled(setting.value, from: cell))
        }
        if let trace = traces[study.tracePath] { try study.load(trace: trace) }
        let label = cell.last { $0.name == StudyPlan.policyName }?.value
        guard let policy = policies.first(where: { $0.name == label }) else { return study }
        try study.set(StudyPlan.policyName, to: StudyPlan.filled(policy.value, from: cell))
        return study
    }

    /// Gives a parameter, or something that is varied, one value.
    ///
    /// - Throws: A `StudyError` when there is none of this name, or it does not take the value; the
    ///   plan is unchanged.
    package mutating func replace(_ name: String, by value: String) throws(StudyError) {
        var changed = self
        if let place = sweeps.firstIndex(where: { $0.name == name }) {
            changed.sweeps[place].values = [value]
            for number in figures.indices {
                for part in figures[number].only.indices
                where figures[number].only[part].name == name {
                    changed.figures[number].only[part].values = [value]
                }
            }
        } else {
            guard StudyPlan.isParameter(name), name != StudyPlan.policyName, name != "seed" else {
                throw StudyError("there is no such parameter, or policies and seeds set it")
            }
            changed.parameters.append(Setting(name: name, value: value))
        }
        for cell in changed.cells { _ = try changed.study(of: cell) }
        self = changed
    }

    /// Tells whether a study has a parameter of this name.
    package static func isParameter(_ name: String) -> Bool {
        FairnessStudy.parameters.contains { $0.name == name }
    }

    /// Tells whether a value can be a place on an axis: a number, or a duration.
    package static func isNumber(_ value: String) -> Bool { StudyUnits.number(value) != nil }

    /// Tells whether a variable stands in a value.
    package static func uses(_ name: String, in value: String) -> Bool {
        parts(of: value).contains { $0.isVariable && $0.text == name }
    }

    /// A value with variables replaced by what they are; unknown ones stay as they are.
    private static func filled(_ value: String, from cell: [Setting]) -> String {
        parts(of: value).map { part in
            guard part.isVariable else { return part.text }
            return cell.first { $0.name == part.text }?.value ?? "$" + part.text
        }.joined()
    }

    /// A value, divided before and after each `$name`.
    private static func parts(of value: String) -> [(text: String, isVariable: Bool)] {
        let pieces = value.split(separator: "$", omittingEmptySubsequences: false)
        return [(String(pieces[0]), false)]
            + pieces.dropFirst().flatMap { piece in
                let name = piece.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                return [(String(name), true), (String(piece.dropFirst(name.count)), false)]
            }
    }
}
