/// One mutation of one replica: which life of it, and as how manieth.
package struct Dot: Hashable, Comparable, Sendable {
    /// The life of the replica, drawn at random at its start.
    package var origin: UInt64
    /// Counts from 1.
    package var sequence: UInt64

    /// Makes a dot.
    @inlinable
    package init(origin: UInt64, sequence: UInt64) {
        self.origin = origin
        self.sequence = sequence
    }

    /// Before every other dot.
    package static let first = Dot(origin: 0, sequence: 0)
    /// After every other dot.
    package static let last = Dot(origin: .max, sequence: .max)

    /// Orders by origin, then by sequence.
    @inlinable
    package static func < (left: Dot, right: Dot) -> Bool {
        left.origin == right.origin
            ? left.sequence < right.sequence : left.origin < right.origin
    }
}

/// A set of dots, kept as intervals per origin: equal neighbours merge, gaps stay.
///
/// As a causal context it is a transfer cache: it tells what need not be sent again, and never
/// that something is gone.
package struct DotSet: Lattice, Hashable, Sendable {
    /// Closed intervals per origin, sorted, with a gap between each two.
    private var ranges: [UInt64: [ClosedRange<UInt64>]] = [:]

    /// How many intervals are kept.
    package private(set) var intervalCount = 0

    /// A number that equal sets share, the same in every process: the sum over all intervals.
    package private(set) var fingerprint: UInt64 = 0

    /// The empty set.
    package init() {}

    /// The origins that occur, sorted.
    package var origins: [UInt64] { ranges.keys.sorted() }

    /// Whether nothing is in it.
    package var isEmpty: Bool { ranges.isEmpty }

    /// The intervals of an origin, in rising order.
    package func intervals(of origin: UInt64) -> [ClosedRange<UInt64>] { ranges[origin] ?? [] }

    /// Whether a dot is in the set.
    package func contains(_ dot: Dot) -> Bool {
        guard let known = ranges[dot.origin] else { return false }
        let index = DotSet.firstEnding(atOrAfter: dot.sequence, in: known)
        return index < known.count && known[index].contains(dot.sequence)
    }

    /// Whether a whole interval is in the set.
    package func contains(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        guard let known = ranges[origin] else { return false }
        let index = DotSet.firstEnding(atOrAfter: interval.upperBound, in: known)
        return index < known.count && known[index].lowerBound <= interval.lowerBound
    }

    /// What an interval becomes together with those of the set that it overlaps or touches.
    package func interval(
        joining interval: ClosedRange<UInt64>, of origin: UInt64
    ) -> ClosedRange<UInt64> {
        merged(interval, with: ranges[origin] ?? []).interval
    }

    /// Adds a dot; returns whether it is new.
    @discardableResult
    package mutating func insert(_ dot: Dot) -> Bool {
        insert(dot.sequence...dot.sequence, of: dot.origin)
    }

    /// Adds all dots of an interval; returns whether any is new.
    @discardableResult
    package mutating func insert(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        let known = ranges[origin] ?? []
        let (merged, replaced) = self.merged(interval, with: known)
        if replaced.count == 1, known[replaced.lowerBound] == merged { return false }
        for old in known[replaced] { fingerprint &-= DotSet.mix(origin, old) }
        fingerprint &+= DotSet.mix(origin, merged)
        intervalCount += 1 - replaced.count
        // In place: the copy above must be gone, or every insertion copies the whole list.
        replace(replaced, of: origin, by: merged)
        return true
    }

    private mutating func replace(
        _ replaced: Range<Int>, of origin: UInt64, by merged: ClosedRange<UInt64>
    ) {
        ranges[origin, default: []].replaceSubrange(
            replaced, with: CollectionOfOne(merged))
    }

    /// What an interval becomes together with those that it overlaps or touches, and which those are.
    private func merged(
        _ interval: ClosedRange<UInt64>, with known: [ClosedRange<UInt64>]
    ) -> (interval: ClosedRange<UInt64>, replaced: Range<Int>) {
        let below = interval.lowerBound == 0 ? 0 : interval.lowerBound - 1
        let begin = DotSet.firstEnding(atOrAfter: below, in: known)
        var end = begin
        var lower = interval.lowerBound
        var upper = interval.upperBound
        while end < known.count,
            known[end].lowerBound <= interval.upperBound
                || known[end].lowerBound - 1 == interval.upperBound
        {
            lower = min(lower, known[end].lowerBound)
            upper = max(upper, known[end].upperBound)
            end += 1
        }
        return (lower...upper, begin..<end)
    }

    /// The union of both.
    @discardableResult
    package mutating func join(_ other: DotSet) -> Bool {
        if other.fingerprint == fingerprint, other == self { return false }
        var hasGrown = false
        for (origin, intervals) in other.ranges {
            for interval in intervals where insert(interval, of: origin) { hasGrown = true }
        }
        return hasGrown
    }

    /// What is in this set and not in the other, at most `limit` intervals of it, sorted.
    package func subtracting(
        _ other: DotSet, limit: Int = .max
    ) -> [(origin: UInt64, interval: ClosedRange<UInt64>)] {
        var rest: [(origin: UInt64, interval: ClosedRange<UInt64>)] = []
        for origin in origins {
            let theirs = other.intervals(of: origin)
            for interval in intervals(of: origin) {
                DotSet.gaps(in: interval, without: theirs) { rest.append((origin, $0)) }
                if rest.count >= limit { return Array(rest.prefix(limit)) }
            }
        }
        return rest
    }

    /// Whether every dot of this set is in the other.
    package func isSubset(of other: DotSet) -> Bool {
        subtracting(other, limit: 1).isEmpty
    }

    private static func gaps(
        in interval: ClosedRange<UInt64>, without known: [ClosedRange<UInt64>],
        _ body: (ClosedRange<UInt64>) -> Void
    ) {
        var lower = interval.lowerBound
        for taken in known[firstEnding(atOrAfter: lower, in: known)...] {
            guard taken.lowerBound <= interval.upperBound else { break }
            if taken.lowerBound > lower { body(lower...(taken.lowerBound - 1)) }
            guard taken.upperBound < interval.upperBound else { return }
            lower = taken.upperBound + 1
        }
        body(lower...interval.upperBound)
    }

    private static func firstEnding(
        atOrAfter sequence: UInt64, in ranges: [ClosedRange<UInt64>]
    ) -> Int {
        // Most insertions come at the end.
        if let last = ranges.last, last.upperBound < sequence { return ranges.count }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func mix(_ origin: UInt64, _ interval: ClosedRange<UInt64>) -> UInt64 {
        Fingerprint.mix(
            Fingerprint.mix(Fingerprint.mix(origin) ^ interval.lowerBound) ^ interval.upperBound)
    }
}

// MARK: Pages

extension DotSet {
    /// The part of the set from one dot through another, both included.
    package func clipped(from lower: Dot, through upper: Dot) -> DotSet {
        if lower == .first, upper == .last { return self }
        return page(from: lower, through: upper, intervalsMax: .max).set
    }

    /// The beginning of the part between two dots, at most `intervalsMax` intervals of it.
    ///
    /// - Returns: The part, and the dot through which it tells everything: `upper` unless it was
    ///   cut. What lies behind is not claimed, nor said to be absent.
    package func page(
        from lower: Dot, through upper: Dot, intervalsMax: Int
    ) -> (set: DotSet, through: Dot) {
        var set = DotSet()
        var end = lower
        for origin in ranges.keys.filter({ lower.origin <= $0 && $0 <= upper.origin }).sorted() {
            let first = origin == lower.origin ? lower.sequence : 0
            let last = origin == upper.origin ? upper.sequence : .max
            for interval in intervals(of: origin)
            where interval.upperBound >= first && interval.lowerBound <= last {
                guard set.intervalCount < intervalsMax else { return (set, end) }
                let part =
                    max(first, interval.lowerBound)...min(last, interval.upperBound)
                set.insert(part, of: origin)
                end = Dot(origin: origin, sequence: part.upperBound)
            }
        }
        return (set, upper)
    }

    /// How many parts `bucketFingerprints` tells apart: by the origin's first byte.
    package static let bucketCount = 256

    /// The dots of one bucket: its first and its last.
    package static func bucket(_ number: Int) -> (lower: Dot, upper: Dot) {
        let first = UInt64(number) << 56
        return (
            Dot(origin: first, sequence: 0),
            Dot(origin: first | (.max >> 8), sequence: .max)
        )
    }

    /// The fingerprint of each bucket: where two sets differ, without either being sent.
    package var bucketFingerprints: [UInt64] {
        var sums = [UInt64](repeating: 0, count: DotSet.bucketCount)
        for (origin, intervals) in ranges {
            for interval in intervals { sums[Int(origin >> 56)] &+= DotSet.mix(origin, interval) }
        }
        return sums
    }
}
