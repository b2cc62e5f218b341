/// One mutation of one replica: which life of it, and as how manieth.
public struct Dot: Hashable, Comparable, Sendable {
    /// The life of the replica, drawn at random at its start.
    public var origin: UInt64
    /// Counts from 1.
    public var sequence: UInt64

    /// Makes a dot.
    @inlinable
    public init(origin: UInt64, sequence: UInt64) {
        self.origin = origin
        self.sequence = sequence
    }

    /// Before every other dot.
    package static let first = Dot(origin: 0, sequence: 0)
    /// After every other dot.
    package static let last = Dot(origin: .max, sequence: .max)

    /// The next dot of all; the last one is its own.
    package var successor: Dot {
        if sequence < .max { return Dot(origin: origin, sequence: sequence + 1) }
        return origin < .max ? Dot(origin: origin + 1, sequence: 0) : self
    }

    /// Tells whether both name the same mutation.
    @inlinable
    public static func == (left: Dot, right: Dot) -> Bool {
        left.sequence == right.sequence && left.origin == right.origin
    }

    /// Orders by origin, then by sequence.
    @inlinable
    public static func < (left: Dot, right: Dot) -> Bool {
        left.origin == right.origin
            ? left.sequence < right.sequence : left.origin < right.origin
    }
}

/// A set of dots, kept as intervals per origin: equal neighbours merge, gaps stay.
///
/// As a causal context it is a transfer cache: it tells what need not be sent again, and never
/// that something is gone.
package struct DotSet: Lattice, Sendable {
    /// By origin; none without an interval.
    private var ranges = RangedMap<UInt64, OriginIntervals>()

    /// How many intervals are kept.
    package private(set) var intervalCount = 0

    /// A number that equal sets share, the same in every process: the sum over all intervals.
    package var fingerprint: UInt64 { ranges.fingerprint }

    /// The empty set.
    package init() {}

    /// The origins that occur, sorted.
    package var origins: [UInt64] { ranges.keys }

    /// Whether nothing is in it.
    package var isEmpty: Bool { ranges.count == 0 }

    /// The intervals of an origin, in rising order.
    package func intervals(of origin: UInt64) -> [ClosedRange<UInt64>] {
        ranges[origin]?.list ?? []
    }

    /// Whether a dot is in the set.
    package func contains(_ dot: Dot) -> Bool {
        contains(dot.sequence...dot.sequence, of: dot.origin)
    }

    /// Whether a whole interval is in the set.
    package func contains(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        guard let known = ranges[origin]?.list else { return false }
        let index = OriginIntervals.firstEnding(atOrAfter: interval.upperBound, in: known)
        return index < known.count && known[index].lowerBound <= interval.lowerBound
    }

    /// What an interval becomes together with those of the set that it overlaps or touches.
    package func interval(
        joining interval: ClosedRange<UInt64>, of origin: UInt64
    ) -> ClosedRange<UInt64> {
        ranges[origin]?.merged(interval).interval ?? interval
    }

    /// Whether an interval overlaps or touches one of the set, and so adds none.
    package func touches(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        ranges[origin].map { !$0.merged(interval).replaced.isEmpty } ?? false
    }

    /// Adds a dot; returns whether it is new.
    @discardableResult
    package mutating func insert(_ dot: Dot) -> Bool {
        insert(dot.sequence...dot.sequence, of: dot.origin)
    }

    /// Adds all dots of an interval; returns whether any is new.
    @discardableResult
    package mutating func insert(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        guard let position = ranges.position(of: origin) else {
            ranges.set(OriginIntervals(interval, of: origin), for: origin)
            intervalCount += 1
            return true
        }
        let before = ranges[position].list.count
        let isNew = ranges.modify(position) { $0.insert(interval, of: origin) }
        intervalCount += ranges[position].list.count - before
        return isNew
    }

    /// The union of both.
    @discardableResult
    package mutating func join(_ other: DotSet) -> Bool {
        if other.fingerprint == fingerprint, other == self { return false }
        var hasGrown = false
        other.forEach { origin, interval in
            if insert(interval, of: origin) { hasGrown = true }
        }
        return hasGrown
    }

    /// What is in this set and not in the other, at most `limit` intervals of it, sorted.
    package func subtracting(
        _ other: DotSet, limit: Int = .max
    ) -> [(origin: UInt64, interval: ClosedRange<UInt64>)] {
        var rest: [(origin: UInt64, interval: ClosedRange<UInt64>)] = []
        ranges.forEach(from: 0, to: nil) { origin, own in
            let theirs = other.intervals(of: origin)
            for interval in own.list {
                OriginIntervals.gaps(in: interval, without: theirs) { rest.append((origin, $0)) }
                if rest.count >= limit { return false }
            }
            return true
        }
        return rest.count > limit ? Array(rest.prefix(limit)) : rest
    }

    /// Whether every dot of this set is in the other.
    package func isSubset(of other: DotSet) -> Bool {
        subtracting(other, limit: 1).isEmpty
    }

    /// Calls `body` for each interval, sorted.
    package func forEach(_ body: (UInt64, ClosedRange<UInt64>) -> Void) {
        ranges.forEach(from: 0, to: nil) { origin, own in
            for interval in own.list { body(origin, interval) }
            return true
        }
    }
}

