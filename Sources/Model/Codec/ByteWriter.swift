/// Writes the bytes of records and messages.
///
/// Integers are unsigned LEB128 unless their size is fixed (then big-endian). Fields that may be
/// added later are written with `field`, which frames them by tag and length, so that a reader
/// that does not know a tag can keep its bytes. Canonical: one value has one encoding.
public struct ByteWriter: Sendable {
    @usableFromInline var written: [UInt8] = []

    /// What was written so far.
    @inlinable public var bytes: [UInt8] { written }

    /// Starts with nothing written.
    @inlinable
    public init(reservingBytes count: Int = 0) {
        written.reserveCapacity(count)
    }

    /// Writes one byte.
    @inlinable
    public mutating func byte(_ value: UInt8) {
        written.append(value)
    }

    /// Writes a Boolean as 0 or 1.
    @inlinable
    public mutating func bool(_ value: Bool) {
        written.append(value ? 1 : 0)
    }

    /// Writes an unsigned integer in one to ten bytes (LEB128).
    @inlinable
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            written.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        written.append(UInt8(rest))
    }

    /// Writes a signed integer in one to ten bytes, small magnitudes first (zigzag).
    @inlinable
    public mutating func signed(_ value: Int64) {
        varint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63))
    }

    /// Writes eight bytes, big-endian.
    @inlinable
    public mutating func fixed64(_ value: UInt64) {
        withUnsafeBytes(of: value.bigEndian) { written.append(contentsOf: $0) }
    }

    /// Writes sixteen bytes, big-endian.
    @inlinable
    public mutating func wide(_ value: Wide128) {
        fixed64(value.high)
        fixed64(value.low)
    }

    /// Writes bytes as they are, without their count.
    @inlinable
    public mutating func raw(_ value: some Sequence<UInt8>) {
        written.append(contentsOf: value)
    }

    /// Writes the count of the bytes, then the bytes.
    @inlinable
    public mutating func blob(_ value: some Collection<UInt8>) {
        varint(UInt64(value.count))
        written.append(contentsOf: value)
    }

    /// Writes text as the blob of its UTF-8.
    @inlinable
    public mutating func string(_ value: String) {
        varint(UInt64(value.utf8.count))
        written.append(contentsOf: value.utf8)
    }

    /// Writes the count of the elements, then each element.
    @inlinable
    public mutating func list<Element>(
        _ elements: some Collection<Element>, _ write: (inout ByteWriter, Element) -> Void
    ) {
        varint(UInt64(elements.count))
        for element in elements { write(&self, element) }
    }

    /// Writes one extensible field: its tag, the size of its content, its content.
    ///
    /// Tags of one record must be written in rising order, each at most once.
    @inlinable
    public mutating func field(_ tag: UInt64, _ write: (inout ByteWriter) -> Void) {
        varint(tag)
        counted(write)
    }

    /// Writes what `write` writes as a blob: its size first.
    @inlinable
    public mutating func counted(_ write: (inout ByteWriter) -> Void) {
        // Most contents are short: room for a size of one byte, which moves over for a longer one.
        written.append(0)
        let start = written.count
        write(&self)
        let sizeBytes = written.count - start
        guard sizeBytes >= 0x80 else { return written[start - 1] = UInt8(sizeBytes) }
        var size = ByteWriter()
        size.varint(UInt64(sizeBytes))
        written.replaceSubrange(start - 1..<start, with: size.written)
    }
}
