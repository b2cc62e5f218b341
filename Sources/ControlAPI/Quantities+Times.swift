package import Model

extension Quantities {
    /// A point in time: RFC 3339 (a date alone, or with a time; UTC without a zone), a count of seconds
    /// since 1970, or a duration before `now` such as `10m`.
    package static func time(_ text: String, now: WallTime) throws(InvalidInput) -> WallTime {
        if let seconds = Double(text) {
            guard abs(seconds) < 1e12 else { throw noTime(text) }
            return WallTime(milliseconds: Int64(seconds * 1_000))
        }
        if text.contains("-") {
            guard let time = rfc3339(text) else { throw noTime(text) }
            return time
        }
        guard let seconds = try? Quantities.seconds(text) else { throw noTime(text) }
        return WallTime(milliseconds: now.milliseconds - Int64(seconds * 1_000))
    }

    private static func noTime(_ text: String) -> InvalidInput {
        InvalidInput(
            "\(text) is no time; write 10m (before now), 2026-11-24T10:00:00Z, or seconds since 1970"
        )
    }

    private static func rfc3339(_ text: String) -> WallTime? {
        let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) {
            $0 == "T" || $0 == "t" || $0 == " "
        }
        let date = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard date.count == 3, let year = number(date[0], 4, 1...9_999),
            let month = number(date[1], 2, 1...12),
            let day = number(date[2], 2, 1...daysIn(month, of: year))
        else { return nil }
        let midnight = days(year: year, month: month, day: day) * 86_400_000
        guard parts.count == 2 else { return WallTime(milliseconds: midnight) }
        return timeOfDay(parts[1]).map { WallTime(milliseconds: midnight + $0) }
    }

    /// Milliseconds since midnight in UTC of `10:00:00.5+01:00`.
    private static func timeOfDay(_ text: Substring) -> Int64? {
        var clock = text
        var shift: Int64 = 0
        if let last = clock.last, last == "Z" || last == "z" {
            clock = clock.dropLast()
        } else if let sign = clock.lastIndex(where: { $0 == "+" || $0 == "-" }) {
            let zone = clock[clock.index(after: sign)...].split(
                separator: ":", omittingEmptySubsequences: false)
            guard zone.count == 2, let hours = number(zone[0], 2, 0...23),
                let minutes = number(zone[1], 2, 0...59)
            else { return nil }
            shift = (hours * 60 + minutes) * (clock[sign] == "-" ? 60_000 : -60_000)
            clock = clock[..<sign]
        }
        let halves = clock.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fields = halves[0].split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(fields.count), let hour = number(fields[0], 2, 0...23),
            let minute = number(fields[1], 2, 0...59),
            let second = fields.count == 2 ? 0 : number(fields[2], 2, 0...60)
        else { return nil }
        var fraction: Int64 = 0
        if halves.count == 2 {
            let digits = halves[1].prefix(3)
            guard !digits.isEmpty, halves[1].allSatisfy({ ("0"..."9").contains($0) }),
                let value = Int64(digits + String(repeating: "0", count: 3 - digits.count))
            else { return nil }
            fraction = value
        }
        return (hour * 3_600 + minute * 60 + second) * 1_000 + fraction + shift
    }

    private static func number(
        _ text: Substring, _ width: Int, _ range: ClosedRange<Int64>
    ) -> Int64? {
        guard text.count == width, text.allSatisfy({ ("0"..."9").contains($0) }),
            let value = Int64(text), range.contains(value)
        else { return nil }
        return value
    }

    private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days since 1970-01-01 in the Gregorian calendar.
    ///
    /// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
}
