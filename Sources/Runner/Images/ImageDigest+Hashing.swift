package import Model
import Sodium

extension ImageDigest {
    /// The digest of some bytes.
    package init(of bytes: [UInt8]) {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update($0) }
        self = hash.digest()
    }
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
        guard let digest = ImageDigest(sum) else { preconditionFailure("a hash has 32 bytes") }
        return digest
    }
}
