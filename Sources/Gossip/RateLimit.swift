package import Model

/// An allowance that fills up steadily: so many per second, and as many at once.
package struct RateLimit: Hashable, Sendable {
    private let perSecond: Double
    private var left: Double
    private var at: Instant

    /// Begins with a full allowance; traps when nothing may pass.
    package init(perSecond: Int, at now: Instant) {
        precondition(perSecond > 0, "a rate limit lets something pass")
        self.perSecond = Double(perSecond)
        left = self.perSecond
        at = now
    }

    /// Whether one more may pass; if so, it counts.
    package mutating func admits(at now: Instant) -> Bool {
        refill(at: now)
        guard left >= 1 else { return false }
        left -= 1
        return true
    }

    /// Whether the allowance is as good as new.
    func isFull(at now: Instant) -> Bool {
        var copy = self
        copy.refill(at: now)
        return copy.left >= perSecond
    }

    private mutating func refill(at now: Instant) {
        left = min(perSecond, left + max((now - at).seconds, 0) * perSecond)
        at = max(at, now)
    }
}
