/// Writes the bytes of records and messages.
///
/// Integers are unsigned LEB128 unless their size is fixed (then big-endian). Fields that may be
/// added later are written with `field`, which frames them by tag and length, so that a reader
/// that does not know a tag can keep its bytes. Canonical: one value has one encoding.
package struct ByteWriter: Sendable {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []

    /// Starts with nothing written.
    package init(reservingBytes count: Int = 0) {
        bytes.reserveCapacity(count)
    }

    /// Writes one byte.
    package mutating func byte(_ value: UInt8) {
        bytes.append(value)
    }

    /// Writes a Boolean as 0 or 1.
    package mutating func bool(_ value: Bool) {
        bytes.append(value ? 1 : 0)
    }

    /// Writes an unsigned integer in one to ten bytes (LEB128).
    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Writes a signed integer in one to ten bytes, small magnitudes first (zigzag).
    package mutating func signed(_ value: Int64) {
        varint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63))
    }

    /// Writes eight bytes, big-endian.
    package mutating func fixed64(_ value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    /// Writes sixteen bytes, big-endian.
    package mutating func wide(_ value: Wide128) {
        fixed64(value.high)
        fixed64(value.low)
    }

    /// Writes bytes as they are, without their count.
    package mutating func raw(_ value: some Sequence<UInt8>) {
        bytes.append(contentsOf: value)
    }

    /// Writes the count of the bytes, then the bytes.
    package mutating func blob(_ value: some Collection<UInt8>) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Writes text as the blob of its UTF-8.
    package mutating func string(_ value: String) {
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    /// Writes the count of the elements, then each element.
    package mutating func list<Element>(
        _ elements: some Collection<Element>, _ write: (inout ByteWriter, Element) -> Void
    ) {
        varint(UInt64(elements.count))
        for element in elements { write(&self, element) }
    }

    /// Writes one extensible field: its tag, the size of its content, its content.
    ///
    /// Tags of one record must be written in rising order, each at most once.
    package mutating func field(_ tag: UInt64, _ write: (inout ByteWriter) -> Void) {
        var content = ByteWriter()
        write(&content)
        varint(tag)
        blob(content.bytes)
    }
}
