import Glibc
import Model

/// Reads a container's log: segments of lines in the format of Kubernetes.
///
/// Each line is `TIME STREAM TAG TEXT`; tag `F` ends a line of output, `P` is a part of one.
/// Rotation renames `log` to `log.N`; a cursor names the segment, so that it outlives rotation.
struct LogReader: Sendable {
    let directory: String

    /// How many segments there were before the current one.
    var currentSegment: UInt32 {
        (rotated.max() ?? -1).addingReportingOverflow(1).partialValue.clampedToUInt32
    }

    private var rotated: [Int] {
        Files.names(in: directory).compactMap { name in
            name.hasPrefix("log.") ? Int(name.dropFirst(4)) : nil
        }
    }

    /// Whether there is a log at all.
    var exists: Bool { Files.isDirectory(directory) }

    /// Whether the program has ended, and nothing more will be written.
    var hasEnded: Bool { Files.exists("\(directory)/ended") }

    /// Reads from a cursor on, whole lines only, as many as fit a chunk.
    func read(from cursor: LogCursor) -> LogChunk {
        // The mark is looked at first: what was written before it is read after.
        let hasEnded = self.hasEnded
        let kept = rotated
        let current = currentSegment
        var place = cursor
        if place.segment < current, !kept.contains(Int(place.segment)) {
            // Rotated away: go on with the oldest segment that is left.
            place = LogCursor(segment: UInt32(kept.min() ?? Int(current)), offset: 0)
        }
        if place.segment > current { place = LogCursor(segment: current, offset: 0) }
        while true {
            let isCurrent = place.segment == current
            let path = isCurrent ? "\(directory)/log" : "\(directory)/log.\(place.segment)"
            let (entries, offset) = lines(of: path, from: place.offset)
            place.offset = offset
            if !entries.isEmpty || isCurrent || isStillWritten(place.segment, before: current) {
                return LogChunk(
                    entries: entries, next: place,
                    isEnd: hasEnded && isCurrent && entries.isEmpty)
            }
            place = LogCursor(segment: place.segment + 1, offset: 0)
        }
    }

    /// Whether the monitor still writes into the segment that was rotated last: until it has opened
    /// the next one.
    private func isStillWritten(_ segment: UInt32, before current: UInt32) -> Bool {
        segment + 1 == current && !hasEnded && !Files.exists("\(directory)/log")
    }

    private func lines(of path: String, from offset: UInt64) -> ([LogEntry], UInt64) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return ([], offset) }
        defer { close(descriptor) }
        guard
            let bytes = Files.read(
                from: descriptor, offset: offset, limit: LogChunk.sizeBytesMax / 2)
        else { return ([], offset) }
        var entries: [LogEntry] = []
        var begin = 0
        while let end = bytes[begin...].firstIndex(of: UInt8(ascii: "\n")) {
            if let entry = LogReader.entry(bytes[begin..<end]) { entries.append(entry) }
            begin = end + 1
        }
        return (entries, offset + UInt64(begin))
    }

    static func entry(_ line: ArraySlice<UInt8>) -> LogEntry? {
        let parts = line.split(
            separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        let stream: LogStream = parts[1].elementsEqual("stderr".utf8) ? .stderr : .stdout
        let isWhole = parts[2].first == UInt8(ascii: "F")
        let time = LogReader.time(String(decoding: parts[0], as: UTF8.self))
        return LogEntry(
            stream: stream, time: time,
            bytes: Array(parts[3]) + (isWhole ? [UInt8(ascii: "\n")] : []))
    }

    /// Reads `2026-11-24T10:00:00.123456789+01:00`.
    static func time(_ text: String) -> WallTime {
        let digits = Array(text.utf8)
        guard digits.count >= 29 else { return WallTime(milliseconds: 0) }
        func number(_ range: Range<Int>) -> Int64 {
            digits[range].reduce(0) { $0 * 10 + Int64($1) - 48 }
        }
        let days = LogReader.days(
            year: number(0..<4), month: number(5..<7), day: number(8..<10))
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

extension Int {
    fileprivate var clampedToUInt32: UInt32 { UInt32(clamping: self) }
}
