/// A random number generator whose whole state is a value: the same seed gives the same numbers.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014),
/// SplitMix64. Not for keys or nonces: those come from libsodium, outside of the core.
public struct SeededGenerator: RandomNumberGenerator, Equatable, Sendable {
    private var state: UInt64

    /// Starts the sequence that belongs to `seed`.
    public init(seed: UInt64) {
        state = seed
    }

    /// The next 64 bits of the sequence.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A generator whose sequence is independent of what this one goes on to give.
    public mutating func split() -> SeededGenerator {
        SeededGenerator(seed: next() ^ 0xD1B5_4A32_D192_ED03)
    }

    /// A fraction in 0 ..< 1, uniformly distributed over 53-bit values.
    public mutating func fraction() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// A duration between zero and `bound`, uniformly distributed; zero when `bound` is not positive.
    public mutating func duration(upTo bound: Duration) -> Duration {
        guard bound > .zero else { return .zero }
        return .nanoseconds(Int64(fraction() * Double(bound.nanoseconds)))
    }
}
