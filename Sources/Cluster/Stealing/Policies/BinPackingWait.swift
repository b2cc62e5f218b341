package import Model

extension StealPolicy {
    /// The fullest node that has room comes first.
    package static func binPacking(_ tuning: StealTuning = .standard) -> StealPolicy {
        StealPolicy(
            "binPacking", "the fullest node that has room comes first",
            BinPackingWait(tuning: tuning))
    }
}

/// A wait that grows with what would be left free: the fullest node that has room comes first, so
/// that whole nodes stay free for large tasks, or can be switched off.
///
/// Source: best fit; Johnson, "Near-Optimal Bin Packing Algorithms" (1973).
package struct BinPackingWait: StealRule {
    /// The numbers; ranks do not count, since the fullest node may have any.
    package var tuning: StealTuning

    /// All nodes are alike.
    package var candidates: UInt32? { nil }
    /// That of an empty node.
    package var longestWait: Duration { tuning.longestWait }

    /// By what is left.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        tuning.wait(at: 1 - offer.load, lag: 0, using: &generator)
    }
}
