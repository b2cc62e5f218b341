/// Finding keys without a search.
extension RangedMap {
    /// Where keys were found last: guesses, believed only when the map has the key there.
    ///
    /// Two keys of one hash take each other's place, and are searched for in turn: whoever chooses keys
    /// like that gets the searches that there are without guesses, no more. Takes at most twelve
    /// bytes for each of the most keys that there were at a time.
    public struct Guesses: Sendable {
        /// Chunk and offset in one number; where in the list, the key's hash tells.
        @usableFromInline var places: [UInt32] = []

        /// Makes a table without guesses.
        public init() {}

        /// How many bits the offset takes.
        @inlinable static var offsetBits: UInt32 { 8 }

        /// Makes room for the guesses of so many keys; those that there were are lost when there is
        /// too little.
        @inlinable
        mutating func makeRoom(for keyCount: Int) {
            guard places.count < keyCount * 2 else { return }
            // All begin as the guess that a key is the first one.
            places = [UInt32](repeating: 0, count: keyCount * 3)
        }

        @inlinable
        func index(of hash: UInt64) -> Int {
            Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(places.count)).high)
        }

        @inlinable
        subscript(index: Int) -> Position {
            get {
                let place = places[index]
                return Position(
                    chunk: Int(place >> Guesses.offsetBits),
                    offset: Int(place & ((1 << Guesses.offsetBits) - 1)))
            }
            set {
                places[index] =
                    UInt32(truncatingIfNeeded: newValue.chunk) &<< Guesses.offsetBits
                    | UInt32(truncatingIfNeeded: newValue.offset)
            }
        }
    }

    /// Where each of some keys is, if it is there.
    ///
    /// Keys that are anywhere in a large map make each step of a search wait for memory. Here all
    /// guesses are read, then all are checked, so that they wait together; few need a search.
    ///
    /// - Parameters:
    ///   - keys: The keys, known or not.
    ///   - guesses: Where the keys may be; those that were wrong are put right.
    ///   - hash: Spreads the keys over all numbers.
    /// - Returns: For each key its place, in their order.
    @inlinable
    public func positions(
        of keys: [Key], guesses: inout Guesses, hash: (Key) -> UInt64
    ) -> [Position?] {
        guard keyCount > 0 else { return keys.map { _ in nil } }
        guesses.makeRoom(for: keyCount)
        let guessed = keys.map { guesses[guesses.index(of: hash($0))] }
        let areRight = keys.indices.map { holds(keys[$0], at: guessed[$0]) }
        return keys.indices.map {
            if areRight[$0] { return guessed[$0] }
            guard let found = position(of: keys[$0]) else { return nil }
            guesses[guesses.index(of: hash(keys[$0]))] = found
            return found
        }
    }

    /// Where a key is, if it is there; at once when it is still where it was before.
    @inlinable
    public func position(of key: Key, before place: Position) -> Position? {
        holds(key, at: place) ? place : position(of: key)
    }

    @inlinable
    func holds(_ key: Key, at place: Position) -> Bool {
        guard place.chunk < chunks.count, place.offset < chunks[place.chunk].keys.count else {
            return false
        }
        return chunks[place.chunk].keys[place.offset] == key
    }
}
