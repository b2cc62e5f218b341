/// A value with a join: commutative, associative and idempotent.
///
/// Source: Shapiro et al., "Conflict-free Replicated Data Types" (SSS 2011); deltas after Almeida,
/// Shoker, Baquero, "Delta State Replicated Data Types" (2018): a delta is a small state.
package protocol Lattice {
    /// Joins another value into this one.
    ///
    /// - Returns: Whether this value has grown; a join that changes nothing need not be passed on.
    @discardableResult
    mutating func join(_ other: Self) -> Bool
}

/// A flag that can only be raised.
package struct RaisedFlag: Lattice, Hashable, Sendable {
    /// Whether it is raised.
    package private(set) var isRaised: Bool

    /// Makes a flag.
    package init(isRaised: Bool = false) {
        self.isRaised = isRaised
    }

    /// Raises the flag.
    package mutating func raise() {
        isRaised = true
    }

    /// Raised when either is.
    @discardableResult
    package mutating func join(_ other: RaisedFlag) -> Bool {
        defer { isRaised = isRaised || other.isRaised }
        return other.isRaised && !isRaised
    }
}

/// The largest of all values that were ever written; absent before the first.
package struct MaxRegister<Value: Comparable>: Lattice {
    /// The largest value so far.
    package private(set) var value: Value?

    /// Makes a register.
    package init(_ value: Value? = nil) {
        self.value = value
    }

    /// The larger of both.
    @discardableResult
    package mutating func join(_ other: MaxRegister) -> Bool {
        guard let theirs = other.value else { return false }
        if let value, value >= theirs { return false }
        value = theirs
        return true
    }
}

extension MaxRegister: Equatable where Value: Equatable {}
extension MaxRegister: Hashable where Value: Hashable {}
extension MaxRegister: Sendable where Value: Sendable {}

/// A map that keeps the largest keys only, each key's value joined; sorted by key.
///
/// Dropping the smallest keys commutes with joining, since a dropped key could not come back.
package struct TopMap<Key: Comparable, Value: Lattice>: Lattice {
    /// How many of the largest keys are kept.
    package let capacity: Int
    @usableFromInline var kept: [(key: Key, value: Value)] = []

    /// The entries, in rising order of their keys.
    @inlinable package var entries: [(key: Key, value: Value)] { kept }

    /// Makes an empty map; `capacity` is 1 or more.
    @inlinable
    package init(capacity: Int) {
        precondition(capacity > 0, "a map without room can't be joined into")
        self.capacity = capacity
    }

    /// The value of a key.
    @inlinable
    package subscript(key: Key) -> Value? {
        let index = firstIndex(notBelow: key)
        return index < kept.count && kept[index].key == key ? kept[index].value : nil
    }

    /// Joins a value into a key's; nothing happens to a key that is too small to be kept.
    @inlinable
    @discardableResult
    package mutating func join(_ value: Value, at key: Key) -> Bool {
        let index = firstIndex(notBelow: key)
        if index < kept.count, kept[index].key == key {
            return kept[index].value.join(value)
        }
        if kept.count == capacity {
            guard index > 0 else { return false }
            kept.insert((key, value), at: index)
            kept.removeFirst()
        } else {
            kept.insert((key, value), at: index)
        }
        return true
    }

    /// Joins every entry of another map.
    @inlinable
    @discardableResult
    package mutating func join(_ other: TopMap) -> Bool {
        var hasGrown = false
        for (key, value) in other.kept where join(value, at: key) { hasGrown = true }
        return hasGrown
    }

    @inlinable
    func firstIndex(notBelow key: Key) -> Int {
        var low = 0
        var high = kept.count
        while low < high {
            let middle = (low + high) / 2
            if kept[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension TopMap: Sendable where Key: Sendable, Value: Sendable {}

extension TopMap: Equatable where Value: Equatable {
    /// Tells whether both maps hold the same.
    package static func == (left: TopMap, right: TopMap) -> Bool {
        left.capacity == right.capacity
            && left.entries.elementsEqual(right.entries) {
                $0.key == $1.key && $0.value == $1.value
            }
    }
}
