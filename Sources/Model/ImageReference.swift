/// The identity of an image, or of one of its parts: the SHA-256 of its bytes.
///
/// Source: OCI image specification, "Descriptors".
package struct ImageDigest: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The hash.
    package let bytes: [UInt8]

    /// How long a hash is, in bytes.
    package static let sizeBytes = 32

    /// Makes a digest; `nil` unless there are 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == ImageDigest.sizeBytes else { return nil }
        self.bytes = bytes
    }

    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    package init?(_ text: String) {
        let prefix = "sha256:"
        guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + 64 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in text.utf8.dropFirst(prefix.utf8.count) {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let upper = high {
                bytes.append(upper << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.bytes = bytes
    }

    /// Sixty-four lower-case hexadecimal digits.
    package var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self)
    }

    /// `sha256:` and the hexadecimal digits.
    package var description: String { "sha256:\(hexadecimal)" }

    /// The first twelve digits, for people.
    package var short: String { String(hexadecimal.prefix(12)) }

    /// Orders by bytes.
    package static func < (left: ImageDigest, right: ImageDigest) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension ImageDigest: WireCodable {
    /// Writes the 32 bytes.
    package func encode(into writer: inout ByteWriter) { writer.raw(bytes) }

    /// Reads 32 bytes.
    package init(from reader: inout ByteReader) throws(CodecError) {
        bytes = Array(try reader.raw(ImageDigest.sizeBytes))
    }
}

/// What people call an image: `busybox`, `team/tool:1.2`, `registry:5000/tool:latest`.
///
/// Without a tag `:latest` is meant, and added. Source: the grammar of the OCI distribution
/// specification, "Pulling manifests", with a registry's host in front as docker has it.
package struct ImageName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The whole name, its tag included.
    package let description: String

    /// The longest name, in bytes.
    package static let sizeBytesMax = 255
    /// The longest tag, in bytes.
    package static let tagSizeBytesMax = 128

    /// Reads a name; `nil` when the grammar does not allow it.
    package init?(_ text: String) {
        guard !text.isEmpty else { return nil }
        let lastPart = text.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        let hasTag = lastPart.contains(":")
        let whole = hasTag ? text : text + ":latest"
        guard whole.utf8.count <= ImageName.sizeBytesMax,
            let colon = whole.lastIndex(of: ":"),
            ImageName.isTag(whole[whole.index(after: colon)...])
        else { return nil }
        var parts = whole[..<colon].split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 1, let host = parts.first, ImageName.isHost(host) { parts.removeFirst() }
        guard !parts.isEmpty, parts.allSatisfy(ImageName.isPathPart) else { return nil }
        description = whole
    }

    /// Orders by text.
    package static func < (left: ImageName, right: ImageName) -> Bool {
        left.description < right.description
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        isLowerOrDigit(byte) || byte == UInt8(ascii: "_")
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func isTag(_ tag: Substring) -> Bool {
        guard let first = tag.utf8.first, isWordByte(first), tag.utf8.count <= tagSizeBytesMax
        else { return false }
        return tag.utf8.allSatisfy {
            isWordByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
        }
    }

    /// Lower-case words with single separators between them.
    private static func isPathPart(_ part: Substring) -> Bool {
        guard let first = part.utf8.first, let last = part.utf8.last, isLowerOrDigit(first),
            isLowerOrDigit(last)
        else { return false }
        return part.utf8.allSatisfy {
            isLowerOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
                || $0 == UInt8(ascii: "-")
        }
    }

    /// Only what has a dot or a port, or is `localhost`, names a registry's host.
    private static func isHost(_ part: Substring) -> Bool {
        guard part.contains(".") || part.contains(":") || part == "localhost" else { return false }
        return part.utf8.allSatisfy {
            isWordByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
                || $0 == UInt8(ascii: ":")
        }
    }
}

extension ImageName: WireCodable {
    /// Writes the text.
    package func encode(into writer: inout ByteWriter) { writer.string(description) }

    /// Reads the text; throws unless it is a whole name.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let text = try reader.string(max: ImageName.sizeBytesMax)
        guard let name = ImageName(text), name.description == text else { throw .malformed }
        self = name
    }
}

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
