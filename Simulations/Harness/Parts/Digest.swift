package import Model

/// A fast 64-bit digest, for traces and simulated signatures; no protection against anybody.
///
/// FNV-1a's multiply-and-xor over words instead of bytes, with SplitMix64's finish.
package enum Digest {
    /// The digest of some bytes.
    package static func of(_ bytes: [UInt8], basis: UInt64 = 0) -> UInt64 {
        var hash = start ^ basis
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset + 8 <= raw.count {
                let word = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hash = mix(hash, UInt64(littleEndian: word))
                offset += 8
            }
            var rest: UInt64 = 0
            while offset < raw.count {
                rest = rest << 8 | UInt64(raw[offset])
                offset += 1
            }
            hash = mix(hash, rest)
        }
        return mix(hash, UInt64(bytes.count))
    }

    /// A digest that has taken in one more word.
    @inline(__always)
    package static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = (hash ^ word) &* 0x9FB2_1C65_1E98_DF25
        return mixed ^ (mixed >> 29)
    }

    /// The digest of nothing.
    package static let start: UInt64 = 0xCBF2_9CE4_8422_2325
}

extension SeededGenerator {
    /// The next random bytes of the sequence.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 7)
        while bytes.count < count {
            var word = next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// A whole number in 0 ..< `bound`; 0 when `bound` is not positive.
    package mutating func index(below bound: Int) -> Int {
        bound > 0 ? Int(next() % UInt64(bound)) : 0
    }

    /// Whether an event of this probability happens.
    package mutating func happens(_ probability: Double) -> Bool {
        probability > 0 && fraction() < probability
    }

    /// Nanoseconds between two bounds, uniformly distributed.
    package mutating func nanoseconds(_ least: Duration, _ most: Duration) -> Int64 {
        (least + duration(upTo: most - least)).nanoseconds
    }
}
