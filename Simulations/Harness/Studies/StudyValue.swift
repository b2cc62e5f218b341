import Model

/// What a parameter of a study can be: made from text, and written as text again.
package protocol StudyValue: Sendable {
    /// Reads a value.
    ///
    /// - Throws: A `StudyError` that says what would be right.
    init(text: String) throws(StudyError)

    /// What `init(text:)` makes the same value from.
    var text: String { get }
}

extension Int: StudyValue {
    /// A whole number; underscores may divide it.
    package init(text: String) throws(StudyError) {
        guard let value = Int(text.filter { $0 != "_" }) else {
            throw StudyError("'\(text)' is no whole number")
        }
        self = value
    }

    /// In decimal.
    package var text: String { String(self) }
}

extension UInt64: StudyValue {
    /// A whole number from 0.
    package init(text: String) throws(StudyError) {
        guard let value = UInt64(text) else {
            throw StudyError("'\(text)' is no whole number from 0")
        }
        self = value
    }

    /// In decimal.
    package var text: String { String(self) }
}

extension Double: StudyValue {
    /// A number with a point; `nan` and `inf` are none.
    package init(text: String) throws(StudyError) {
        guard let value = Double(text), value.isFinite else {
            throw StudyError("'\(text)' is no number")
        }
        self = value
    }

    /// As short as it can be without changing the value.
    package var text: String {
        let digits = description
        return digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits
    }
}

extension Duration: StudyValue {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("ns", 1), ("us", 1_000),
        ("ms", 1_000_000), ("s", 1_000_000_000),
    ]

    /// A number and a unit: `ns`, `us`, `ms`, `s`, `min` or `h`; seconds without one.
    package init(text: String) throws(StudyError) {
        let unit = Duration.units.first { text.hasSuffix($0.name) }
        let number = text.dropLast(unit?.name.count ?? 0)
        let scale = Double(unit?.nanoseconds ?? 1_000_000_000)
        guard let value = Double(number), value.isFinite, (value * scale).magnitude < 9e18 else {
            throw StudyError("'\(text)' is no duration such as 40ms, 8s or 1h")
        }
        self = .nanoseconds(Int64((value * scale).rounded()))
    }

    /// In the largest unit that divides it.
    package var text: String {
        let all = nanoseconds
        guard all != 0 else { return "0s" }
        let fitting = Duration.units.filter { all % $0.nanoseconds == 0 }
        guard let unit = fitting.max(by: { $0.nanoseconds < $1.nanoseconds }) else { return "0s" }
        return "\(all / unit.nanoseconds)\(unit.name)"
    }
}

/// Bytes, with a unit in text.
package struct ByteCount: Hashable, Comparable, StudyValue {
    /// How many.
    package var bytes: UInt64

    private static let units: [(name: String, shift: UInt64)] = [
        ("T", 40), ("G", 30), ("M", 20), ("K", 10),
    ]

    /// Makes a count.
    package init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    /// A whole number, and `K`, `M`, `G` or `T` for powers of 1,024.
    package init(text: String) throws(StudyError) {
        let unit = ByteCount.units.first { text.hasSuffix($0.name) }
        let number = UInt64(text.dropLast(unit == nil ? 0 : 1))
        guard let number, number < 1 << 20 || unit == nil else {
            throw StudyError("'\(text)' is no amount of memory such as 64M or 4G")
        }
        bytes = number << (unit?.shift ?? 0)
    }

    /// In the largest unit that divides it.
    package var text: String {
        for unit in ByteCount.units where bytes > 0 && bytes % (1 << unit.shift) == 0 {
            return "\(bytes >> unit.shift)\(unit.name)"
        }
        return "\(bytes)"
    }

    /// Tells whether the left one is less.
    package static func < (left: ByteCount, right: ByteCount) -> Bool {
        left.bytes < right.bytes
    }
}

extension String: StudyValue {
    /// Any text.
    package init(text: String) throws(StudyError) { self = text }

    /// Itself.
    package var text: String { self }
}

/// From a shortest to a longest time.
package struct DelayRange: Hashable, StudyValue {
    /// The shortest.
    package var least: Duration
    /// The longest.
    package var most: Duration

    /// Makes a range.
    package init(_ least: Duration, _ most: Duration) {
        self.least = least
        self.most = most
    }

    /// `LEAST-MOST`, or one duration; up to a minute.
    package init(text: String) throws(StudyError) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(ends.count), let first = ends.first, let last = ends.last else {
            throw StudyError("'\(text)' is no range such as 100us-600us")
        }
        self.init(try Duration(text: String(first)), try Duration(text: String(last)))
        guard least >= .zero, least <= most, most <= .seconds(60) else {
            throw StudyError("'\(text)' must rise, from 0s or more to 60s or less")
        }
    }

    /// Both ends, or the one that there is.
    package var text: String { least == most ? least.text : "\(least.text)-\(most.text)" }

    /// In the middle, in seconds.
    var meanSeconds: Double { (least.seconds + most.seconds) / 2 }
}

extension Array: StudyValue where Element: StudyValue {
    /// Values with commas between them; commas in brackets belong to a value.
    package init(text: String) throws(StudyError) {
        self = []
        for part in CallText.split(text) { append(try Element(text: part)) }
    }

    /// With commas between them.
    package var text: String { map(\.text).joined(separator: ",") }
}
