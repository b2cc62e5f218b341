import Sodium

/// The SHA-256 of a blob: what names a manifest, and with it an image.
package struct ImageDigest: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The 64 hexadecimal digits, in lower case.
    package let hex: String

    /// The digest as images write it: `sha256:` and the digits.
    package var description: String { "sha256:\(hex)" }

    /// Reads `sha256:` and 64 digits in lower case; anything else is no digest.
    package init?(_ description: String) {
        guard description.hasPrefix("sha256:") else { return nil }
        self.init(hex: String(description.dropFirst(7)))
    }

    /// Reads the 64 digits alone.
    package init?(hex: String) {
        let isHex = hex.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        guard hex.utf8.count == 64, isHex else { return nil }
        self.hex = hex
    }

    /// The digest of some bytes.
    package init(of bytes: [UInt8]) {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update($0) }
        self = hash.digest()
    }

    fileprivate init(sum: [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        hex = String(
            decoding: sum.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Orders digests by their digits.
    package static func < (left: ImageDigest, right: ImageDigest) -> Bool { left.hex < right.hex }
}

/// A running SHA-256, over content that is too large to be held.
struct SHA256 {
    private var state = crypto_hash_sha256_state()

    init() {
        crypto_hash_sha256_init(&state)
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
        crypto_hash_sha256_update(&state, base, UInt64(bytes.count))
    }

    /// The digest of all bytes so far; more may follow.
    func digest() -> ImageDigest {
        var copy = state
        var sum = [UInt8](repeating: 0, count: 32)
        crypto_hash_sha256_final(&copy, &sum)
        return ImageDigest(sum: sum)
    }
}
