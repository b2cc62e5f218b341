/// Writes the bytes of records and messages.
///
/// Integers are unsigned LEB128 unless their size is fixed (then big-endian). Fields that may be
/// added later are written with `field`, which frames them by tag and length, so that a reader
/// that does not know a tag can keep its bytes. Canonical: one value has one encoding.
package struct ByteWriter: Sendable {
    @usableFromInline var written: [UInt8] = []

    /// What was written so far.
    @inlinable package var bytes: [UInt8] { written }

    /// Starts with nothing written.
    @inlinable
    package init(reservingBytes count: Int = 0) {
        written.reserveCapacity(count)
    }

    /// Writes one byte.
    @inlinable
    package mutating func byte(_ value: UInt8) {
        written.append(value)
    }

    /// Writes a Boolean as 0 or 1.
    @inlinable
    package mutating func bool(_ value: Bool) {
        written.append(value ? 1 : 0)
    }

    /// Writes an unsigned integer in one to ten bytes (LEB128).
    @inlinable
    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            written.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        written.append(UInt8(rest))
    }

    /// Writes a signed integer in one to ten bytes, small magnitudes first (zigzag).
    @inlinable
    package mutating func signed(_ value: Int64) {
        varint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63))
    }

    /// Writes eight bytes, big-endian.
    @inlinable
    package mutating func fixed64(_ value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) {
            written.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    /// Writes sixteen bytes, big-endian.
    @inlinable
    package mutating func wide(_ value: Wide128) {
        fixed64(value.high)
        fixed64(value.low)
    }

    /// Writes bytes as they are, without their count.
    @inlinable
    package mutating func raw(_ value: some Sequence<UInt8>) {
        written.append(contentsOf: value)
    }

    /// Writes bytes as they are, without their count.
    ///
    /// The generic way looks types up at run time where it is not specialised: measured, a tenth of
    /// the core's time.
    @inlinable
    package mutating func raw(_ value: [UInt8]) {
        written.append(contentsOf: value)
    }

    /// Writes the count of the bytes, then the bytes; see `raw`.
    @inlinable
    package mutating func blob(_ value: [UInt8]) {
        varint(UInt64(value.count))
        written.append(contentsOf: value)
    }

    /// Writes the count of the bytes, then the bytes.
    @inlinable
    package mutating func blob(_ value: some Collection<UInt8>) {
        varint(UInt64(value.count))
        written.append(contentsOf: value)
    }

    /// Writes text as the blob of its UTF-8.
    @inlinable
    package mutating func string(_ value: String) {
        varint(UInt64(value.utf8.count))
        written.append(contentsOf: value.utf8)
    }

    /// Writes the count of the elements, then each element.
    @inlinable
    package mutating func list<Element>(
        _ elements: some Collection<Element>, _ write: (inout ByteWriter, Element) -> Void
    ) {
        varint(UInt64(elements.count))
        for element in elements { write(&self, element) }
    }

    /// Writes one extensible field: its tag, the size of its content, its content.
    ///
    /// Tags of one record must be written in rising order, each at most once.
    @inlinable
    package mutating func field(_ tag: UInt64, _ write: (inout ByteWriter) -> Void) {
        var content = ByteWriter()
        write(&content)
        varint(tag)
        blob(content.bytes)
    }
}
