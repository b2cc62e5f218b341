/// What is said about samples.
package enum Statistics {
    /// The mean; 0 of nothing.
    package static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }

    /// The standard deviation of the whole population; 0 of nothing.
    package static func deviation(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let mean = mean(values)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (squares / Double(values.count)).squareRoot()
    }

    /// The value below which this share of the sorted samples lies, interpolated between two.
    ///
    /// Source: Hyndman, Fan, "Sample Quantiles in Statistical Packages" (1996), definition 7.
    ///
    /// - Parameters:
    ///   - share: 0 for the smallest, 1 for the largest sample.
    ///   - sorted: The samples in rising order.
    /// - Returns: The quantile; 0 of nothing.
    package static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        guard let last = sorted.last else { return 0 }
        let position = min(max(share, 0), 1) * Double(sorted.count - 1)
        let index = Int(position)
        guard index + 1 < sorted.count else { return last }
        let fraction = position - Double(index)
        return sorted[index] + fraction * (sorted[index + 1] - sorted[index])
    }

    /// Jain's index of fairness: 1 when all shares are equal, 1/n when one has everything.
    ///
    /// Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness" (DEC TR-301, 1984).
    package static func jain(_ shares: [Double]) -> Double {
        let sum = shares.reduce(0, +)
        let squares = shares.reduce(0) { $0 + $1 * $1 }
        guard squares > 0 else { return 1 }
        return sum * sum / (Double(shares.count) * squares)
    }

    /// Gini's coefficient of inequality: 0 when all shares are equal, 1 − 1/n when one has everything.
    ///
    /// Source: half the relative mean difference; Gini, "Variabilità e mutabilità" (1912).
    package static func gini(_ shares: [Double]) -> Double {
        let sum = shares.reduce(0, +)
        guard sum > 0 else { return 0 }
        let count = Double(shares.count)
        let weighted = shares.sorted().enumerated().reduce(0.0) {
            $0 + (2 * Double($1.offset + 1) - count - 1) * $1.element
        }
        return weighted / (count * sum)
    }

    /// The mean wait in a queue with one line before `servers` servers, in units of the mean
    /// service time: what no scheduler without knowledge of the future can beat on average.
    ///
    /// Source: Erlang's C formula for M/M/c; `load` in 0 ..< 1.
    package static func idealWait(servers: Int, load: Double) -> Double {
        guard servers > 0, load > 0, load < 1 else { return 0 }
        let offered = load * Double(servers)
        // Erlang's B by its recursion, then C from B.
        var blocking = 1.0
        for server in 1...servers {
            blocking = offered * blocking / (Double(server) + offered * blocking)
        }
        let waiting = blocking / (1 - load * (1 - blocking))
        return waiting / (Double(servers) * (1 - load))
    }
}

/// A sample set in the five numbers that people ask for.
package struct Spread: Sendable {
    /// The mean.
    package let mean: Double
    /// Half of the samples lie below.
    package let median: Double
    /// 95 of 100 samples lie below.
    package let p95: Double
    /// 99 of 100 samples lie below.
    package let p99: Double
    /// The largest sample.
    package let largest: Double

    /// Summarises samples in any order.
    package init(_ samples: [Double]) {
        let sorted = samples.sorted()
        mean = Statistics.mean(sorted)
        median = Statistics.quantile(0.5, of: sorted)
        p95 = Statistics.quantile(0.95, of: sorted)
        p99 = Statistics.quantile(0.99, of: sorted)
        largest = sorted.last ?? 0
    }
}
