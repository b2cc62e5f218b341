package import Model

extension StealPolicy {
    /// The node with the fewest tasks per core comes first.
    package static func spread(_ tuning: StealTuning = .standard) -> StealPolicy {
        StealPolicy(
            "spread", "the node with the fewest tasks per core comes first",
            SpreadWait(tuning: tuning))
    }
}

/// A wait that grows with the number of tasks per core, whatever they ask for: the loss of a node
/// takes as few tasks as can be, and what tasks really use is not guessed from what they reserve.
package struct SpreadWait: StealRule {
    /// The numbers: `slope` is the wait at very many tasks, half of it that at one task per core.
    package var tuning: StealTuning

    /// A few for each task.
    package var candidates: UInt32? { tuning.candidates }
    /// More than that of any node.
    package var longestWait: Duration { tuning.longestWait }

    /// By tasks per core, then by rank.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        let perCore = Double(offer.taskCount + 1) / max(offer.cores, 0.001)
        return tuning.wait(
            at: perCore / (1 + perCore), lag: offer.lag, using: &generator)
    }
}
