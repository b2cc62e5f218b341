import Model

/// Damages encodings, as reproducibly as its seed.
///
/// The kinds of damage are libFuzzer's usual ones, and counts that no message has.
package struct Mutator {
    private var random: SeededGenerator
    private let corpus: [[UInt8]]

    /// The largest input that is made, in bytes.
    package static let sizeBytesMax = 4_096
    private static let edges: [UInt8] = [0, 1, 2, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF]
    /// LEB128 of 2^32 − 1, of 2^63 − 1, of 2^64 − 1, and of a number that is larger than that.
    private static let counts: [[UInt8]] = [
        [0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
        [UInt8](repeating: 0xFF, count: 8) + [0x7F],
        [UInt8](repeating: 0xFF, count: 9) + [0x01],
        [UInt8](repeating: 0xFF, count: 10) + [0x01],
    ]

    /// Begins with encodings to be damaged; with none, with nothing.
    package init(seed: UInt64, corpus: [[UInt8]]) {
        random = SeededGenerator(seed: seed)
        self.corpus = corpus.isEmpty ? [[]] : corpus
    }

    /// The next damaged encoding.
    package mutating func next() -> [UInt8] {
        var bytes = corpus[below(corpus.count)]
        for _ in 0...below(4) { damage(&bytes) }
        return Array(bytes.prefix(Mutator.sizeBytesMax))
    }

    private mutating func damage(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = (0..<below(64)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return
        }
        let place = below(bytes.count)
        let end = min(bytes.count, place + 1 + below(16))
        switch below(9) {
        case 0: bytes[place] ^= 1 << UInt8(below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes[place] = Mutator.edges[below(Mutator.edges.count)]
        case 3: bytes.removeSubrange(place..<end)
        case 4: bytes.removeSubrange(place...)
        case 5: bytes.insert(contentsOf: bytes[place..<end], at: below(bytes.count))
        case 6: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        case 7:
            let count = Mutator.counts[below(Mutator.counts.count)]
            bytes.replaceSubrange(place..<place + 1, with: count)
        default:
            let other = corpus[below(corpus.count)]
            bytes.replaceSubrange(place..., with: other.suffix(below(other.count + 1)))
        }
    }

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(max(bound, 1))) }
}
