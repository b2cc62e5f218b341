import Model

/// How unequal run times are, whatever their mean.
package enum ServiceShape: Hashable, Sendable, StudyValue {
    /// All alike.
    case constant
    /// Without memory.
    case exponential
    /// Evenly from nothing to twice the mean.
    case uniform
    /// A heavy tail that is cut off; the largest is `spread` times the least.
    case pareto(shape: Double, spread: Double)
    /// The logarithm is normally distributed, with this standard deviation.
    case lognormal(sigma: Double)

    /// `constant`, `exponential`, `uniform`, `pareto(shape=1.5, spread=1000)` or
    /// `lognormal(sigma=1)`.
    package init(text: String) throws(StudyError) {
        var call = try CallText(text)
        switch call.name {
        case "constant": self = .constant
        case "exponential": self = .exponential
        case "uniform": self = .uniform
        case "pareto":
            self = .pareto(
                shape: try call.take("shape", 1.5, in: 0.1...10),
                spread: try call.take("spread", 1_000, in: 1.01...1e9))
        case "lognormal": self = .lognormal(sigma: try call.take("sigma", 1, in: 0.01...5))
        default:
            throw StudyError(
                "'\(call.name)' is no shape of run times; there are constant, exponential, "
                    + "uniform, pareto, lognormal")
        }
        try call.finish()
    }

    /// With all arguments.
    package var text: String {
        switch self {
        case .constant: "constant"
        case .exponential: "exponential"
        case .uniform: "uniform"
        case .pareto(let shape, let spread): "pareto(shape=\(shape.text),spread=\(spread.text))"
        case .lognormal(let sigma): "lognormal(sigma=\(sigma.text))"
        }
    }

    /// The distribution of this shape and mean.
    package func distribution(mean: Double) -> Distribution {
        switch self {
        case .constant: .constant(mean)
        case .exponential: .exponential(mean: mean)
        case .uniform: .uniform(0, 2 * mean)
        case .pareto(let shape, let spread):
            .heavyTail(shape: shape, mean: mean, spread: spread)
        case .lognormal(let sigma): .lognormal(mean: mean, sigma: sigma)
        }
    }
}
