package import Model

extension StealPolicy {
    /// No wait.
    package static let none = StealPolicy(
        "none", "every node asks at once, whatever its load", NoWait())
}

/// No wait: every node asks at once, whatever its load.
package struct NoWait: StealRule {
    /// All nodes are alike.
    package var candidates: UInt32? { nil }
    /// None.
    package var longestWait: Duration { .zero }

    /// Nothing, and nothing is drawn.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration { .zero }
}
