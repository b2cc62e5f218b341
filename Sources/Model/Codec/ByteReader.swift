/// Why bytes could not be read; the reader's position is then undefined and its value useless.
public enum CodecError: Error, Equatable, Sendable {
    /// The bytes ended too early.
    case truncated
    /// A count or an integer exceeds what this place allows.
    case outOfBounds
    /// The bytes are no valid encoding (of a Boolean, of text, of an enumeration, …).
    case malformed
    /// The encoding is not the canonical one.
    case notCanonical
    /// Bytes were left over.
    case trailingBytes
}

/// Reads what a `ByteWriter` wrote, without ever trusting it.
///
/// Every count is checked against a bound of the caller's and against the bytes that are left
/// before anything is allocated. Arbitrary input throws; it never traps.
public struct ByteReader: Sendable {
    @usableFromInline let bytes: ArraySlice<UInt8>
    @usableFromInline var position: Int

    /// Starts at the first of `bytes`.
    @inlinable
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// Starts at the first of `bytes`.
    @inlinable
    public init(_ bytes: [UInt8]) {
        self.init(bytes[...])
    }

    /// How many bytes are left.
    @inlinable
    public var remaining: Int { bytes.endIndex - position }

    /// Reads one byte.
    @inlinable
    public mutating func byte() throws(CodecError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncated }
        defer { position += 1 }
        return bytes[position]
    }

    /// Reads a Boolean.
    @inlinable
    public mutating func bool() throws(CodecError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw .malformed
        }
    }

    /// Reads an unsigned integer; refuses encodings that are longer than needed.
    @inlinable
    public mutating func varint() throws(CodecError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte()
            if shift == 63 && next > 1 { throw .outOfBounds }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 {
                if next == 0 && shift > 0 { throw .notCanonical }
                return value
            }
        }
        throw .outOfBounds
    }

    /// Reads an unsigned integer of at most `bound`.
    @inlinable
    public mutating func varint(max bound: UInt64) throws(CodecError) -> UInt64 {
        let value = try varint()
        guard value <= bound else { throw .outOfBounds }
        return value
    }

    /// Reads an unsigned integer that fits 32 bits.
    @inlinable
    public mutating func varint32() throws(CodecError) -> UInt32 {
        UInt32(truncatingIfNeeded: try varint(max: UInt64(UInt32.max)))
    }

    /// Reads a signed integer (zigzag).
    @inlinable
    public mutating func signed() throws(CodecError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Reads eight bytes, big-endian.
    @inlinable
    public mutating func fixed64() throws(CodecError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        var value: UInt64 = 0
        for offset in 0..<8 { value = value << 8 | UInt64(bytes[position + offset]) }
        position += 8
        return value
    }

    /// Reads sixteen bytes, big-endian.
    @inlinable
    public mutating func wide() throws(CodecError) -> Wide128 {
        let high = try fixed64()
        return Wide128(high: high, low: try fixed64())
    }

    /// Reads exactly `count` bytes.
    @inlinable
    public mutating func raw(_ count: Int) throws(CodecError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else { throw .truncated }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// Reads all bytes that are left.
    @inlinable
    public mutating func rest() -> ArraySlice<UInt8> {
        defer { position = bytes.endIndex }
        return bytes[position...]
    }

    /// Reads a counted run of bytes, at most `bound` of them.
    @inlinable
    public mutating func blob(max bound: Int) throws(CodecError) -> ArraySlice<UInt8> {
        let count = try varint(max: UInt64(bound))
        return try raw(Int(count))
    }

    /// Reads text of at most `bound` bytes of UTF-8; refuses invalid UTF-8.
    @inlinable
    public mutating func string(max bound: Int) throws(CodecError) -> String {
        let content = try blob(max: bound)
        guard let text = String(validating: content, as: UTF8.self) else { throw .malformed }
        return text
    }

    /// Reads a counted list of at most `bound` elements.
    ///
    /// Each element takes a byte at least, so a count above what is left is refused at once.
    @inlinable
    public mutating func list<Element>(
        max bound: Int, _ read: (inout ByteReader) throws(CodecError) -> Element
    ) throws(CodecError) -> [Element] {
        let count = Int(try varint(max: UInt64(bound)))
        guard count <= remaining else { throw .truncated }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try read(&self)) }
        return elements
    }

    /// Reads all fields that are left, each framed by tag and size, tags rising strictly.
    ///
    /// - Parameter read: Reads one field's content; returns `false` for a tag that it does not know.
    /// - Returns: The frames of unknown fields, as they came, to be kept and written again.
    /// - Throws: `notCanonical` when tags do not rise; whatever `read` throws.
    @inlinable
    public mutating func fields(
        _ read: (UInt64, inout ByteReader) throws(CodecError) -> Bool
    ) throws(CodecError) -> [UInt8] {
        var unknown = ByteWriter()
        var last: UInt64?
        while remaining > 0 {
            let tag = try varint()
            if let last, tag <= last { throw .notCanonical }
            last = tag
            let content = try blob(max: remaining)
            var reader = ByteReader(content)
            if try read(tag, &reader) {
                try reader.end()
            } else {
                unknown.varint(tag)
                unknown.blob(content)
            }
        }
        return unknown.bytes
    }

    /// Reads what a newer version wrote behind the fields that this one knows, to be kept and
    /// written again; at most `bound` bytes.
    @inlinable
    public mutating func tail(max bound: Int) throws(CodecError) -> [UInt8] {
        guard remaining <= bound else { throw .outOfBounds }
        return Array(rest())
    }

    /// Makes sure that nothing is left.
    @inlinable
    public func end() throws(CodecError) {
        guard remaining == 0 else { throw .trailingBytes }
    }
}
