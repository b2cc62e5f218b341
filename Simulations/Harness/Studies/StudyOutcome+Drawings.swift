extension StudyOutcome {
    /// Draws one drawing of a figure.
    ///
    /// - Parameters:
    ///   - figure: What is asked for.
    ///   - facet: The values of what has no place in it.
    /// - Returns: The drawing; without marks when no run has what it shows.
    func drawing(of figure: StudyFigure, facet: [StudyPlan.Setting]) -> Drawing {
        let cells = cells(facet, in: figure)
        switch figure.kind {
        case .lines(let x, let measure): return lines(cells, x, measure, figure)
        case .dots(let rows, let measure): return dots(cells, rows, measure, figure)
        case .distribution(let kind): return distribution(cells, kind, figure)
        case .imbalance: return imbalance(cells, figure)
        case .nodes: return nodes(cells, figure)
        case .timeline(let from, let to): return timeline(cells, from...max(from, to))
        }
    }

    // MARK: Series

    /// What one colour stands for.
    private struct Group {
        var name: String
        var style: Int
        var cells: [Cell]
    }

    /// The cells by what their colours stand for; a value has the same colour in all figures.
    private func groups(_ cells: [Cell], _ figure: StudyFigure) -> [Group] {
        guard let series = figure.series else {
            return [Group(name: "", style: 0, cells: cells)]
        }
        return plan.values(of: series).enumerated().compactMap { style, value in
            let own = cells.filter { $0.value(of: series) == value }
            guard !own.isEmpty else { return nil }
            let words = StudyPlan.Setting(name: series, value: value).words
            return Group(name: words, style: style, cells: own)
        }
    }

    // MARK: Measures

    private func lines(
        _ cells: [Cell], _ x: StudyFigure.Quotient, _ measure: Measure, _ figure: StudyFigure
    ) -> Drawing {
        let estimates = cells.compactMap { estimate(of: measure, in: $0, for: figure)?.mean }
        let units = units(of: measure, estimates, figure)
        let xUnits =
            x.divisor == nil
            ? StudyUnits.of(cells.compactMap { plan.value(of: x.name, in: $0) })
            : StudyUnits.plain
        let series = groups(cells, figure).map { group in
            let points = group.cells.compactMap { cell -> LinePlot.Point? in
                guard let place = place(x, in: cell),
                    let estimate = estimate(of: measure, in: cell, for: figure)
                else { return nil }
                return LinePlot.Point(
                    x: place * xUnits.factor, y: estimate.mean * units.factor,
                    halfWidth: estimate.halfWidth * units.factor)
            }
            return LinePlot.Series(
                name: group.name, style: group.style, points: points.sorted { $0.x < $1.x })
        }
        let title = x.divisor.map { "\(x.name) / \($0)" } ?? x.name + xUnits.suffix
        var plot = LinePlot(series, xTitle: title, yTitle: measure.title + units.suffix)
        plot.isLogarithmicX = figure.isLogarithmicX
        plot.isLogarithmicY = figure.isLogarithmicY
        plot.bounds = bounds(of: measure, figure, units)
        return plot.drawing
    }

    /// Where a cell lies on an axis of something that is varied.
    private func place(_ x: StudyFigure.Quotient, in cell: Cell) -> Double? {
        guard let value = plan.value(of: x.name, in: cell).flatMap(StudyUnits.number) else {
            return nil
        }
        guard let divisor = x.divisor else { return value }
        guard let other = plan.value(of: divisor, in: cell).flatMap(StudyUnits.number), other > 0
        else { return nil }
        return value / other
    }

    private func estimate(
        of measure: Measure, in cell: Cell, for figure: StudyFigure
    ) -> Estimate? {
        figure.isRelative ? ratio(of: measure, in: cell) : estimate(of: measure, in: cell)
    }

    private func units(
        of measure: Measure, _ values: [Double], _ figure: StudyFigure
    ) -> StudyUnits {
        guard figure.isRelative, let baseline = plan.baseline else {
            return StudyUnits.of(measure, values)
        }
        return StudyUnits(suffix: ", over that of \(baseline)", factor: 1)
    }

    private func bounds(
        of measure: Measure, _ figure: StudyFigure, _ units: StudyUnits
    ) -> ClosedRange<Double> {
        guard !figure.isRelative else { return 0 ... .greatestFiniteMagnitude }
        let bounds = measure.bounds
        return bounds
            .lowerBound...(bounds.upperBound < 2
            ? bounds.upperBound * units.factor : bounds.upperBound)
    }

    private func dots(
        _ cells: [Cell], _ rows: String, _ measure: Measure, _ figure: StudyFigure
    ) -> Drawing {
        let estimates = cells.compactMap { estimate(of: measure, in: $0, for: figure)?.mean }
        let units = units(of: measure, estimates, figure)
        let groups = groups(cells, figure)
        let labels = plan.values(of: rows).filter { value in
            cells.contains { $0.value(of: rows) == value }
        }
        var dots: [DotPlot.Dot] = []
        for (number, group) in groups.enumerated() {
            for cell in group.cells {
                guard let row = cell.value(of: rows).flatMap(labels.firstIndex),
                    let estimate = estimate(of: measure, in: cell, for: figure)
                else { continue }
                dots.append(
                    DotPlot.Dot(
                        row: row, series: number, value: estimate.mean * units.factor,
                        halfWidth: estimate.halfWidth * units.factor))
            }
        }
        var plot = DotPlot(
            rows: labels.map { StudyPlan.Setting(name: rows, value: $0).words },
            series: groups.map { ($0.name, $0.style) }, dots: dots,
            title: measure.title + units.suffix)
        plot.isLogarithmic = figure.isLogarithmicY
        plot.bounds = bounds(of: measure, figure, units)
        return plot.drawing
    }

    // MARK: Curves

    private func distribution(
        _ cells: [Cell], _ kind: StudyDistribution, _ figure: StudyFigure
    ) -> Drawing {
        let groups = groups(cells, figure)
        let curves = groups.map { group in
            StudyOutcome.mean(
                group.cells.flatMap(\.records).compactMap {
                    $0.quantiles[kind.rawValue]
                })
        }
        let units =
            kind == .slowdown
            ? StudyUnits.plain : StudyUnits.seconds(curves.compactMap { $0.dropLast(20).last })
        let series = zip(groups, curves).map { group, curve in
            LinePlot.Series(
                name: group.name, style: group.style,
                points: zip(curve, StudyRecord.shares).map {
                    LinePlot.Point(x: $0 * units.factor, y: 100 * $1)
                })
        }
        var plot = LinePlot(series, xTitle: kind.rawValue + units.suffix, yTitle: "% of tasks")
        plot.isLogarithmicX = true
        plot.yExtra = [0, 100]
        return plot.drawing
    }

    private func imbalance(_ cells: [Cell], _ figure: StudyFigure) -> Drawing {
        let series = groups(cells, figure).map { group in
            let records = group.cells.flatMap(\.records)
            let times = StudyOutcome.mean(records.map(\.times))
            let heights = StudyOutcome.mean(records.map(\.deviations))
            return LinePlot.Series(
                name: group.name, style: group.style,
                points: zip(times, heights).map { LinePlot.Point(x: $0, y: 100 * $1) })
        }
        return LinePlot(
            series, xTitle: "seconds since the first submission",
            yTitle: "deviation, % of a node's cores"
        ).drawing
    }

    private func nodes(_ cells: [Cell], _ figure: StudyFigure) -> Drawing {
        let series = groups(cells, figure).map { group in
            let shares = StudyOutcome.mean(group.cells.flatMap(\.records).map(\.busyShares))
            return LinePlot.Series(
                name: group.name, style: group.style,
                points: shares.enumerated().map { rank, share in
                    let place = Double(rank) / Double(max(1, shares.count - 1))
                    return LinePlot.Point(x: 100 * place, y: 100 * share)
                })
        }
        return LinePlot(
            series, xTitle: "nodes, by rank (%)", yTitle: "% of time busy"
        ).drawing
    }
}

extension StudyPlan {
    /// The values of something that is varied.
    func values(of name: String) -> [String] {
        dimensions.first { $0.name == name }?.values ?? []
    }

    /// The value of a parameter in a cell, whether it is varied, fixed or as usual.
    func value(of name: String, in cell: StudyOutcome.Cell) -> String? {
        cell.value(of: name) ?? parameters.last { $0.name == name }?.value
            ?? FairnessStudy.parameters.first { $0.name == name }?.usual
    }
}
