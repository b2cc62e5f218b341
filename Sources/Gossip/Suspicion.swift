import Model

/// How long one member stays suspected before it is declared dead.
///
/// Each independent confirmation shortens the wait, from `longest` towards `shortest`. Its end
/// alone kills nobody: a probe of this node itself must have failed, too (`isProbed`).
///
/// Source: Lifeguard, section IV.B, "Local Health Aware Suspicion".
struct Suspicion: Hashable, Sendable {
    let started: Instant
    let shortest: Duration
    let longest: Duration
    /// How many confirmations bring the wait down to `shortest`.
    let confirmationsNeeded: Int
    /// Whose probes have failed; at most one more than `confirmationsNeeded` are kept.
    private(set) var witnesses: Set<NodeID>
    /// Whether a probe of this node itself has failed since the suspicion began.
    var isProbed = false
    /// Moves the deadline when this node itself stood still.
    var standstill: Duration = .zero

    init(
        at now: Instant, witness: NodeID, shortest: Duration, longest: Duration,
        confirmationsNeeded: Int
    ) {
        started = now
        self.shortest = shortest
        self.longest = longest
        self.confirmationsNeeded = confirmationsNeeded
        witnesses = [witness]
    }

    /// Whether one more accuser would shorten the wait; asked before its signature is verified.
    func isNews(_ witness: NodeID) -> Bool {
        witnesses.count <= confirmationsNeeded && !witnesses.contains(witness)
    }

    /// Counts one more accuser; returns whether it is news that shortens the wait.
    mutating func confirm(by witness: NodeID) -> Bool {
        guard isNews(witness) else { return false }
        witnesses.insert(witness)
        return true
    }

    /// When the wait ends.
    var deadline: Instant {
        let confirmations = witnesses.count - 1
        guard confirmationsNeeded > 0, confirmations < confirmationsNeeded else {
            return started + shortest + standstill
        }
        let share =
            Logarithm.natural(confirmations + 1) / Logarithm.natural(confirmationsNeeded + 1)
        let wait = longest - (longest - shortest) * share
        return started + max(wait, shortest) + standstill
    }
}
