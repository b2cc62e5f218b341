/// The identity of a task: a UUID of version 7, so that identifiers sort by time of submission.
///
/// Source: RFC 9562, section 5.7.
public struct TaskID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The identifier's bits.
    public var value: Wide128

    /// Takes any 128 bits, as found in a record.
    public init(_ value: Wide128) {
        self.value = value
    }

    /// Draws a new identifier for a task that is submitted at `time`.
    public init(at time: WallTime, using generator: inout some RandomNumberGenerator) {
        let milliseconds = UInt64(clamping: time.milliseconds) & 0xFFFF_FFFF_FFFF
        let random = generator.next()
        let high = milliseconds << 16 | 0x7000 | random & 0x0FFF
        let low = 0x8000_0000_0000_0000 | generator.next() >> 2
        self.init(Wide128(high: high, low: low))
    }

    /// Reads the form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [8, 4, 4, 4, 12],
            let value = Wide128(hexadecimal: parts.joined())
        else { return nil }
        self.init(value)
    }

    /// The form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in lower case.
    public var description: String {
        var digits = Array(value.hexadecimal)
        for position in [20, 16, 12, 8] { digits.insert("-", at: position) }
        return String(digits)
    }

    /// Tells whether the left identifier's bytes sort first.
    @inlinable
    public static func < (left: TaskID, right: TaskID) -> Bool { left.value < right.value }

    /// Tells whether both are the same.
    @inlinable
    public static func == (left: TaskID, right: TaskID) -> Bool { left.value == right.value }
}
