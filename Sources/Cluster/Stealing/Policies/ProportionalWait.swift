package import Model

extension StealPolicy {
    /// A wait that grows with the load (the default).
    package static func proportional(_ tuning: StealTuning = .standard) -> StealPolicy {
        StealPolicy(
            "proportional", "a wait that grows with the load",
            ProportionalWait(tuning: tuning, shape: .linear))
    }

    /// A wait that grows with the square of the load.
    package static func quadratic(_ tuning: StealTuning = .standard) -> StealPolicy {
        StealPolicy(
            "quadratic", "a wait that grows with the square of the load",
            ProportionalWait(tuning: tuning, shape: .quadratic))
    }

    /// A wait that grows with the load up to a share of the capacity.
    package static func capped(
        at share: Double = 0.5, _ tuning: StealTuning = .standard
    ) -> StealPolicy {
        StealPolicy(
            "capped", "a wait that grows with the load until the node is half full",
            ProportionalWait(tuning: tuning, shape: .capped(at: share)))
    }
}

/// A wait that grows with the load which the node would have after taking the task, after a head
/// start for a few candidates per task; the first of them waits for nobody while it has no task.
package struct ProportionalWait: StealRule {
    /// How the wait grows.
    package enum Shape: Hashable, Sendable {
        /// Evenly.
        case linear
        /// With the square: nodes that are little loaded are almost alike.
        case quadratic
        /// Evenly up to this share, 0…1; nodes beyond it are alike, and never wait for long.
        case capped(at: Double)

        func amount(at load: Double) -> Double {
            switch self {
            case .linear: load
            case .quadratic: load * load
            case .capped(let share): min(load, share)
            }
        }
    }

    /// The numbers.
    package var tuning: StealTuning
    /// How the wait grows.
    package var shape: Shape

    /// A few for each task.
    package var candidates: UInt32? { tuning.candidates }
    /// That of a full node.
    package var longestWait: Duration { tuning.longestWait }

    /// By load, then by rank.
    package func wait(
        for offer: StealOffer, using generator: inout SeededGenerator
    ) -> Duration {
        // Nobody is less loaded, and the others let it go first.
        if offer.lag == 0, offer.taskCount == 0 { return .zero }
        return tuning.wait(
            at: shape.amount(at: offer.load), lag: offer.lag, using: &generator)
    }
}
