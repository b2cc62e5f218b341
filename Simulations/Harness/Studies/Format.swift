/// Numbers as text, without a locale.
package enum Format {
    /// A number with this many digits behind the point.
    package static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "–" }
        let factor = (0..<max(digits, 0)).reduce(1.0) { factor, _ in factor * 10 }
        let scaled = (value.magnitude * factor).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let (whole, rest) = Int64(scaled).quotientAndRemainder(dividingBy: Int64(factor))
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let text = String(rest)
        return "\(sign)\(whole)." + String(repeating: "0", count: digits - text.count) + text
    }

    /// A number in as few characters as a label needs.
    package static func short(_ value: Double) -> String {
        let magnitude = value.magnitude
        if magnitude >= 10_000 { return "\(fixed(value / 1_000, 0))k" }
        let digits = magnitude >= 100 || magnitude == 0 ? 0 : magnitude >= 10 ? 1 : 3
        var text = fixed(value, digits)
        if text.contains(".") {
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
        }
        return text
    }

    /// A count, its digits in threes.
    package static func count(_ value: Int) -> String {
        var text = String(value)
        var place = text.count - 3
        while place > (value < 0 ? 1 : 0) {
            text.insert(",", at: text.index(text.startIndex, offsetBy: place))
            place -= 3
        }
        return text
    }

    /// Seconds, with a unit that fits.
    package static func seconds(_ value: Double) -> String {
        if value > 0, value < 0.000_5 { return "under 1 ms" }
        return value < 1 ? "\(fixed(value * 1_000, 0)) ms" : "\(fixed(value, 2)) s"
    }

    /// A number in about four digits that tell something.
    package static func significant(_ value: Double) -> String {
        fixed(value, value == 0 ? 0 : max(0, digits(of: value.magnitude) + 2))
    }

    /// How many digits behind the point show two that tell something, 0…6.
    static func digits(of value: Double) -> Int {
        var digits = value >= 10 ? 0 : 1
        var scaled = value
        while scaled < 1, digits < 6 {
            scaled *= 10
            digits += 1
        }
        return digits
    }
}
