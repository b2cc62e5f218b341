/// A map in order of its keys whose ranges have fingerprints: what range-based reconciliation and
/// lookups by interval need.
///
/// Kept in sorted chunks: keys that rise, as identifiers ordered by time do, are appended, and
/// fill their chunks. A lookup takes two binary searches. Public, so that it is compiled for its keys
/// and values where it is used (`Docs/Decisions/0014`).
public struct RangedMap<Key: Comparable & Sendable, Value: Fingerprinted & Sendable>: Sendable {
    /// Neighbours, in order of their keys.
    @usableFromInline
    struct Chunk: Sendable {
        @usableFromInline var keys: [Key]
        @usableFromInline var values: [Value]
        /// The sum of the values' fingerprints.
        @usableFromInline var sum: UInt64 = 0

        @inlinable
        init(reservingCount count: Int) {
            keys = []
            values = []
            keys.reserveCapacity(count)
            values.reserveCapacity(count)
        }

        /// Changes a value in place; returns by how much its fingerprint has changed, too.
        @inlinable
        mutating func modify<Result>(
            _ offset: Int, _ body: (inout Value) -> Result
        ) -> (result: Result, difference: UInt64) {
            let changed = values.withUnsafeMutableBufferPointer { values in
                let before = values[offset].fingerprint
                let result = body(&values[offset])
                return (result, values[offset].fingerprint &- before)
            }
            sum &+= changed.1
            return changed
        }
    }

    /// Where a key is.
    public struct Position: Sendable {
        @usableFromInline var chunk: Int
        @usableFromInline var offset: Int

        @inlinable
        init(chunk: Int, offset: Int) {
            self.chunk = chunk
            self.offset = offset
        }
    }

    /// How many keys a chunk has before it is divided.
    @usableFromInline let chunkCountMax: Int
    /// None is empty.
    @usableFromInline var chunks: [Chunk] = []
    /// The first key of each chunk.
    @usableFromInline var firstKeys: [Key] = []
    @usableFromInline var keyCount = 0
    @usableFromInline var sum: UInt64 = 0

    /// How many keys there are.
    @inlinable public var count: Int { keyCount }
    /// The sum of all fingerprints.
    @inlinable public var fingerprint: UInt64 { sum }

    /// Makes an empty map; `chunkCountMax` is 2 or more.
    @inlinable
    public init(chunkCountMax: Int = 128) {
        precondition(chunkCountMax >= 2, "a chunk is divided into two that are not empty")
        self.chunkCountMax = chunkCountMax
    }

    // MARK: Single keys

    /// Where a key is, if it is there.
    @inlinable
    public func position(of key: Key) -> Position? {
        let place = place(of: key)
        return place.isTaken ? place.position : nil
    }

    /// Where a key is, or would be.
    @inlinable
    func place(of key: Key) -> (position: Position, isTaken: Bool) {
        let chunk = lastChunk(startingAtOrBefore: key)
        guard chunk >= 0 else { return (Position(chunk: 0, offset: 0), false) }
        let offset = offset(notBelow: key, in: chunk)
        let isTaken = offset < chunks[chunk].keys.count && chunks[chunk].keys[offset] == key
        return (Position(chunk: chunk, offset: offset), isTaken)
    }

    /// The value of a key.
    @inlinable
    public subscript(key: Key) -> Value? {
        position(of: key).map { chunks[$0.chunk].values[$0.offset] }
    }

    /// The value at a position.
    @inlinable
    public subscript(position: Position) -> Value {
        chunks[position.chunk].values[position.offset]
    }

    /// Changes a value in place; its fingerprint may change with it.
    @inlinable
    public mutating func modify<Result>(
        _ position: Position, _ body: (inout Value) -> Result
    ) -> Result {
        let (result, difference) = chunks[position.chunk].modify(position.offset, body)
        sum &+= difference
        return result
    }

    /// Sets the value of a key; returns the one that it had.
    @inlinable
    @discardableResult
    public mutating func set(_ value: Value, for key: Key) -> Value? {
        let place = place(of: key)
        if place.isTaken {
            return modify(place.position) { old in
                defer { old = value }
                return old
            }
        }
        insert(value, for: key, at: place.position)
        return nil
    }

