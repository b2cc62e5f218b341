/// A value with one canonical, bounded encoding.
public protocol WireCodable {
    /// Writes the value.
    func encode(into writer: inout ByteWriter)
    /// Reads a value and leaves the reader behind it.
    init(from reader: inout ByteReader) throws(CodecError)
}

extension WireCodable {
    /// The whole encoding of this value.
    @inlinable
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads a value that takes up all of `bytes`.
    @inlinable
    public init(decoding bytes: [UInt8]) throws(CodecError) {
        try self.init(decoding: bytes[...])
    }

    /// Reads a value that takes up all of `bytes`.
    @inlinable
    public init(decoding bytes: ArraySlice<UInt8>) throws(CodecError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.end()
    }
}
