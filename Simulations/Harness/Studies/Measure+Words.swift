extension Measure {
    /// What people call it: `Wait, p99`, say.
    package var title: String {
        switch self {
        case .jain: return "Jain's index"
        case .gini: return "Gini's coefficient"
        case .busyRatio: return "Busiest over idlest node"
        case .userJain: return "Jain's index over users"
        case .userSlowdownRatio: return "Slowdown, worst over best user"
        default: break
        }
        var words = name.split(separator: "_").map(String.init)
        words[0] = words[0].prefix(1).uppercased() + words[0].dropFirst()
        let last = words[words.count - 1]
        guard words.count > 1,
            ["mean", "max"].contains(last) || last.hasPrefix("p") && last != "per"
        else { return words.joined(separator: " ") }
        return words.dropLast().joined(separator: " ") + ", " + last
    }

    /// Between which numbers it lies, whatever an interval says.
    var bounds: ClosedRange<Double> {
        unit == "share" ? 0...1 : 0 ... .greatestFiniteMagnitude
    }

    /// An estimate with its interval, in as many digits as the interval leaves.
    func text(_ estimate: Estimate) -> (mean: String, margin: String, unit: String) {
        let isShort = unit == "s" && estimate.mean < 1
        let factor = isShort ? 1_000.0 : 1
        let suffix = unit == "s" ? (isShort ? " ms" : " s") : ""
        let mean = estimate.mean * factor
        let half = estimate.halfWidth * factor
        guard half.isFinite, half > 0 else { return (Format.significant(mean), "", suffix) }
        let digits = Format.digits(of: half)
        return (Format.fixed(mean, digits), "± \(Format.fixed(half, digits))", suffix)
    }

    /// An estimate in a line of text.
    func plain(_ estimate: Estimate) -> String {
        let text = text(estimate)
        return text.mean + (text.margin.isEmpty ? "" : " ") + text.margin + text.unit
    }
}
