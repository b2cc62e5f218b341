/// Ranges of keys: from the first one given (included) to the last (excluded, `nil` for the end).
extension RangedMap {
    /// How many keys lie in a range, and the sum of their values' fingerprints.
    @inlinable
    public func summary(from lower: Key, to upper: Key?) -> (count: Int, fingerprint: UInt64) {
        var found = 0
        var sum: UInt64 = 0
        var chunk = max(lastChunk(startingAtOrBefore: lower), 0)
        while chunk < chunks.count {
            if let upper, firstKeys[chunk] >= upper { break }
            let part = chunks[chunk]
            let first = firstKeys[chunk] < lower ? offset(notBelow: lower, in: chunk) : 0
            let end = end(of: chunk, before: upper)
            if first == 0, end == part.keys.count {
                sum &+= part.sum
                found += end
            } else if first < end {
                for value in part.values[first..<end] { sum &+= value.fingerprint }
                found += end - first
            }
            chunk += 1
        }
        return (found, sum)
    }

    /// Calls `body` for each key of a range in order, until it returns `false`.
    @inlinable
    public func forEach(
        from lower: Key, to upper: Key?, _ body: (Key, Value) -> Bool
    ) {
        var chunk = max(lastChunk(startingAtOrBefore: lower), 0)
        while chunk < chunks.count {
            if let upper, firstKeys[chunk] >= upper { return }
            let first = firstKeys[chunk] < lower ? offset(notBelow: lower, in: chunk) : 0
            let end = end(of: chunk, before: upper)
            var offset = first
            while offset < end {
                guard body(chunks[chunk].keys[offset], chunks[chunk].values[offset]) else { return }
                offset += 1
            }
            chunk += 1
        }
    }

    /// The keys that divide a range into `parts` about equal ones: fewer when it has fewer keys.
    ///
    /// - Returns: Pairs of neighbours; between the two of a pair goes the boundary.
    @inlinable
    public func boundaries(
        from lower: Key, to upper: Key?, parts: Int
    ) -> [(below: Key, above: Key)] {
        let total = summary(from: lower, to: upper).count
        guard total > 1, parts > 1 else { return [] }
        var wanted = (1..<min(parts, total)).map { total * $0 / min(parts, total) }[...]
        var found: [(below: Key, above: Key)] = []
        var passed = 0
        var previous: Key?
        var chunk = max(lastChunk(startingAtOrBefore: lower), 0)
        while chunk < chunks.count, let next = wanted.first {
            if let upper, firstKeys[chunk] >= upper { break }
            let first = firstKeys[chunk] < lower ? offset(notBelow: lower, in: chunk) : 0
            let end = end(of: chunk, before: upper)
            if first < end {
                let keys = chunks[chunk].keys
                guard next < passed + end - first else {
                    passed += end - first
                    previous = keys[end - 1]
                    chunk += 1
                    continue
                }
                let offset = first + next - passed
                if let below = offset > first ? keys[offset - 1] : previous {
                    found.append((below, keys[offset]))
                }
                wanted.removeFirst()
            } else {
                chunk += 1
            }
        }
        return found
    }

    /// All values, in order of their keys.
    @inlinable
    public var values: [Value] {
        var all: [Value] = []
        all.reserveCapacity(count)
        for chunk in chunks { all.append(contentsOf: chunk.values) }
        return all
    }

    /// All keys, in order.
    @inlinable
    public var keys: [Key] { chunks.flatMap(\.keys) }

    @inlinable
    func end(of chunk: Int, before upper: Key?) -> Int {
        guard let upper else { return chunks[chunk].keys.count }
        if chunk + 1 < firstKeys.count, firstKeys[chunk + 1] <= upper {
            return chunks[chunk].keys.count
        }
        return offset(notBelow: upper, in: chunk)
    }
}
