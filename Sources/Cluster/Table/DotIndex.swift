import CRDT
import Model

/// Which task a dot belongs to, one ordered map per origin.
///
/// Sequences of one origin rise, and so fill their chunks; in one map for all, those of an origin
/// would go between those of others and leave half of each chunk empty.
struct DotIndex: Sendable {
    /// A task in the index: searched by range, but never compared.
    private struct Entry: Fingerprinted, Sendable {
        var id: TaskID
        var fingerprint: UInt64 { 0 }
    }

    /// Sorted; none without a dot.
    private var origins: [UInt64] = []
    private var maps: [RangedMap<UInt64, Entry>] = []
    private(set) var count = 0

    subscript(dot: Dot) -> TaskID? {
        place(of: dot.origin).flatMap { maps[$0][dot.sequence]?.id }
    }

    mutating func set(_ id: TaskID, for dot: Dot) {
        let place = lowerBound(of: dot.origin)
        if place == origins.count || origins[place] != dot.origin {
            origins.insert(dot.origin, at: place)
            maps.insert(RangedMap(), at: place)
        }
        if maps[place].set(Entry(id: id), for: dot.sequence) == nil { count += 1 }
    }

    mutating func remove(_ dot: Dot) {
        guard let place = place(of: dot.origin), maps[place].remove(dot.sequence) != nil else {
            return
        }
        count -= 1
        if maps[place].count == 0 {
            origins.remove(at: place)
            maps.remove(at: place)
        }
    }

    /// Calls `body` for each dot of an interval in rising order, until it returns `false`.
    func forEach(
        in interval: ClosedRange<UInt64>, of origin: UInt64, _ body: (UInt64, TaskID) -> Bool
    ) {
        guard let place = place(of: origin) else { return }
        let end = interval.upperBound == .max ? nil : interval.upperBound + 1
        maps[place].forEach(from: interval.lowerBound, to: end) { body($0, $1.id) }
    }

    private func place(of origin: UInt64) -> Int? {
        let place = lowerBound(of: origin)
        return place < origins.count && origins[place] == origin ? place : nil
    }

    private func lowerBound(of origin: UInt64) -> Int {
        var low = 0
        var high = origins.count
        while low < high {
            let middle = (low &+ high) / 2
            if origins[middle] < origin { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Traps when the parts contradict each other; for tests.
    func checkInvariants() {
        precondition(zip(origins, origins.dropFirst()).allSatisfy { $0 < $1 }, "unsorted")
        precondition(maps.map(\.count).reduce(0, +) == count, "the count is wrong")
        precondition(maps.allSatisfy { $0.count > 0 }, "an origin without a dot")
        for map in maps { map.checkInvariants() }
    }
}
