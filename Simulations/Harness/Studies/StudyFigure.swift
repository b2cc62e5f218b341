/// A figure that a study asks for.
///
/// What is varied and has no place in the figure makes several of it, one beside the other.
package struct StudyFigure: Hashable, Sendable {
    /// What it shows.
    package enum Kind: Hashable, Sendable {
        /// A measure against a parameter, or against the quotient of two.
        case lines(x: Quotient, y: Measure)
        /// A measure as dots, a row for each value of something that is varied.
        case dots(rows: String, Measure)
        /// How many tasks in a hundred have at most a value.
        case distribution(StudyDistribution)
        /// How unequal the nodes are as time passes.
        case imbalance
        /// The nodes' shares of busy time, in rising order.
        case nodes
        /// Which task ran where and when in the first seed's run, between two times in seconds since
        /// the first submission.
        case timeline(from: Double, to: Double)
    }

    /// A parameter, or one over another.
    package struct Quotient: Hashable, Sendable {
        /// The parameter.
        package var name: String
        /// What its value is divided by.
        package var divisor: String?

        /// Makes a quotient.
        package init(name: String, divisor: String? = nil) {
            self.name = name
            self.divisor = divisor
        }
    }

    /// What it shows.
    package var kind: Kind
    /// What stands above it.
    package var title: String
    /// What stands below it.
    package var caption: String
    /// What its lines or colours stand for: the policy, or what is swept.
    package var series: String?
    /// The only values of what is varied that it shows.
    package var only: [StudyPlan.Sweep] = []
    /// Whether the x axis counts by powers of ten.
    package var isLogarithmicX = false
    /// Whether the axis of the measure does.
    package var isLogarithmicY = false

    /// Whether a measure is shown as a multiple of what it is for the plan's baseline.
    package var isRelative = false

    /// Makes a figure with the usual words above and below it.
    package init(_ kind: Kind, series: String?) {
        self.kind = kind
        title = kind.title
        caption = kind.caption
        self.series = series
    }

    /// How many drawings one figure makes at most.
    package static let drawingsMax = 12

    /// What is varied and has a place within a drawing.
    package var placed: [String] {
        switch kind {
        case .lines(let x, _): [x.name, x.divisor, series].compactMap { $0 }
        case .dots(let rows, _): [rows, series].compactMap { $0 }
        case .distribution, .imbalance, .nodes: [series].compactMap { $0 }
        case .timeline: []
        }
    }

    /// The values that it shows of something that is varied.
    package func values(of dimension: StudyPlan.Sweep) -> [String] {
        only.first { $0.name == dimension.name }?.values ?? dimension.values
    }

    /// The combinations of what has no place within a drawing: one drawing each.
    package func facets(of plan: StudyPlan) -> [[StudyPlan.Setting]] {
        plan.dimensions.filter { !placed.contains($0.name) }.reduce([[]]) { facets, dimension in
            facets.flatMap { facet in
                values(of: dimension).map {
                    facet + [StudyPlan.Setting(name: dimension.name, value: $0)]
                }
            }
        }
    }
}
