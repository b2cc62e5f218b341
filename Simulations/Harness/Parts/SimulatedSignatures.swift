package import Gossip
import Model

/// A cheap stand-in for signatures, for simulations alone: whoever knows the public key can forge.
///
/// It keeps every length and every check in place, so that the code above does the same work.
package struct SimulatedSignatures: SignatureScheme {
    /// Makes the scheme.
    package init() {}

    /// The key pair of a seed; both halves are the same 32 bytes.
    package func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8]) {
        var generator = SeededGenerator(seed: Digest.of(seed, basis: 1))
        let bytes = generator.bytes(PublicKey.sizeBytes)
        return (PublicKey(bytes: bytes), bytes)
    }

    /// A keyed digest of the message, stretched to the length of a signature.
    package func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        SimulatedSignatures.stretch(Digest.of(message, basis: Digest.of(secret, basis: 2)))
    }

    /// Tells whether the digest fits message and key.
    package func verify(
        _ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey
    ) -> Bool {
        signature.elementsEqual(sign(message, secret: key.bytes))
    }

    /// What both keys make together, in whatever order.
    package func agree(secret: [UInt8], with key: PublicKey) -> [UInt8]? {
        zip(secret, key.bytes).map { $0 ^ $1 }
    }

    /// The message as it is, for people to read, and a digest of key and nonce.
    package func encrypt(_ message: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8] {
        var sealed = message
        sealed.reserveCapacity(message.count + 16)
        sealed += SimulatedSignatures.tag(key: key, nonce: nonce)
        return sealed
    }

    /// The message, when the digest fits.
    package func decrypt(
        _ sealed: ArraySlice<UInt8>, key: [UInt8], nonce: [UInt8]
    ) -> [UInt8]? {
        let tag = SimulatedSignatures.tag(key: key, nonce: nonce)
        guard sealed.suffix(tag.count).elementsEqual(tag) else { return nil }
        return Array(sealed.dropLast(tag.count))
    }

    private static func tag(key: [UInt8], nonce: [UInt8]) -> ArraySlice<UInt8> {
        stretch(Digest.of(nonce, basis: Digest.of(key, basis: 3))).prefix(16)
    }

    private static func stretch(_ digest: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Signature.sizeBytes)
        for word in 0..<UInt64(Signature.sizeBytes / 8) {
            let mixed = digest ^ word &* 0x9E37_79B9_7F4A_7C15
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: mixed >> shift))
            }
        }
        return bytes
    }
}
