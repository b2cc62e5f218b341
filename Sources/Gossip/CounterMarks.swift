import Model

/// Remembers which counter this node had a moment ago.
///
/// A challenged node tells it, so that the challenger can take what was sent just now and refuse
/// what an eavesdropper has kept for longer.
struct CounterMarks: Hashable, Sendable {
    private var older: UInt64 = 0
    private var newer: UInt64 = 0
    private var newerAt: Instant

    /// What is older than two of these is a replay.
    static let interval: Duration = .seconds(1)

    init(at now: Instant) {
        newerAt = now
    }

    /// The counter at least one interval ago, and at most two.
    mutating func floor(at now: Instant, counter: UInt64) -> UInt64 {
        note(counter, at: now)
        return older
    }

    /// Takes note of the counter before the next packet is sent.
    mutating func note(_ counter: UInt64, at now: Instant) {
        let passed = now - newerAt
        guard passed >= CounterMarks.interval else { return }
        older = passed >= CounterMarks.interval * 2 ? counter : newer
        newer = counter
        newerAt = now
    }
}
