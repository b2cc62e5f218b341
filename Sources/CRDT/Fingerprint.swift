/// Short numbers that stand for long contents: equal contents have equal ones, and others hardly ever.
///
/// Not for proofs: whoever chooses the contents can make two that agree. Sums of fingerprints
/// stand for sets, so that a set's is kept up with every change of a member.
public enum Fingerprint {
    /// Spreads the bits of a word over all 64 (the finaliser of SplitMix64).
    @inlinable
    public static func mix(_ word: UInt64) -> UInt64 {
        var mixed = word &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// The fingerprint of bytes, the same in every process and on every machine.
    public static func of(_ bytes: [UInt8]) -> UInt64 {
        var hash = mix(UInt64(bytes.count))
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                let word = UInt64(
                    littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                hash = (hash ^ word) &* 0xFF51_AFD7_ED55_8CCD
                hash ^= hash >> 29
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < buffer.count {
                tail = tail << 8 | UInt64(buffer[offset])
                offset += 1
            }
            hash = mix(hash ^ tail)
        }
        return hash
    }
}

/// A value that two replicas can compare by a short number.
public protocol Fingerprinted {
    /// Equal for equal values, and hardly ever for others.
    var fingerprint: UInt64 { get }
}
