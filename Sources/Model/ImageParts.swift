/// What a node's image store has of an image.
package enum ImageStock: Hashable, Sendable {
    /// Everything: containers can be made from it.
    case complete
    /// These parts are missing; once they are there, others may turn out to be (a manifest names
    /// the rest).
    case lacks([ImagePart])
}

/// One of the files that an image consists of.
package struct ImagePart: Hashable, Sendable {
    /// The hash of the whole part.
    package var digest: ImageDigest
    /// How long it may be at most, in bytes.
    package var sizeBytesMax: UInt64
    /// How much of it is here, from its beginning on, in bytes.
    package var presentBytes: UInt64

    /// How long a manifest, the one part whose size nobody has told, may be.
    package static let manifestSizeBytesMax: UInt64 = 4 << 20

    /// Makes a description.
    package init(digest: ImageDigest, sizeBytesMax: UInt64, presentBytes: UInt64 = 0) {
        self.digest = digest
        self.sizeBytesMax = sizeBytesMax
        self.presentBytes = presentBytes
    }
}

/// An excerpt of an image's part.
package struct ImageChunk: Hashable, Sendable {
    /// Where in the part it begins, in bytes.
    package var offset: UInt64
    /// The bytes.
    package var bytes: [UInt8]
    /// How long the whole part is, in bytes.
    package var totalBytes: UInt64

    /// The most bytes of one excerpt.
    package static let sizeBytesMax = 512 << 10

    /// Makes an excerpt.
    package init(offset: UInt64, bytes: [UInt8], totalBytes: UInt64) {
        self.offset = offset
        self.bytes = bytes
        self.totalBytes = totalBytes
    }
}

extension ImageChunk: WireCodable {
    /// Writes place, size of the whole, and bytes.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(offset)
        writer.varint(totalBytes)
        writer.blob(bytes)
    }

    /// Reads an excerpt that lies within its part.
    package init(from reader: inout ByteReader) throws(CodecError) {
        offset = try reader.varint()
        totalBytes = try reader.varint()
        bytes = Array(try reader.blob(max: ImageChunk.sizeBytesMax))
        guard offset <= totalBytes, UInt64(bytes.count) <= totalBytes - offset else {
            throw .malformed
        }
    }
}
