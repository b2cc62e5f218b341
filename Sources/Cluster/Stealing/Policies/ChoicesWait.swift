package import Model

extension StealPolicy {
    /// Few candidates for each task, the least loaded first.
    package static func dChoices(
        d: UInt32 = 2, late: Duration = .milliseconds(200), _ tuning: StealTuning = .standard
    ) -> StealPolicy {
        StealPolicy(
            "dChoices", "two candidates per task by hash, the less loaded first; others much later",
            ChoicesWait(d: d, late: late, tuning: tuning))
    }
}

/// Only `d` candidates per task wait in proportion to their load; the others wait for `late` on
/// top of it.
///
/// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996).
package struct ChoicesWait: StealRule {
    /// How many candidates a task has; 1 or more.
    package var d: UInt32
    /// How much longer the others wait; 0…10 s.
    package var late: Duration
    /// The numbers of the wait; its ranks do not count.
    package var tuning: StealTuning

    /// So many.
    package var candidates: UInt32? { d }
    /// That of a full candidate.
    package var longestWait: Duration { tuning.longestWait }

    /// By load, and late for those who are not chosen.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        tuning.wait(at: offer.load, lag: 0, using: &generator)
            + (offer.rank == 0 ? .zero : late)
    }
}
