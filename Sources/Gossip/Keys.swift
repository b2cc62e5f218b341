package import Model

/// An Ed25519 public key.
package struct PublicKey: Hashable, Comparable, Sendable {
    /// The key's bytes; always `sizeBytes` of them.
    package let bytes: [UInt8]

    /// The size of every key.
    package static let sizeBytes = 32

    /// Takes a key's bytes; traps when there are not `sizeBytes` of them.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == PublicKey.sizeBytes, "a public key has 32 bytes")
        self.bytes = bytes
    }

    /// The identity of the node that owns the key.
    package var id: NodeID {
        let digest = Hash.blake2b(bytes)
        return NodeID(Wide128(bytes: digest.prefix(16)) ?? Wide128(high: 0, low: 0))
    }

    /// Orders by bytes.
    package static func < (left: PublicKey, right: PublicKey) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension PublicKey: WireCodable {
    /// Writes the 32 bytes.
    package func encode(into writer: inout ByteWriter) { writer.raw(bytes) }
    /// Reads 32 bytes.
    package init(from reader: inout ByteReader) throws(CodecError) {
        self.init(bytes: Array(try reader.raw(PublicKey.sizeBytes)))
    }
}

/// How packets and statements are signed, and packets encrypted; a value, so that simulations can bring a cheap one.
package protocol SignatureScheme: Sendable {
    /// The key pair that belongs to a 32-byte seed.
    func keyPair(seed: [UInt8]) -> (publicKey: PublicKey, secret: [UInt8])
    /// Signs a message with the secret half of a pair: `Signature.sizeBytes` bytes.
    func sign(_ message: [UInt8], secret: [UInt8]) -> [UInt8]
    /// Tells whether the owner of `key` signed the message.
    func verify(_ signature: ArraySlice<UInt8>, of message: [UInt8], by key: PublicKey) -> Bool
    /// A secret that the owners of two keys have in common, and nobody else can compute; `nil` when
    /// nobody can own `key`.
    func agree(secret: [UInt8], with key: PublicKey) -> [UInt8]?
    /// Encrypts a message with a key of 32 bytes and a nonce of 24 that never comes twice with it;
    /// adds 16 bytes, by which `decrypt` knows it.
    func encrypt(_ message: [UInt8], key: [UInt8], nonce: [UInt8]) -> [UInt8]
    /// What was encrypted with this key and nonce; `nil` for all else.
    func decrypt(_ sealed: ArraySlice<UInt8>, key: [UInt8], nonce: [UInt8]) -> [UInt8]?
}

/// The size of signatures.
package enum Signature {
    /// The size of every signature, in bytes.
    package static let sizeBytes = 64
}

/// A node's key pair.
package struct NodeKey: Sendable {
    private let secret: [UInt8]
    private let scheme: any SignatureScheme
    /// The public half.
    package let publicKey: PublicKey
    /// The node's identity: the hash of its first key.
    package let id: NodeID

    /// The size of a seed, in bytes.
    package static let seedSizeBytes = 32

    /// Makes the pair that belongs to a seed of 32 random bytes; a later key of the node `owner`, or
    /// a first one.
    package init(
        seed: [UInt8], scheme: any SignatureScheme = Ed25519(), of owner: NodeID? = nil
    ) {
        precondition(seed.count == NodeKey.seedSizeBytes, "a seed has 32 bytes")
        self.scheme = scheme
        (publicKey, secret) = scheme.keyPair(seed: seed)
        id = owner ?? publicKey.id
    }

    /// The same pair as a key of another node: of the one that has renewed its key to this.
    package func owned(by node: NodeID) -> NodeKey {
        NodeKey(publicKey: publicKey, secret: secret, scheme: scheme, id: node)
    }

    private init(
        publicKey: PublicKey, secret: [UInt8], scheme: any SignatureScheme, id: NodeID
    ) {
        self.publicKey = publicKey
        self.secret = secret
        self.scheme = scheme
        self.id = id
    }

    /// Signs a message.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        scheme.sign(message, secret: secret)
    }

    /// What this key's owner and another's have in common, and nobody else can compute; `nil` when
    /// nobody can own the other key.
    func secret(with other: PublicKey) -> [UInt8]? {
        scheme.agree(secret: secret, with: other)
    }

    /// Thirty-two bytes that only the owner of this key can derive from a label.
    ///
    /// The core's generator is no source of secrets: what it draws travels in packets, and its
    /// state can be computed from that. Labels must never repeat for secrets that must differ.
    func derive(_ label: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: secret.count + label.count + 16)
        writer.raw("magpie-derive-1".utf8)
        writer.blob(secret)
        writer.raw(label)
        return Hash.blake2b(writer.bytes)
    }
}
