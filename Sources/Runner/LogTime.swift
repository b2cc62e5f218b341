import Model

/// The times in a container's log.
enum LogTime {
    /// Reads `2026-11-24T10:00:00.123456789+01:00`; anything else is the year 1970.
    static func parse(_ text: String) -> WallTime {
        let digits = Array(text.utf8)
        guard digits.count >= 29 else { return WallTime(milliseconds: 0) }
        func number(_ range: Range<Int>) -> Int64 {
            digits[range].reduce(0) { $0 * 10 + Int64($1) - 48 }
        }
        let days = days(year: number(0..<4), month: number(5..<7), day: number(8..<10))
        let seconds = number(11..<13) * 3_600 + number(14..<16) * 60 + number(17..<19)
        var milliseconds = (days * 86_400 + seconds) * 1_000 + number(20..<23)
        if digits.count >= 35 {
            let shift = (number(30..<32) * 60 + number(33..<35)) * 60_000
            milliseconds += digits[29] == UInt8(ascii: "-") ? shift : -shift
        }
        return WallTime(milliseconds: milliseconds)
    }

    /// Days since 1970-01-01 in the Gregorian calendar.
    ///
    /// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
