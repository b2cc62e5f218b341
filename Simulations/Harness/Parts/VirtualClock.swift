package import Model

/// The clocks of one machine: a monotonic one that starts anywhere and drifts, and a wall clock.
package struct VirtualClock: Sendable {
    /// What the monotonic clock shows at virtual time zero, in nanoseconds.
    package var offset: Int64
    /// By how much it runs too fast, in billionths; negative for a slow clock.
    package var driftPartsPerBillion: Int64
    /// By how much the wall clock is ahead of the others.
    package var wallSkew: Duration

    /// The wall clock of a machine without skew at virtual time zero.
    private static let epochMilliseconds: Int64 = 1_800_000_000_000

    /// Makes a machine's clocks.
    package init(
        offset: Int64 = 0, driftPartsPerBillion: Int64 = 0, wallSkew: Duration = .zero
    ) {
        self.offset = offset
        self.driftPartsPerBillion = driftPartsPerBillion
        self.wallSkew = wallSkew
    }

    /// What the monotonic clock shows; never runs backwards.
    package func local(at time: Int64) -> Instant {
        let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        let drift =
            seconds * driftPartsPerBillion + rest * driftPartsPerBillion / 1_000_000_000
        return Instant(nanoseconds: offset + time + drift)
    }

    /// The first virtual time at which the monotonic clock shows `instant` or more.
    package func virtual(of instant: Instant) -> Int64 {
        let (elapsed, overflow) = instant.nanoseconds.subtractingReportingOverflow(offset)
        guard !overflow, elapsed < VirtualClock.farAway else { return .max }
        guard elapsed > 0 else { return 0 }
        var time = Int64(Double(elapsed) / (1 + Double(driftPartsPerBillion) / 1e9))
        while time > 0, local(at: time - 1) >= instant { time -= 1 }
        while local(at: time) < instant { time += 1 }
        return time
    }

    /// What the wall clock shows.
    package func wall(at time: Int64) -> WallTime {
        WallTime(milliseconds: VirtualClock.epochMilliseconds + time / 1_000_000) + wallSkew
    }

    /// About a century: a deadline that lies farther away never comes.
    private static let farAway: Int64 = 3_000_000_000_000_000_000
}
