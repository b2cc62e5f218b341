package import Model

/// How lengths of time, or other amounts, are drawn.
package enum Distribution: Hashable, Sendable {
    /// Always the same.
    case constant(Double)
    /// Without memory: what is left of it is as long as all of it.
    case exponential(mean: Double)
    /// Evenly between two bounds.
    case uniform(Double, Double)
    /// A heavy tail, cut off: most draws are near `least`, and much of the sum is in few draws
    /// near `most`. Shapes of 1 to 2 are usual for run times.
    ///
    /// Source: Crovella, Harchol-Balter, Murta, "Task assignment in a distributed system" (1998).
    case boundedPareto(shape: Double, least: Double, most: Double)
    /// The logarithm is normally distributed, with a standard deviation of `sigma`.
    case lognormal(mean: Double, sigma: Double)

    /// A bounded Pareto distribution of a given mean, whose largest value is `spread` times the
    /// least; `spread` above 1.
    package static func heavyTail(shape: Double, mean: Double, spread: Double) -> Distribution {
        let unit = Distribution.boundedPareto(shape: shape, least: 1, most: spread)
        let least = mean / unit.mean
        return .boundedPareto(shape: shape, least: least, most: least * spread)
    }

    /// What draws are on average.
    package var mean: Double {
        switch self {
        case .constant(let value): value
        case .exponential(let mean): mean
        case .uniform(let least, let most): (least + most) / 2
        case .boundedPareto(let shape, let least, let most):
            Distribution.paretoMoment(1, shape, least, most)
        case .lognormal(let mean, _): mean
        }
    }

    /// What the squares of draws are on average.
    package var secondMoment: Double {
        switch self {
        case .constant(let value): value * value
        case .exponential(let mean): 2 * mean * mean
        case .uniform(let least, let most): (least * least + least * most + most * most) / 3
        case .boundedPareto(let shape, let least, let most):
            Distribution.paretoMoment(2, shape, least, most)
        case .lognormal(let mean, let sigma): mean * mean * powerOfE(sigma * sigma)
        }
    }

    /// Draws once.
    package func draw(using random: inout SeededGenerator) -> Double {
        switch self {
        case .constant(let value): value
        case .exponential(let mean): -mean * logarithm(1 - random.fraction())
        case .uniform(let least, let most): least + (most - least) * random.fraction()
        case .boundedPareto(let shape, let least, let most):
            least
                * power(
                    1 - random.fraction() * (1 - power(least / most, shape)), -1 / shape)
        case .lognormal(let mean, let sigma):
            mean * powerOfE(sigma * Distribution.normal(using: &random) - sigma * sigma / 2)
        }
    }

    /// A draw of mean 0 and variance 1.
    ///
    /// Source: Marsaglia, Bray, "A convenient method for generating normal variables" (1964).
    private static func normal(using random: inout SeededGenerator) -> Double {
        while true {
            let x = 2 * random.fraction() - 1
            let y = 2 * random.fraction() - 1
            let square = x * x + y * y
            guard square > 0, square < 1 else { continue }
            return x * (-2 * logarithm(square) / square).squareRoot()
        }
    }

    /// The moment of this order of a bounded Pareto distribution.
    private static func paretoMoment(
        _ order: Double, _ shape: Double, _ least: Double, _ most: Double
    ) -> Double {
        let scale = shape * power(least, shape) / (1 - power(least / most, shape))
        if shape == order { return scale * logarithm(most / least) }
        return scale * (power(most, order - shape) - power(least, order - shape))
            / (order - shape)
    }
}

/// A positive number to any power.
private func power(_ base: Double, _ exponent: Double) -> Double {
    powerOfE(exponent * logarithm(base))
}

/// `exponential` by a name that no distribution has.
private func powerOfE(_ exponent: Double) -> Double { exponential(exponent) }
