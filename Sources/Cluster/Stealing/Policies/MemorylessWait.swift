package import Model

extension StealPolicy {
    /// A wait by chance that is exponentially distributed.
    package static func memoryless(mean: Duration = .milliseconds(20)) -> StealPolicy {
        StealPolicy(
            "memoryless", "a wait by chance, exponentially distributed",
            MemorylessWait(mean: mean))
    }
}

/// An exponentially distributed wait, whatever the load: the policy whose races have a closed form.
///
/// With n contenders, mean D and claim latency L, 1 + (n − 1)(1 − e^(−L/D)) of them ask the lock:
/// about twice as many as with even waits of the same mean.
package struct MemorylessWait: StealRule {
    /// The mean; 0…1 s.
    package var mean: Duration

    /// All nodes are alike.
    package var candidates: UInt32? { nil }
    /// Nothing that is drawn from 53 bits is more than this many means.
    package var longestWait: Duration { mean * 37 }

    /// A draw by inversion.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        mean * MemorylessWait.exponential(generator.fraction())
    }

    /// −ln(1 − u): by the powers of two in 1 − u, and the series of artanh for the rest.
    private static func exponential(_ uniform: Double) -> Double {
        let rest = 1 - uniform
        let ratio = (rest.significand - 1) / (rest.significand + 1)
        var term = ratio
        var sum = 0.0
        for power in stride(from: 1.0, to: 40, by: 2) {
            sum += term / power
            term *= ratio * ratio
        }
        return -(2 * sum + Double(rest.exponent) * 0.693_147_180_559_945_3)
    }
}
