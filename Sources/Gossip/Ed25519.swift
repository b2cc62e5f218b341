import Model
import Sodium

/// Ed25519 by libsodium.
///
/// Source: RFC 8032.
package struct Ed25519: SignatureScheme {
    /// Makes the scheme.
    package init() {
        _ = Library.isReady
    }

    /// The key pair that belongs to a 32-byte seed.
    package func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8]) {
        var publicKey = [UInt8](repeating: 0, count: PublicKey.sizeBytes)
        var secret = [UInt8](repeating: 0, count: 64)
        precondition(seed.count == NodeKey.seedSizeBytes, "a seed has 32 bytes")
        let status = crypto_sign_seed_keypair(&publicKey, &secret, seed)
        precondition(status == 0, "libsodium could not make a key pair")
        return (PublicKey(bytes: publicKey), secret)
    }

    /// Signs a message.
    package func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: Signature.sizeBytes)
        let status = crypto_sign_detached(
            &signature, nil, message, UInt64(message.count), secret)
        precondition(status == 0, "libsodium could not sign")
        return signature
    }

    /// Tells whether the owner of `key` signed the message.
    package func verify(
        _ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey
    ) -> Bool {
        guard signature.count == Signature.sizeBytes else { return false }
        return crypto_sign_verify_detached(
            Array(signature), message, UInt64(message.count), key.bytes) == 0
    }
}

/// BLAKE2b-256 by libsodium.
///
/// Source: RFC 7693.
package enum Hash {
    /// The 32-byte hash of a message.
    package static func blake2b(_ message: [UInt8]) -> [UInt8] {
        _ = Library.isReady
        var digest = [UInt8](repeating: 0, count: 32)
        let status = crypto_generichash(
            &digest, digest.count, message, UInt64(message.count), nil, 0)
        precondition(status == 0, "libsodium could not hash")
        return digest
    }
}

/// The library must be initialised once before it is used.
private enum Library {
    static let isReady: Bool = {
        precondition(sodium_init() >= 0, "libsodium could not be initialised")
        return true
    }()
}
