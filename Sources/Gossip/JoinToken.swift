package import Model

/// An expiring invitation: whoever holds it may join the cluster.
///
/// It holds the seed of a key pair of its own, which never travels: the joiner signs its node key
/// with it, and shows the token's public half with the inviter's signature over it.
package struct JoinToken: Hashable, Sendable {
    /// What every member can check of a token without knowing its secret.
    package struct Invitation: Hashable, Sendable {
        /// The cluster that is joined.
        var cluster: ClusterID
        /// The token's own public key.
        var tokenKey: PublicKey
        /// The member that made the token.
        var inviter: NodeID
        /// When it expires, by wall clocks.
        var expiry: WallTime
        /// The inviter's signature over all of this.
        var signature: [UInt8]

        /// What the inviter signs.
        var statement: [UInt8] {
            var writer = ByteWriter()
            writer.raw("magpie-invitation-1".utf8)
            cluster.encode(into: &writer)
            tokenKey.encode(into: &writer)
            inviter.encode(into: &writer)
            expiry.encode(into: &writer)
            return writer.bytes
        }
    }

    var seed: [UInt8]
    var invitation: Invitation

    /// The cluster that is joined.
    package var cluster: ClusterID { invitation.cluster }

    /// What people call it by; not secret.
    package var name: String { TokenRecord.name(of: invitation.tokenKey) }

    private static let prefix = "mgp1-"
    /// The longest text of a token.
    package static let textCountMax = 512

    init(
        cluster: ClusterID, inviter: NodeKey, seed: [UInt8], expiry: WallTime,
        scheme: any SignatureScheme
    ) {
        self.seed = seed
        var invitation = Invitation(
            cluster: cluster, tokenKey: scheme.keyPair(seed: seed).publicKey, inviter: inviter.id,
            expiry: expiry, signature: [])
        invitation.signature = inviter.sign(invitation.statement)
        self.invitation = invitation
    }

    /// Reads what `text` gave, with white space around it; `nil` for anything else.
    package init?(_ text: String) {
        let trimmed = text.drop { $0.isWhitespace }.prefix { !$0.isWhitespace }
        guard trimmed.hasPrefix(JoinToken.prefix), trimmed.utf8.count <= JoinToken.textCountMax,
            let bytes = Base32.decode(trimmed.dropFirst(JoinToken.prefix.count)),
            bytes.count > 4,
            Array(Hash.blake2b(Array(bytes.dropLast(4))).prefix(4)) == Array(bytes.suffix(4)),
            let token = try? JoinToken(decoding: bytes.dropLast(4))
        else { return nil }
        self = token
    }

    /// The form `mgp1-…`: letters and digits that survive copying by hand, with a checksum.
    package var text: String {
        JoinToken.prefix + Base32.encode(encoded + Hash.blake2b(encoded).prefix(4))
    }
}

extension JoinToken: WireCodable {
    /// Writes the secret seed, then the invitation.
    package func encode(into writer: inout ByteWriter) {
        writer.raw(seed)
        invitation.encode(into: &writer)
    }

    /// Reads the secret seed, then the invitation.
    package init(from reader: inout ByteReader) throws(CodecError) {
        seed = Array(try reader.raw(NodeKey.seedSizeBytes))
        invitation = try Invitation(from: &reader)
    }
}

extension JoinToken.Invitation: WireCodable {
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        tokenKey.encode(into: &writer)
        inviter.encode(into: &writer)
        expiry.encode(into: &writer)
        writer.raw(signature)
    }

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        cluster = try ClusterID(from: &reader)
        tokenKey = try PublicKey(from: &reader)
        inviter = try NodeID(from: &reader)
        expiry = try WallTime(from: &reader)
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}
