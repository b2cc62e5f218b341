/// One axis of a plot: which values it holds, and where they lie.
struct Axis {
    /// How an axis counts.
    enum Scale: Hashable {
        /// Evenly.
        case linear
        /// By powers of ten.
        case logarithmic
    }

    /// A value that has a line, and a label where there is room for one.
    struct Tick {
        var value: Double
        var label: String
    }

    /// The least value, and the greatest.
    let low: Double
    let high: Double
    /// In rising order.
    let ticks: [Tick]
    /// Where the least value lies in the drawing, and where the greatest does.
    let start: Double
    let end: Double
    private let scale: Scale

    /// What counts as zero where zero has no place.
    static let smallest = 1e-6

    /// An axis that holds some values.
    ///
    /// - Parameters:
    ///   - values: Those that are to be seen; others than finite ones are passed over.
    ///   - scale: How it counts.
    ///   - isTight: Whether the ends are the values themselves and not the ticks around them.
    ///   - start: Where the least value lies.
    ///   - end: Where the greatest lies.
    init(
        holding values: [Double], _ scale: Scale, isTight: Bool, from start: Double, to end: Double
    ) {
        self.scale = scale
        self.start = start
        self.end = end
        let finite = values.filter(\.isFinite)
        switch scale {
        case .linear: (low, high, ticks) = Axis.linear(finite, isTight: isTight)
        case .logarithmic: (low, high, ticks) = Axis.logarithmic(finite)
        }
    }

    /// Where a value lies; outside values lie at the ends.
    func place(_ value: Double) -> Double {
        let kept = min(max(value, low), high)
        let share: Double
        switch scale {
        case .linear: share = (kept - low) / (high - low)
        case .logarithmic: share = logarithm(kept / low) / logarithm(high / low)
        }
        return start + share * (end - start)
    }

    // MARK: Ticks

    private static func linear(
        _ values: [Double], isTight: Bool
    ) -> (Double, Double, [Tick]) {
        var low = values.min() ?? 0
        var high = values.max() ?? 1
        if !isTight, low >= 0, low < 0.6 * high { low = 0 }
        if high - low < max(high.magnitude, low.magnitude, smallest) * 1e-9 {
            // A single value stands in the middle.
            let room = max(high.magnitude * 0.1, 1e-3)
            (low, high) = (low - room, high + room)
        }
        let step = Axis.step(over: high - low)
        if !isTight {
            low = (low / step + 1e-6).rounded(.down) * step
            high = (high / step - 1e-6).rounded(.up) * step
        }
        let first = Int((low / step - 1e-6).rounded(.up))
        let last = Int((high / step + 1e-6).rounded(.down))
        let ticks = (first...max(first, last)).map { number in
            let value = Double(number) * step
            return Tick(value: value, label: Axis.label(value, step: step))
        }
        return (low, high, ticks)
    }

    /// A round number that a span holds about five times.
    private static func step(over span: Double) -> Double {
        var decade = 1.0
        while decade * 10 <= span { decade *= 10 }
        while decade > span { decade /= 10 }
        return [0.1, 0.2, 0.5, 1, 2].map { $0 * decade }.first { span / $0 <= 6.5 } ?? decade
    }

    /// Powers of ten, with twos and fives between; where that would be too few, round numbers.
    private static func logarithmic(_ values: [Double]) -> (Double, Double, [Tick]) {
        let positive = values.filter { $0 > 0 }
        let low = max(positive.min() ?? 1, smallest)
        let high = max(positive.max() ?? 10, low * 1.01)
        guard high >= 5 * low else {
            let (_, _, ticks) = linear([low, high], isTight: true)
            return (low, high, ticks)
        }
        var decade = 1.0
        while decade > low { decade /= 10 }
        while decade * 10 <= low { decade *= 10 }
        var ticks: [Tick] = []
        while decade <= high {
            for value in [1, 2, 5].map({ $0 * decade })
            where value >= low * 0.999 && value <= high * 1.001 {
                ticks.append(Tick(value: value, label: Format.short(value)))
            }
            decade *= 10
        }
        return (low, high, ticks)
    }

    /// With as many digits as tell neighbours apart.
    private static func label(_ value: Double, step: Double) -> String {
        var digits = 0
        var scaled = step
        while digits < 6, (scaled - scaled.rounded()).magnitude > 1e-6 * scaled {
            digits += 1
            scaled *= 10
        }
        guard digits == 0, value.magnitude >= 10_000 else { return Format.fixed(value, digits) }
        return Format.count(Int(value))
    }
}
