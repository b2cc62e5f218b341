package import Model

extension StealPolicy {
    /// A wait by chance, up to a bound.
    package static func random(upTo bound: Duration = .milliseconds(40)) -> StealPolicy {
        StealPolicy("random", "a wait by chance, whatever the load", RandomWait(bound: bound))
    }
}

/// A wait drawn evenly from zero to a bound, whatever the load.
package struct RandomWait: StealRule {
    /// The longest wait; 0…10 s.
    package var bound: Duration

    /// All nodes are alike.
    package var candidates: UInt32? { nil }
    /// The bound.
    package var longestWait: Duration { bound }

    /// Anything up to the bound.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration { generator.duration(upTo: bound) }
}
