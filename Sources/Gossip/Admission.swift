package import Model

/// The certificate that makes a node a member; descends from the founder through its admitter.
package struct Admission: Hashable, Sendable {
    /// The new member's key.
    var nodeKey: PublicKey
    /// The invitation that it showed.
    var invitation: JoinToken.Invitation
    /// The token key's signature over the node key: the joiner knew the token's secret.
    var tokenSignature: [UInt8]
    /// The member that checked the invitation when it was still good.
    var admitter: NodeID
    /// The admitter's signature over all of this.
    var signature: [UInt8] = []

    /// What the token's key signs.
    static func tokenStatement(nodeKey: PublicKey, cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-join-1".utf8)
        cluster.encode(into: &writer)
        nodeKey.encode(into: &writer)
        return writer.bytes
    }

    /// What the admitter signs.
    var statement: [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-admission-1".utf8)
        nodeKey.encode(into: &writer)
        invitation.encode(into: &writer)
        writer.raw(tokenSignature)
        admitter.encode(into: &writer)
        return writer.bytes
    }
}

extension Admission: WireCodable {
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        nodeKey.encode(into: &writer)
        invitation.encode(into: &writer)
        writer.raw(tokenSignature)
        admitter.encode(into: &writer)
        writer.raw(signature)
    }

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        nodeKey = try PublicKey(from: &reader)
        invitation = try JoinToken.Invitation(from: &reader)
        tokenSignature = Array(try reader.raw(Signature.sizeBytes))
        admitter = try NodeID(from: &reader)
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}
