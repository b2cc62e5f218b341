/// A date and time of day for people to read, in milliseconds since 1970 (UTC).
///
/// Nothing is decided by it: wall clocks of nodes disagree and jump.
public struct WallTime: Comparable, Hashable, Sendable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: Int64

    /// Makes a wall time from milliseconds since 1970 (UTC).
    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// Tells whether the left time comes first.
    public static func < (left: WallTime, right: WallTime) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The time that lies `duration` later.
    public static func + (left: WallTime, duration: Duration) -> WallTime {
        WallTime(milliseconds: left.milliseconds &+ duration.nanoseconds / 1_000_000)
    }
}
