import Gossip
import Model
import Synchronization

/// Signatures that cost next to nothing, for long runs of many nodes; anybody can forge them.
struct CheapSignatures: SignatureScheme {
    func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8]) {
        var generator = SeededGenerator(seed: CheapSignatures.digest(seed, 1))
        let bytes = (0..<4).flatMap { _ in
            Wide128(high: generator.next(), low: 0).bytes.prefix(8)
        }
        return (PublicKey(bytes: bytes), bytes)
    }

    func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        let digest = CheapSignatures.digest(message, CheapSignatures.digest(secret, 2))
        var signature = [UInt8](repeating: 0, count: Signature.sizeBytes)
        for index in 0..<8 { signature[index] = UInt8(truncatingIfNeeded: digest >> (8 * index)) }
        return signature
    }

    func verify(_ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey) -> Bool {
        signature.elementsEqual(sign(message, secret: key.bytes))
    }

    func agree(secret: [UInt8], with key: PublicKey) -> [UInt8]? {
        zip(secret, key.bytes).map { $0 ^ $1 }
    }

    func encrypt(_ message: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8] {
        message + tag(key: key, nonce: nonce)
    }

    func decrypt(_ sealed: ArraySlice<UInt8>, key: [UInt8], nonce: [UInt8]) -> [UInt8]? {
        let tag = tag(key: key, nonce: nonce)
        return sealed.suffix(16).elementsEqual(tag) ? Array(sealed.dropLast(16)) : nil
    }

    private func tag(key: [UInt8], nonce: [UInt8]) -> ArraySlice<UInt8> {
        sign(nonce, secret: key).prefix(16)
    }

    private static func digest(_ bytes: [UInt8], _ basis: UInt64) -> UInt64 {
        bytes.withUnsafeBufferPointer { bytes in
            var digest = 0xCBF2_9CE4_8422_2325 ^ (basis &* 0x9E37_79B9_7F4A_7C15)
            for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            return digest ^ (digest >> 29)
        }
    }
}

/// The same, and counts what is verified.
final class CountingSignatures: SignatureScheme {
    private let scheme = CheapSignatures()
    private let count = Mutex(0)

    /// How many signatures were verified.
    var verified: Int { count.withLock { $0 } }

    func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8]) {
        scheme.keyPair(seed: seed)
    }

    func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8] {
        scheme.sign(message, secret: secret)
    }

    func verify(_ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey) -> Bool {
        count.withLock { $0 += 1 }
        return scheme.verify(signature, of: message, by: key)
    }

    func agree(secret: [UInt8], with key: PublicKey) -> [UInt8]? {
        scheme.agree(secret: secret, with: key)
    }

    func encrypt(_ message: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8] {
        scheme.encrypt(message, key: key, nonce: nonce)
    }

    func decrypt(_ sealed: ArraySlice<UInt8>, key: [UInt8], nonce: [UInt8]) -> [UInt8]? {
        scheme.decrypt(sealed, key: key, nonce: nonce)
    }
}
