/// Sixteen bytes as two integers: the storage that the long identifiers share.
///
/// Ordered as its big-endian bytes are, so that text, bytes and values sort alike.
public struct Wide128: Hashable, Comparable, Sendable {
    /// The first eight bytes, big-endian.
    public var high: UInt64
    /// The last eight bytes, big-endian.
    public var low: UInt64

    /// Makes a value from its two halves.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads sixteen big-endian bytes; `nil` when `bytes` is not sixteen bytes long.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        (high, low) = (0, 0)
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
    }

    /// Reads 32 hexadecimal digits, upper or lower case; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        guard text.utf8.count == 32, text.utf8.allSatisfy(Wide128.isHexadecimalDigit),
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// The sixteen bytes, big-endian.
    public var bytes: [UInt8] {
        var writer = ByteWriter(reservingBytes: 16)
        writer.wide(self)
        return writer.bytes
    }

    /// Thirty-two lower-case hexadecimal digits.
    public var hexadecimal: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// Tells whether the left value's bytes sort first.
    @inlinable
    public static func < (left: Wide128, right: Wide128) -> Bool {
        left.high == right.high ? left.low < right.low : left.high < right.high
    }

    /// Tells whether both have the same bytes.
    @inlinable
    public static func == (left: Wide128, right: Wide128) -> Bool {
        left.high == right.high && left.low == right.low
    }

    private static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}
