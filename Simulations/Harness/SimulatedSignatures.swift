package import Gossip
import Model

/// A cheap stand-in for signatures: a keyed 64-bit hash that anybody could forge.
///
/// For simulations alone, where nobody forges; it keeps every length and every check in place.
package struct SimulatedSignatures: SignatureScheme {
    /// Makes the scheme.
    package init() {}

    /// The "public" half is the hash of the seed, the secret the seed itself.
    package func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8]) {
        let half = SimulatedSignatures.hash(seed, 1)
        var generator = SeededGenerator(seed: half)
        let bytes = (0..<4).flatMap { _ in Wide128(high: generator.next(), low: 0).bytes.prefix(8) }
        return (PublicKey(bytes: bytes), bytes)
    }

    /// The hash of key and message, repeated to the length of a signature.
    package func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        SimulatedSignatures.tag(message, secret)
    }

    /// Tells whether the tag fits.
    package func verify(
        _ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey
    ) -> Bool {
        signature.elementsEqual(SimulatedSignatures.tag(message, key.bytes))
    }

    private static func tag(_ message: [UInt8], _ key: [UInt8]) -> [UInt8] {
        let value = hash(message, hash(key, 2))
        let part = Wide128(high: value, low: ~value).bytes
        return part + part + part + part
    }

    private static func hash(_ bytes: [UInt8], _ basis: UInt64) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ basis
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }
}
