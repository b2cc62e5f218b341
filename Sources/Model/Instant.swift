/// A point on a node's monotonic clock, in nanoseconds since an arbitrary origin.
///
/// Real nodes read `CLOCK_BOOTTIME`, which goes on while a machine sleeps; the simulator counts
/// virtual time from zero. Instants of two nodes can't be compared.
public struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the clock's origin.
    public var nanoseconds: Int64

    /// The clock's origin.
    public static let zero = Instant(nanoseconds: 0)
    /// Later than every deadline that a node can set.
    public static let distantFuture = Instant(nanoseconds: .max)

    /// Makes an instant from nanoseconds since the clock's origin.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Tells whether the left instant comes first.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant that lies `duration` later; saturates at the ends of the range.
    public static func + (left: Instant, duration: Duration) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(duration.nanoseconds)
        if overflow { return duration.nanoseconds < 0 ? .zero : .distantFuture }
        return Instant(nanoseconds: sum)
    }

    /// The instant that lies `duration` earlier; saturates at the ends of the range.
    public static func - (left: Instant, duration: Duration) -> Instant {
        left + (Duration.zero - duration)
    }

    /// The time from the right instant to the left one; negative when the left one is earlier.
    public static func - (left: Instant, right: Instant) -> Duration {
        let (difference, overflow) =
            left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return .nanoseconds(overflow ? .max : difference)
    }
}

extension Instant? {
    /// Makes this the earlier of both; no instant at all is later than any.
    ///
    /// Deadlines are asked for after each event: an array of them would be made each time.
    package mutating func bringForward(to other: Instant?) {
        guard let other else { return }
        self = self.map { Swift.min($0, other) } ?? other
    }
}

extension Duration {
    /// The whole duration in nanoseconds; saturates at about 292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in seconds, for ratios and display.
    public var seconds: Double { Double(nanoseconds) / 1e9 }
}
