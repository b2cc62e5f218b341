/// The identity of an image, or of one of its parts: the SHA-256 of its bytes.
///
/// Source: OCI image specification, "Descriptors".
package struct ImageDigest: Hashable, Comparable, Sendable, LosslessStringConvertible {
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
    package init?(_ description: String) {
        guard description.hasPrefix("sha256:") else { return nil }
        self.init(hex: String(description.dropFirst("sha256:".utf8.count)))
    }

    /// Reads the 64 lower-case hexadecimal digits alone.
    package init?(hex: String) {
        guard hex.utf8.count == 2 * ImageDigest.sizeBytes else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in hex.utf8 {
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
    package var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self)
    }

    /// `sha256:` and the hexadecimal digits.
    package var description: String { "sha256:\(hex)" }

    /// The first twelve digits, for people.
    package var short: String { String(hex.prefix(12)) }

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
