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
