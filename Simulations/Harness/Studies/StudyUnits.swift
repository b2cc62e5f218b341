import Model

/// In which unit some numbers are best read.
struct StudyUnits {
    /// What stands behind the name on an axis: ` (ms)`, say.
    let suffix: String
    /// What a number is multiplied with.
    let factor: Double

    /// The numbers as they are.
    static let plain = StudyUnits(suffix: "", factor: 1)

    /// Seconds, as milliseconds where all are short.
    static func seconds(_ values: [Double]) -> StudyUnits {
        let greatest = values.filter(\.isFinite).max() ?? 1
        return greatest < 1
            ? StudyUnits(suffix: " (ms)", factor: 1_000) : StudyUnits(suffix: " (s)", factor: 1)
    }

    /// For values of a measure.
    static func of(_ measure: Measure, _ values: [Double]) -> StudyUnits {
        switch measure.unit {
        case "s": seconds(values)
        case "bytes": StudyUnits(suffix: " (KiB)", factor: 1.0 / 1_024)
        default: plain
        }
    }

    /// For values of something that is varied: some may be durations.
    static func of(_ values: [String]) -> StudyUnits {
        let areDurations = values.allSatisfy { Double($0) == nil && number($0) != nil }
        return areDurations && !values.isEmpty ? seconds(values.compactMap(number)) : plain
    }

    /// A value as a number; durations in seconds, a range of them as its middle, `nil` for all else.
    static func number(_ value: String) -> Double? {
        if let number = Double(value) { return number }
        let ends = value.split(separator: "-").compactMap {
            (try? Duration(text: String($0)))?.seconds
        }
        guard let first = ends.first, let last = ends.last, ends.count <= 2 else { return nil }
        return (first + last) / 2
    }
}
