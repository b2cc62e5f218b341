/// One mutation of one replica: which life of it, and as how manieth.
package struct Dot: Hashable, Comparable, Sendable {
    /// The life of the replica, drawn at random at its start.
    package var origin: UInt64
    /// Counts from 1.
    package var sequence: UInt64

    /// Makes a dot.
    package init(origin: UInt64, sequence: UInt64) {
        self.origin = origin
        self.sequence = sequence
    }

    /// Orders by origin, then by sequence.
    package static func < (left: Dot, right: Dot) -> Bool {
        (left.origin, left.sequence) < (right.origin, right.sequence)
    }
}

/// A set of dots, kept as intervals per origin: equal neighbours merge, gaps stay.
///
/// As a causal context it is a transfer cache: it tells what need not be sent again, and never
/// that something is gone.
package struct DotSet: Lattice, Hashable, Sendable {
    /// Closed intervals per origin, sorted, with a gap between each two.
    private var ranges: [UInt64: [ClosedRange<UInt64>]] = [:]

    /// The empty set.
    package init() {}

    /// The origins that occur, sorted.
    package var origins: [UInt64] { ranges.keys.sorted() }

    /// How many intervals are kept.
    package var intervalCount: Int { ranges.values.reduce(0) { $0 + $1.count } }

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

    /// Adds a dot; returns whether it is new.
    @discardableResult
    package mutating func insert(_ dot: Dot) -> Bool {
        insert(dot.sequence...dot.sequence, of: dot.origin)
    }

    /// Adds all dots of an interval; returns whether any is new.
    @discardableResult
    package mutating func insert(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        var known = ranges[origin] ?? []
        // Merges with every interval that overlaps or touches.
        let below = interval.lowerBound == 0 ? 0 : interval.lowerBound - 1
        let begin = DotSet.firstEnding(atOrAfter: below, in: known)
        var end = begin
        var merged = interval
        while end < known.count,
            known[end].lowerBound <= interval.upperBound
                || known[end].lowerBound - 1 == interval.upperBound
        {
            merged =
                min(
                    merged.lowerBound, known[end].lowerBound)...max(
                    merged.upperBound, known[end].upperBound)
            end += 1
        }
        if end == begin + 1, known[begin] == merged { return false }
        known.replaceSubrange(begin..<end, with: [merged])
        ranges[origin] = known
        return true
    }

    /// The union of both.
    @discardableResult
    package mutating func join(_ other: DotSet) -> Bool {
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
            for interval in intervals(of: origin) {
                DotSet.gaps(in: interval, without: other.intervals(of: origin)) {
                    rest.append((origin, $0))
                }
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
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
