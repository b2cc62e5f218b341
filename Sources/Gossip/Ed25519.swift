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

    /// X25519 of the two keys, taken to the other form of the curve.
    ///
    /// Source: RFC 7748, sections 4.1 and 5.
    package func agree(secret: [UInt8], with key: PublicKey) -> [UInt8]? {
        var own = [UInt8](repeating: 0, count: 32)
        var other = [UInt8](repeating: 0, count: 32)
        var shared = [UInt8](repeating: 0, count: 32)
        guard crypto_sign_ed25519_sk_to_curve25519(&own, secret) == 0,
            crypto_sign_ed25519_pk_to_curve25519(&other, key.bytes) == 0,
            crypto_scalarmult(&shared, own, other) == 0
        else { return nil }
        return shared
    }

    /// XChaCha20-Poly1305.
    package func encrypt(_ message: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8] {
        precondition(key.count == 32 && nonce.count == 24, "a key has 32 bytes, a nonce 24")
        var sealed = [UInt8](repeating: 0, count: message.count + DatagramVeil.overheadSizeBytes)
        let status = crypto_aead_xchacha20poly1305_ietf_encrypt(
            &sealed, nil, message, UInt64(message.count), nil, 0, nil, nonce, key)
        precondition(status == 0, "libsodium could not encrypt")
        return sealed
    }

    /// The message under XChaCha20-Poly1305; `nil` when it was not made with this key and nonce.
    package func decrypt(
        _ sealed: ArraySlice<UInt8>, key: [UInt8], nonce: [UInt8]
    ) -> [UInt8]? {
        precondition(key.count == 32 && nonce.count == 24, "a key has 32 bytes, a nonce 24")
        guard sealed.count >= DatagramVeil.overheadSizeBytes else { return nil }
        var message = [UInt8](
            repeating: 0, count: sealed.count - DatagramVeil.overheadSizeBytes)
        let status = crypto_aead_xchacha20poly1305_ietf_decrypt(
            &message, nil, nil, Array(sealed), UInt64(sealed.count), nil, 0, nonce, key)
        return status == 0 ? message : nil
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
