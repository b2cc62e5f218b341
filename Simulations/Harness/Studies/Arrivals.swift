package import Model

/// How jobs come: at which times, whatever they are.
package enum Arrivals: Hashable, Sendable, StudyValue {
    /// One after the other, equally far apart.
    case regular
    /// Without memory.
    case poisson
    /// Together in bursts, which come without memory; the size of each is geometrically distributed.
    case bursts(size: Double)
    /// Without memory while it is on, and none while it is off; both last exponentially long.
    ///
    /// Source: the interrupted Poisson process, Kuczura (1973); a Markov-modulated process of two
    /// states.
    case onOff(on: Duration, off: Duration)
    /// Without memory, with a rate that swings like a sine: 1 is as much at night as nothing.
    case diurnal(period: Duration, amplitude: Double)

    /// `regular`, `poisson`, `bursts(size=20)`, `onOff(on=10s, off=30s)` or
    /// `diurnal(period=10min, amplitude=0.8)`.
    package init(text: String) throws(StudyError) {
        var call = try CallText(text)
        switch call.name {
        case "regular": self = .regular
        case "poisson": self = .poisson
        case "bursts": self = .bursts(size: try call.take("size", 20, in: 1.0...1e5))
        case "onOff":
            let range = Duration.milliseconds(1) ... .seconds(86_400)
            self = .onOff(
                on: try call.take("on", .seconds(10), in: range),
                off: try call.take("off", .seconds(30), in: range))
        case "diurnal":
            self = .diurnal(
                period: try call.take(
                    "period", .seconds(600), in: .seconds(1) ... .seconds(864_000)),
                amplitude: try call.take("amplitude", 0.8, in: 0.0...1))
        default:
            throw StudyError(
                "'\(call.name)' is no kind of arrivals; there are regular, poisson, bursts, onOff, "
                    + "diurnal")
        }
        try call.finish()
    }

    /// With all arguments.
    package var text: String {
        switch self {
        case .regular: "regular"
        case .poisson: "poisson"
        case .bursts(let size): "bursts(size=\(size.text))"
        case .onOff(let on, let off): "onOff(on=\(on.text),off=\(off.text))"
        case .diurnal(let period, let amplitude):
            "diurnal(period=\(period.text),amplitude=\(amplitude.text))"
        }
    }

    /// When each of `count` jobs comes.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - interval: The mean time between two of them, in seconds.
    ///   - random: What is left to chance.
    /// - Returns: Nanoseconds from the beginning, in rising order.
    package func times(
        count: Int, interval: Double, using random: inout SeededGenerator
    ) -> [Int64] {
        switch self {
        case .regular: (1...count).map { Int64(interval * Double($0) * 1e9) }
        case .poisson: bursts(count, interval, size: 1, &random)
        case .bursts(let size): bursts(count, interval, size: size, &random)
        case .onOff(let on, let off):
            onOff(count, interval, on: on.seconds, off: off.seconds, &random)
        case .diurnal(let period, let amplitude):
            diurnal(count, interval, period: period.seconds, amplitude, &random)
        }
    }

    private func bursts(
        _ count: Int, _ interval: Double, size: Double, _ random: inout SeededGenerator
    ) -> [Int64] {
        let gaps = Distribution.exponential(mean: interval * size)
        var times: [Int64] = []
        var now = 0.0
        while times.count < count {
            now += gaps.draw(using: &random)
            repeat {
                times.append(Int64(now * 1e9))
            } while times.count < count && random.happens(1 - 1 / size)
        }
        return times
    }

    /// While it is on jobs come faster, so that the mean holds; the end of a gap that reaches beyond
    /// the end of a period is drawn anew, since nothing has a memory.
    private func onOff(
        _ count: Int, _ interval: Double, on: Double, off: Double,
        _ random: inout SeededGenerator
    ) -> [Int64] {
        let gaps = Distribution.exponential(mean: interval * on / (on + off))
        var times: [Int64] = []
        var now = 0.0
        // It begins as it is at any time: mostly as what lasts longer.
        var isOn = random.happens(on / (on + off))
        while times.count < count {
            let end =
                now + Distribution.exponential(mean: isOn ? on : off).draw(using: &random)
            while isOn, times.count < count {
                let next = now + gaps.draw(using: &random)
                guard next < end else { break }
                now = next
                times.append(Int64(now * 1e9))
            }
            now = end
            isOn.toggle()
        }
        return times
    }

    /// By thinning: jobs at the highest rate, of which some are left out.
    ///
    /// Source: Lewis, Shedler, "Simulation of nonhomogeneous Poisson processes by thinning" (1979).
    private func diurnal(
        _ count: Int, _ interval: Double, period: Double, _ amplitude: Double,
        _ random: inout SeededGenerator
    ) -> [Int64] {
        let gaps = Distribution.exponential(mean: interval / (1 + amplitude))
        var times: [Int64] = []
        var now = 0.0
        while times.count < count {
            now += gaps.draw(using: &random)
            let rate = 1 + amplitude * sine(2 * .pi * (now / period))
            if random.happens(rate / (1 + amplitude)) { times.append(Int64(now * 1e9)) }
        }
        return times
    }
}
