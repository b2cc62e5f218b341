/// What came of a study: all its runs, and what they say together.
package struct StudyOutcome: Sendable {
    /// One combination of what is varied, over all seeds.
    package struct Cell: Sendable {
        /// What makes it.
        package var settings: [StudyPlan.Setting]
        /// Its runs, in order of their seeds.
        package var records: [StudyRecord]

        /// The value of what is varied.
        package func value(of name: String) -> String? {
            settings.first { $0.name == name }?.value
        }
    }

    /// What was planned.
    package var plan: StudyPlan
    /// A digest of how the program behaved.
    package var behaviour: UInt64
    /// All combinations, in the plan's order.
    package var cells: [Cell]
    /// Standard errors that make half an interval, by the number of samples.
    private var factors: [Int: Double] = [:]

    /// How sure an interval is.
    package static let confidence = 0.95

    /// Sorts out what was recorded.
    ///
    /// - Parameters:
    ///   - plan: What was planned.
    ///   - behaviour: A digest of how the program behaved.
    ///   - records: The numbers of cells, and what was recorded of them, in any order.
    package init(
        plan: StudyPlan, behaviour: UInt64, records: [(cell: Int, record: StudyRecord)]
    ) {
        self.plan = plan
        self.behaviour = behaviour
        cells = plan.cells.map { Cell(settings: $0, records: []) }
        for (cell, record) in records.sorted(by: { $0.record.seed < $1.record.seed }) {
            cells[cell].records.append(record)
        }
        for count in Set(cells.map(\.records.count)) where count > 1 {
            factors[count] =
                StudentT.quantile(confidence: StudyOutcome.confidence, degrees: count - 1)
                / Double(count).squareRoot()
        }
    }

    /// The mean of a measure over a cell's seeds, with its interval; `nil` when no run has it.
    ///
    /// The interval of a single run is endless.
    package func estimate(of measure: Measure, in cell: Cell) -> Estimate? {
        estimate(cell.records.compactMap { $0.measures[measure.name] })
    }

    /// The mean, over seeds, of a measure as a multiple of what the plan's baseline had in the same
    /// circumstances with the same seed, and so with the same tasks; `nil` without a baseline.
    ///
    /// Seeds differ more than policies do: what they share cancels out here (common random numbers).
    package func ratio(of measure: Measure, in cell: Cell) -> Estimate? {
        guard let baseline = plan.baseline else { return nil }
        let settings =
            cell.settings.dropLast() + [
                StudyPlan.Setting(name: StudyPlan.policyName, value: baseline)
            ]
        let others = cells.first { $0.settings == Array(settings) }?.records ?? []
        let ratios = cell.records.compactMap { record -> Double? in
            guard let value = record.measures[measure.name],
                let other = others.first(where: { $0.seed == record.seed })?
                    .measures[measure.name], other > 0
            else { return nil }
            return value / other
        }
        return estimate(ratios)
    }

    private func estimate(_ samples: [Double]) -> Estimate? {
        guard !samples.isEmpty else { return nil }
        guard samples.count > 1 else {
            return Estimate(mean: samples[0], halfWidth: .infinity, count: 1)
        }
        let count = Double(samples.count)
        let deviation = Statistics.deviation(samples) * (count / (count - 1)).squareRoot()
        let factor =
            factors[samples.count]
            ?? StudentT.quantile(confidence: StudyOutcome.confidence, degrees: samples.count - 1)
            / count.squareRoot()
        return Estimate(
            mean: Statistics.mean(samples), halfWidth: deviation * factor, count: samples.count)
    }

    /// Those cells that have these values, and of the others those that a figure shows.
    func cells(_ settings: [StudyPlan.Setting], in figure: StudyFigure) -> [Cell] {
        cells.filter { cell in
            settings.allSatisfy { cell.value(of: $0.name) == $0.value }
                && figure.only.allSatisfy { sweep in
                    cell.value(of: sweep.name).map(sweep.values.contains) ?? true
                }
        }
    }

    /// The mean over seeds of numbers that stand at the same places; as many as all runs have.
    static func mean(_ rows: [[Double]]) -> [Double] {
        let count = rows.map(\.count).min() ?? 0
        return (0..<count).map { place in Statistics.mean(rows.map { $0[place] }) }
    }
}