extension DotSet: Hashable {
    /// Tells whether both hold the same dots.
    package static func == (left: DotSet, right: DotSet) -> Bool {
        left.intervalCount == right.intervalCount && left.fingerprint == right.fingerprint
            && left.ranges.keys == right.ranges.keys && left.ranges.values == right.ranges.values
    }

    /// Mixes the fingerprint, which equal sets share.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(fingerprint)
    }
}

/// The dots of one origin as intervals.
private struct OriginIntervals: Fingerprinted, Hashable, Sendable {
    /// Closed, sorted, with a gap between each two.
    private(set) var list: [ClosedRange<UInt64>]
    /// The sum over all intervals.
    private(set) var fingerprint: UInt64

    init(_ interval: ClosedRange<UInt64>, of origin: UInt64) {
        list = [interval]
        fingerprint = OriginIntervals.mix(origin, interval)
    }

    /// Adds an interval; returns whether any of its dots is new.
    mutating func insert(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        let (merged, replaced) = self.merged(interval)
        if replaced.count == 1, list[replaced.lowerBound] == merged { return false }
        for index in replaced { fingerprint &-= OriginIntervals.mix(origin, list[index]) }
        fingerprint &+= OriginIntervals.mix(origin, merged)
        if replaced.count == 1 {
            list[replaced.lowerBound] = merged
        } else {
            list.replaceSubrange(replaced, with: CollectionOfOne(merged))
        }
        return true
    }

    /// What an interval becomes together with those that it overlaps or touches, and which those are.
    func merged(
        _ interval: ClosedRange<UInt64>
    ) -> (interval: ClosedRange<UInt64>, replaced: Range<Int>) {
        let below = interval.lowerBound == 0 ? 0 : interval.lowerBound - 1
        let begin = OriginIntervals.firstEnding(atOrAfter: below, in: list)
        var end = begin
        var lower = interval.lowerBound
        var upper = interval.upperBound
        while end < list.count,
            list[end].lowerBound <= interval.upperBound
                || list[end].lowerBound - 1 == interval.upperBound
        {
            lower = min(lower, list[end].lowerBound)
            upper = max(upper, list[end].upperBound)
            end += 1
        }
        return (lower...upper, begin..<end)
    }

    /// The parts of an interval that are not in a list.
    static func gaps(
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

    static func firstEnding(
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

    static func mix(_ origin: UInt64, _ interval: ClosedRange<UInt64>) -> UInt64 {
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
        var isCut = false
        let behind = upper.origin == .max ? nil : upper.origin + 1
        ranges.forEach(from: lower.origin, to: behind) { origin, own in
            let first = origin == lower.origin ? lower.sequence : 0
            let last = origin == upper.origin ? upper.sequence : .max
            for interval in own.list
            where interval.upperBound >= first && interval.lowerBound <= last {
                guard set.intervalCount < intervalsMax else {
                    isCut = true
                    return false
                }
                let part =
                    max(first, interval.lowerBound)...min(last, interval.upperBound)
                set.insert(part, of: origin)
                end = Dot(origin: origin, sequence: part.upperBound)
            }
            return true
        }
        return (set, isCut ? end : upper)
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

    /// In which bucket a dot is.
    package static func bucket(of dot: Dot) -> Int { Int(dot.origin >> 56) }

    /// The fingerprint of each bucket: where two sets differ, without either being sent.
    package var bucketFingerprints: [UInt64] {
        var sums = [UInt64](repeating: 0, count: DotSet.bucketCount)
        ranges.forEach(from: 0, to: nil) { origin, own in
            sums[Int(origin >> 56)] &+= own.fingerprint
            return true
        }
        return sums
    }
}
