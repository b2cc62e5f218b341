import SimulationHarness

/// Reads one entry of a study file's `plots`.
struct StudyPlotReader {
    let node: StudyNode
    /// The rest of the file.
    let plan: StudyPlan

    private enum Kind: String, CaseIterable {
        case lines, dots, distribution, imbalance, nodes, timeline

        /// Which keys it takes besides those that all take.
        var keys: [String] {
            switch self {
            case .lines: ["x", "y", "series", "x-scale", "y-scale", "relative"]
            case .dots: ["measure", "rows", "series", "scale", "relative"]
            case .distribution: ["of", "series"]
            case .imbalance, .nodes: ["series"]
            case .timeline: ["from", "to"]
            }
        }
    }

    private static let commonKeys = ["plot", "title", "caption", "at"]

    /// The figure.
    func figure() throws -> StudyFigure {
        guard let kindNode = try node.entries().first(where: { $0.name == "plot" })?.value else {
            throw node.failure("lacks 'plot', which says what is shown: \(names)")
        }
        let kind = try kindNode.word(of: Kind.allCases.map { ($0.rawValue, $0) })
        let entries = try node.entries(of: StudyPlotReader.commonKeys + kind.keys)
        let what = try contents(kind, entries)
        var figure = StudyFigure(what, series: try entries["series"].map(dimension))
        if let title = entries["title"] { figure.title = try title.text() }
        if let caption = entries["caption"] { figure.caption = try caption.text() }
        if figure.series == nil { figure.series = usualSeries(what) }
        figure.isLogarithmicX = try isLogarithmic(entries["x-scale"])
        figure.isLogarithmicY = try isLogarithmic(entries["y-scale"] ?? entries["scale"])
        figure.isRelative =
            try entries["relative"]?.word(of: [("yes", true), ("no", false)]) ?? false
        guard !figure.isRelative || plan.baseline != nil else {
            throw node.failure("is relative to nothing: 'baseline' names no policy")
        }
        if let at = entries["at"] { figure.only = try selection(at) }
        let count = figure.facets(of: plan).count
        guard count <= StudyFigure.drawingsMax else {
            throw node.failure(
                "would be \(count) drawings, one for each combination of what is neither on an "
                    + "axis nor a colour; \(StudyFigure.drawingsMax) are allowed: name values "
                    + "under 'at'")
        }
        return figure
    }

    private var names: String { Kind.allCases.map(\.rawValue).joined(separator: ", ") }

    private func contents(
        _ kind: Kind, _ entries: [String: StudyNode]
    ) throws -> StudyFigure.Kind {
        switch kind {
        case .lines:
            guard let x = entries["x"], let y = entries["y"] else {
                throw node.failure("needs x and y")
            }
            return .lines(x: try quotient(x), y: try StudyFile.measure(y))
        case .dots:
            guard let measure = entries["measure"] else { throw node.failure("needs a measure") }
            return .dots(
                rows: try entries["rows"].map(dimension) ?? StudyPlan.policyName,
                try StudyFile.measure(measure))
        case .distribution:
            guard let of = entries["of"] else {
                throw node.failure("needs 'of': wait, slowdown or response")
            }
            return .distribution(
                try of.word(of: StudyDistribution.allCases.map { ($0.rawValue, $0) }))
        case .imbalance: return .imbalance
        case .nodes: return .nodes
        case .timeline:
            let from = try entries["from"]?.number() ?? 0
            let to = try entries["to"]?.number() ?? from + 60
            guard to > from else { throw node.failure("'to' is to be later than 'from'") }
            return .timeline(from: from, to: to)
        }
    }

    /// Colours are policies, unless something else is asked for or policies are rows.
    private func usualSeries(_ kind: StudyFigure.Kind) -> String? {
        switch kind {
        case .dots(let rows, _): rows == StudyPlan.policyName ? nil : StudyPlan.policyName
        case .timeline: nil
        default: StudyPlan.policyName
        }
    }

    // MARK: Parts

    private func dimension(_ node: StudyNode) throws -> String {
        try node.word(of: plan.dimensions.map { ($0.name, $0.name) })
    }

    /// `slope`, or `slope / latency`.
    private func quotient(_ node: StudyNode) throws -> StudyFigure.Quotient {
        let text = try node.text()
        let parts = text.split(separator: "/").map {
            String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard (1...2).contains(parts.count) else {
            throw node.failure("'\(text)' is to be a name, or two with a '/' between them")
        }
        for part in parts {
            guard let sweep = plan.sweeps.first(where: { $0.name == part }) else {
                if parts.count == 2, StudyPlan.isParameter(part) { continue }
                let names = plan.sweeps.map(\.name).joined(separator: ", ")
                throw node.failure("'\(part)' is not varied; there are \(names)")
            }
            guard sweep.values.allSatisfy(StudyPlan.isNumber) else {
                throw node.failure("the values of '\(part)' are neither numbers nor durations")
            }
        }
        return StudyFigure.Quotient(
            name: parts[0], divisor: parts.count == 2 ? parts[1] : nil)
    }

    private func selection(_ node: StudyNode) throws -> [StudyPlan.Sweep] {
        let allowed = Dictionary(
            plan.dimensions.map { ($0.name, $0.values) }, uniquingKeysWith: { first, _ in first })
        let entries = try node.entries(of: plan.dimensions.map(\.name))
        return try entries.sorted { $0.key < $1.key }.map { name, value in
            let known = allowed[name] ?? []
            let parts = value.isList ? try value.list(max: StudyPlan.valuesMax) : [value]
            return StudyPlan.Sweep(
                name: name, values: try parts.map { try $0.word(of: known.map { ($0, $0) }) })
        }
    }

    private func isLogarithmic(_ node: StudyNode?) throws -> Bool {
        try node?.word(of: [("linear", false), ("log", true)]) ?? false
    }
}
