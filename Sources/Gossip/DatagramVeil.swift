import Model

/// Hides from whoever listens on the wire what members say to each other in datagrams.
///
/// Two members have a secret in common that nobody else can compute, from their keys alone; the key of
/// the veil comes from it. The nonce is sender, boot ID and counter, which never come twice. Streams
/// have TLS, and need no veil.
///
/// Who said something is proven by the signature around it all: whoever has stolen a node's key could
/// make veils for it in any member's name. And who steals a key opens what was recorded of that
/// node's datagrams before.
///
/// Source: RFC 7748 (X25519); draft-irtf-cfrg-xchacha-03 (XChaCha20-Poly1305).
struct DatagramVeil: Sendable {
    private let scheme: any SignatureScheme
    /// The key for which those below were computed.
    private var own: PublicKey?
    /// What is shared with each of the others, by their keys.
    private var keys: [PublicKey: [UInt8]] = [:]

    /// How many bytes a veil adds.
    static let overheadSizeBytes = 16
    /// How many keys are kept; the others are computed when they are wanted.
    static let keysMax = 4_096

    init(scheme: any SignatureScheme) {
        self.scheme = scheme
    }

    /// How many keys are kept now.
    var keyCount: Int { keys.count }

    /// Veils what this node says to a member; `nil` when nobody can have that one's key.
    mutating func cover(
        _ payload: [UInt8], by own: NodeKey, for other: PublicKey, boot: BootID, counter: UInt64
    ) -> [UInt8]? {
        sharedKey(own, other).map {
            scheme.encrypt(payload, key: $0, nonce: DatagramVeil.nonce(own.id, boot, counter))
        }
    }

    /// Unveils what a member has said to this node; `nil` when it was not veiled, or by or for another
    /// key.
    mutating func lift(_ envelope: Envelope, of other: PublicKey, for own: NodeKey) -> [UInt8]? {
        let nonce = DatagramVeil.nonce(envelope.sender, envelope.boot, envelope.counter)
        return sharedKey(own, other).flatMap {
            scheme.decrypt(envelope.payload, key: $0, nonce: nonce)
        }
    }

    private mutating func sharedKey(_ own: NodeKey, _ other: PublicKey) -> [UInt8]? {
        if self.own != own.publicKey {
            self.own = own.publicKey
            keys = [:]
        }
        if let known = keys[other] { return known }
        guard let secret = own.secret(with: other) else { return nil }
        var label = ByteWriter(reservingBytes: 128)
        label.raw("magpie-datagram-1".utf8)
        label.raw(secret)
        min(own.publicKey, other).encode(into: &label)
        max(own.publicKey, other).encode(into: &label)
        let key = Hash.blake2b(label.bytes)
        if keys.count >= DatagramVeil.keysMax { keys = [:] }
        keys[other] = key
        return key
    }

    private static func nonce(_ sender: NodeID, _ boot: BootID, _ counter: UInt64) -> [UInt8] {
        var nonce = ByteWriter(reservingBytes: 24)
        nonce.fixed64(sender.value.high)
        boot.encode(into: &nonce)
        nonce.fixed64(counter)
        return nonce.bytes
    }
}
