/// A date and time of day for people to read, in milliseconds since 1970 (UTC).
///
/// Nothing is decided by it: wall clocks of nodes disagree and jump.
package struct WallTime: Comparable, Hashable, Sendable, CustomStringConvertible {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64

    /// Makes a wall time from milliseconds since 1970 (UTC).
    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// Date and time of day, as `2026-01-31 23:59:59 UTC`.
    ///
    /// Source of the date: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    package var description: String {
        let dayLength: Int64 = 86_400_000
        let day = milliseconds.quotient(by: dayLength)
        let second = (milliseconds % dayLength + dayLength) % dayLength / 1_000
        let shifted = day + 719_468
        let era = shifted.quotient(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let year = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let date = [
            year + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shiftedMonth + 2) / 5 + 1,
        ]
        let time = [second / 3_600, second / 60 % 60, second % 60]
        return date.map(WallTime.twoDigits).joined(separator: "-") + " "
            + time.map(WallTime.twoDigits).joined(separator: ":") + " UTC"
    }

    private static func twoDigits(_ number: Int64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }

    /// Tells whether the left time comes first.
    package static func < (left: WallTime, right: WallTime) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The time that lies `duration` later.
    package static func + (left: WallTime, duration: Duration) -> WallTime {
        WallTime(milliseconds: left.milliseconds &+ duration.nanoseconds / 1_000_000)
    }
}

extension Int64 {
    /// The quotient, rounded down for negative numbers, too.
    fileprivate func quotient(by divisor: Int64) -> Int64 {
        self % divisor < 0 ? self / divisor - 1 : self / divisor
    }
}
