/// A value with one canonical, bounded encoding.
package protocol WireCodable {
    /// Writes the value.
    func encode(into writer: inout ByteWriter)
    /// Reads a value and leaves the reader behind it.
    init(from reader: inout ByteReader) throws(CodecError)
}

extension WireCodable {
    /// The whole encoding of this value.
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads a value that takes up all of `bytes`.
    package init(decoding bytes: some Collection<UInt8>) throws(CodecError) {
        var reader = ByteReader(Array(bytes)[...])
        try self.init(from: &reader)
        try reader.end()
    }
}
