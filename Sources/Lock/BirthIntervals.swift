import Model

/// A set of birth dots, kept as intervals per origin: equal neighbours merge, gaps stay.
struct BirthIntervals: Hashable, Sendable {
    /// Closed intervals, sorted, with a gap between each two.
    private var intervals: [BootID: [ClosedRange<UInt64>]] = [:]
    /// How many intervals are kept.
    private(set) var count = 0

    /// The most intervals that one decoding accepts.
    static let countMax = 1 << 20

    func contains(_ dot: BirthDot) -> Bool {
        guard let ranges = intervals[dot.origin] else { return false }
        let index = BirthIntervals.firstEnding(atOrAfter: dot.sequence, in: ranges)
        return index < ranges.count && ranges[index].contains(dot.sequence)
    }

    /// Adds all dots of an interval.
    mutating func insert(_ interval: ClosedRange<UInt64>, of origin: BootID) {
        var ranges = intervals[origin] ?? []
        var merged = interval
        // Swallows every interval that overlaps or touches.
        ranges.removeAll { range in
            let isBefore = range.upperBound < .max && range.upperBound + 1 < merged.lowerBound
            let isBehind = merged.upperBound < .max && merged.upperBound + 1 < range.lowerBound
            guard !isBefore, !isBehind else { return false }
            merged =
                min(range.lowerBound, merged.lowerBound)...max(range.upperBound, merged.upperBound)
            return true
        }
        let index = ranges.firstIndex { $0.lowerBound > merged.upperBound } ?? ranges.count
        ranges.insert(merged, at: index)
        count += ranges.count - (intervals[origin]?.count ?? 0)
        intervals[origin] = ranges
    }

    mutating func insert(_ dot: BirthDot) {
        guard !contains(dot) else { return }
        var ranges = intervals[dot.origin] ?? []
        let index = BirthIntervals.firstEnding(atOrAfter: dot.sequence, in: ranges)
        var merged = dot.sequence...dot.sequence
        var replaced = index..<index
        if index < ranges.count, dot.sequence < .max,
            ranges[index].lowerBound == dot.sequence + 1
        {
            merged = dot.sequence...ranges[index].upperBound
            replaced = index..<index + 1
        }
        if index > 0, dot.sequence > 0, ranges[index - 1].upperBound == dot.sequence - 1 {
            merged = ranges[index - 1].lowerBound...merged.upperBound
            replaced = index - 1..<replaced.upperBound
        }
        count += 1 - replaced.count
        ranges.replaceSubrange(replaced, with: [merged])
        intervals[dot.origin] = ranges
    }

    /// About how many bytes they take; never too few.
    var sizeBytes: Int { 38 * count }

    private static func firstEnding(
        atOrAfter sequence: UInt64, in ranges: [ClosedRange<UInt64>]
    ) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension BirthIntervals: WireCodable {
    func encode(into writer: inout ByteWriter) {
        writer.list(intervals.keys.sorted()) { writer, origin in
            origin.encode(into: &writer)
            writer.list(intervals[origin] ?? []) {
                $0.varint($1.lowerBound)
                $0.varint($1.upperBound)
            }
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let origins = try reader.list(max: BirthIntervals.countMax) {
            (reader) throws(CodecError) -> (BootID, [ClosedRange<UInt64>]) in
            let origin = try BootID(from: &reader)
            let ranges = try reader.list(max: BirthIntervals.countMax) {
                (reader) throws(CodecError) -> ClosedRange<UInt64> in
                let lower = try reader.varint()
                let upper = try reader.varint()
                guard lower <= upper else { throw .malformed }
                return lower...upper
            }
            // Canonical: at least one, sorted, and a gap between each two.
            guard !ranges.isEmpty else { throw .notCanonical }
            for (left, right) in zip(ranges, ranges.dropFirst()) {
                guard left.upperBound < .max, left.upperBound + 1 < right.lowerBound else {
                    throw .notCanonical
                }
            }
            return (origin, ranges)
        }
        for (left, right) in zip(origins, origins.dropFirst()) {
            guard left.0 < right.0 else { throw .notCanonical }
        }
        intervals = Dictionary(uniqueKeysWithValues: origins)
        count = origins.reduce(0) { $0 + $1.1.count }
    }
}
