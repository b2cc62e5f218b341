/// A mean that was measured, and how far the true one may be from it.
package struct Estimate: Hashable, Sendable {
    /// The mean of the samples.
    package var mean: Double
    /// Half the width of the interval that holds the true mean with the confidence asked for.
    package var halfWidth: Double
    /// How many independent samples it was made of.
    package var count: Int

    /// Makes an estimate.
    package init(mean: Double, halfWidth: Double, count: Int) {
        self.mean = mean
        self.halfWidth = halfWidth
        self.count = count
    }

    /// Estimates from independent samples: one number of each of several runs.
    ///
    /// - Parameters:
    ///   - samples: At least two; fewer know nothing of their spread, and the width is infinite.
    ///   - confidence: How often an interval made like this holds the true mean, 0 ..< 1.
    ///   - runsCompared: Of how many such runs another mean was made that is to lie in the
    ///     interval; `nil` when it is exact. One run of one's own kind misses the true mean, too.
    package init(samples: [Double], confidence: Double, runsCompared: Int? = nil) {
        count = samples.count
        mean = Statistics.mean(samples)
        guard count > 1 else {
            halfWidth = .infinity
            return
        }
        let size = Double(count)
        let variance = Statistics.deviation(samples) * Statistics.deviation(samples)
        let other = runsCompared.map { 1 / Double($0) } ?? 0
        let error = (variance * size / (size - 1) * (1 / size + other)).squareRoot()
        halfWidth = error * StudentT.quantile(confidence: confidence, degrees: count - 1)
    }

    /// Estimates from one long run, whose samples follow each other and are not independent: the
    /// means of so many batches are taken for independent ones.
    ///
    /// Source: Law, Kelton, "Simulation Modeling and Analysis", batch means. What does not fill the
    /// last batch is left out.
    package init(run: [Double], batches: Int, confidence: Double) {
        let size = run.count / max(1, batches)
        guard size > 0 else {
            self.init(samples: run, confidence: confidence)
            return
        }
        self.init(
            samples: (0..<batches).map { batch in
                Statistics.mean(Array(run[batch * size..<(batch + 1) * size]))
            }, confidence: confidence)
    }

    /// The interval.
    package var interval: ClosedRange<Double> { mean - halfWidth...mean + halfWidth }

    /// What the means of two sizes say about an endless system, when the error falls as one over
    /// the size: twice the double size less the single one.
    ///
    /// Source: Richardson's extrapolation; the errors of both are independent.
    package static func extrapolated(single: Estimate, double: Estimate) -> Estimate {
        let width = 4 * double.halfWidth * double.halfWidth + single.halfWidth * single.halfWidth
        return Estimate(
            mean: 2 * double.mean - single.mean, halfWidth: width.squareRoot(),
            count: min(single.count, double.count))
    }
}

/// Student's distribution: how far off a mean of few samples may be.
package enum StudentT {
    /// The number of standard errors to both sides of a mean that hold the true one so often.
    ///
    /// With t = √ν · tan θ the density is cos(θ)^(ν−1): it is summed up from the middle to the right
    /// until the share asked for is reached.
    ///
    /// - Parameters:
    ///   - confidence: The share, 0 ..< 1.
    ///   - degrees: Degrees of freedom ν, one less than samples; 1 or more.
    /// - Returns: The number, to about four digits.
    package static func quantile(confidence: Double, degrees: Int) -> Double {
        let steps = 20_000
        let step = Double.pi / 2 / Double(steps)
        let exponent = max(1, degrees) - 1
        // Midpoints, by turning a vector on and on: no library for sine and cosine.
        let turn = (cos: cosine(step), sin: sine(step))
        var place = (cos: cosine(step / 2), sin: sine(step / 2))
        var heights: [Double] = []
        heights.reserveCapacity(steps)
        for _ in 0..<steps {
            heights.append(power(max(place.cos, 0), exponent))
            place = (
                place.cos * turn.cos - place.sin * turn.sin,
                place.sin * turn.cos + place.cos * turn.sin
            )
        }
        let wanted = confidence * heights.reduce(0, +)
        var sum = 0.0
        for (number, height) in heights.enumerated() {
            if sum + height >= wanted {
                let angle = (Double(number) + (wanted - sum) / height) * step
                return Double(max(1, degrees)).squareRoot() * tangent(angle)
            }
            sum += height
        }
        return .infinity
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var factor = base
        var rest = exponent
        while rest > 0 {
            if rest % 2 == 1 { result *= factor }
            factor *= factor
            rest /= 2
        }
        return result
    }

    private static func tangent(_ angle: Double) -> Double { sine(angle) / cosine(angle) }

    private static func cosine(_ angle: Double) -> Double { sine(Double.pi / 2 - angle) }
}
