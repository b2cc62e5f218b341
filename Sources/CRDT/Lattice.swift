/// A value with a join: commutative, associative and idempotent.
///
/// Source: Shapiro et al., "Conflict-free Replicated Data Types" (SSS 2011); deltas after Almeida,
/// Shoker, Baquero, "Delta State Replicated Data Types" (2018): a delta is a small state.
public protocol Lattice {
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

/// A lattice that knows under which key it is kept; joins do not change the key.
public protocol KeyedLattice: Lattice {
    /// What tells it from others.
    associatedtype Key: Comparable
    /// Where it belongs.
    var key: Key { get }
}

/// A map that keeps the largest `capacity` keys only, each key's value joined; sorted by key.
///
/// Dropping the smallest keys commutes with joining, since a dropped key could not come back.
public struct TopMap<let capacity: Int, Value: KeyedLattice>: Lattice {
    /// The values, in rising order of their keys.
    @inlinable public var values: [Value] { kept }
    @usableFromInline var kept: [Value] = []

    /// Makes an empty map; its capacity is at least one.
    @inlinable
    public init() {
        precondition(capacity > 0, "a map without room can't be joined into")
    }

    /// The value of a key.
    @inlinable
    public subscript(key: Value.Key) -> Value? {
        let index = firstIndex(notBelow: key)
        return index < kept.count && kept[index].key == key ? kept[index] : nil
    }

    /// Joins a value into that of its key; nothing happens to one whose key is too small to be kept.
    @inlinable
    @discardableResult
    public mutating func join(_ value: Value) -> Bool {
        let key = value.key
        let index = firstIndex(notBelow: key)
        if index < kept.count, kept[index].key == key { return kept[index].join(value) }
        if kept.count == capacity {
            guard index > 0 else { return false }
            kept.insert(value, at: index)
            kept.removeFirst()
        } else {
            kept.insert(value, at: index)
        }
        return true
    }

    /// Where the value with the largest key is that `isWanted` accepts.
    @inlinable
    public func lastIndex(where isWanted: (Value) -> Bool) -> Int? {
        kept.lastIndex(where: isWanted)
    }

    /// Replaces a value in place by one that joining would make of it: no smaller, of the same key.
    @inlinable
    public mutating func grow<Result>(at index: Int, _ body: (inout Value) -> Result) -> Result {
        body(&kept[index])
    }

    /// Joins every entry of another map.
    @inlinable
    @discardableResult
    public mutating func join(_ other: TopMap) -> Bool {
        var hasGrown = false
        for value in other.kept where join(value) { hasGrown = true }
        return hasGrown
    }

    @inlinable
    func firstIndex(notBelow key: Value.Key) -> Int {
        var low = 0
        var high = kept.count
        while low < high {
            let middle = (low + high) / 2
            if kept[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension TopMap: Sendable where Value: Sendable {}
extension TopMap: Equatable where Value: Equatable {}