    @inlinable
    mutating func insert(_ value: Value, for key: Key, at place: Position) {
        let print = value.fingerprint
        keyCount += 1
        sum &+= print
        var (chunk, offset) = (place.chunk, place.offset)
        if chunks.isEmpty {
            // A map of few keys takes little room.
            chunks.append(Chunk(reservingCount: 0))
            firstKeys.append(key)
        }
        if chunks[chunk].keys.count == chunkCountMax {
            if chunk == chunks.count - 1, offset == chunkCountMax {
                // Rising keys: the full chunk stays full.
                chunks.append(Chunk(reservingCount: chunkCountMax))
                firstKeys.append(key)
                chunk += 1
                offset = 0
            } else {
                // Keys that rise almost always leave few holes behind them, too.
                let isLate = chunk == chunks.count - 1 && offset > chunkCountMax * 7 / 8
                divide(chunk, at: isLate ? chunkCountMax * 7 / 8 : chunkCountMax / 2)
                if offset > chunks[chunk].keys.count {
                    offset -= chunks[chunk].keys.count
                    chunk += 1
                }
            }
        }
        chunks[chunk].keys.insert(key, at: offset)
        chunks[chunk].values.insert(value, at: offset)
        chunks[chunk].sum &+= print
        if offset == 0 { firstKeys[chunk] = key }
    }

    @inlinable
    mutating func divide(_ chunk: Int, at middle: Int) {
        var upper = Chunk(reservingCount: chunkCountMax)
        upper.keys.append(contentsOf: chunks[chunk].keys[middle...])
        upper.values.append(contentsOf: chunks[chunk].values[middle...])
        upper.sum = upper.values.reduce(0) { $0 &+ $1.fingerprint }
        chunks[chunk].keys.removeSubrange(middle...)
        chunks[chunk].values.removeSubrange(middle...)
        chunks[chunk].sum &-= upper.sum
        firstKeys.insert(upper.keys[0], at: chunk + 1)
        chunks.insert(upper, at: chunk + 1)
    }

    /// Removes a key; returns the value that it had.
    @inlinable
    @discardableResult
    public mutating func remove(_ key: Key) -> Value? {
        guard let position = position(of: key) else { return nil }
        let chunk = position.chunk
        chunks[chunk].keys.remove(at: position.offset)
        let value = chunks[chunk].values.remove(at: position.offset)
        chunks[chunk].sum &-= value.fingerprint
        sum &-= value.fingerprint
        keyCount -= 1
        if chunks[chunk].keys.isEmpty {
            chunks.remove(at: chunk)
            firstKeys.remove(at: chunk)
        } else if position.offset == 0 {
            firstKeys[chunk] = chunks[chunk].keys[0]
        }
        return value
    }

    // MARK: Search

    /// The last chunk whose first key is not above `key`; −1 when there is none.
    @inlinable
    func lastChunk(startingAtOrBefore key: Key) -> Int {
        // Keys that rise come at the end.
        if let last = firstKeys.last, last <= key { return firstKeys.count - 1 }
        return firstKeys.withUnsafeBufferPointer { keys in
            var low = 0
            var high = keys.count
            while low < high {
                let middle = (low &+ high) / 2
                if keys[middle] <= key { low = middle &+ 1 } else { high = middle }
            }
            return low - 1
        }
    }

    @inlinable
    func offset(notBelow key: Key, in chunk: Int) -> Int {
        chunks[chunk].keys.withUnsafeBufferPointer { keys in
            if let last = keys.last, last < key { return keys.count }
            var low = 0
            var high = keys.count
            while low < high {
                let middle = (low &+ high) / 2
                if keys[middle] < key { low = middle &+ 1 } else { high = middle }
            }
            return low
        }
    }

    // MARK: Invariants

    /// Traps when the parts contradict each other; for tests.
    public func checkInvariants() {
        precondition(chunks.map(\.keys.count).reduce(0, +) == count, "the count is wrong")
        precondition(chunks.map { $0.keys[0] } == firstKeys, "the first keys are wrong")
        for chunk in chunks {
            precondition(chunk.keys.count == chunk.values.count, "keys and values differ")
            precondition(chunk.keys.count <= chunkCountMax, "a chunk is too long")
            precondition(chunk.sum == chunk.values.reduce(0) { $0 &+ $1.fingerprint })
        }
        let keys = chunks.flatMap(\.keys)
        precondition(zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }, "the keys do not rise")
        precondition(fingerprint == chunks.reduce(0) { $0 &+ $1.sum })
    }
}
