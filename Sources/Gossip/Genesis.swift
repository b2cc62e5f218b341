package import Model

/// The founding of a cluster; its hash is the cluster's identity.
package struct Genesis: Hashable, Sendable {
    /// The first member, from whom every admission descends.
    package var founder: PublicKey
    /// Makes clusters of one founder differ.
    package var nonce: UInt64

    /// Makes a genesis record.
    package init(founder: PublicKey, nonce: UInt64) {
        self.founder = founder
        self.nonce = nonce
    }

    /// The cluster's identity.
    package var clusterID: ClusterID {
        let digest = Hash.blake2b(encoded)
        return ClusterID(Wide128(bytes: digest.prefix(16)) ?? Wide128(high: 0, low: 0))
    }
}

extension Genesis: WireCodable {
    /// Writes founder and nonce.
    package func encode(into writer: inout ByteWriter) {
        writer.raw("magpie-genesis-1".utf8)
        founder.encode(into: &writer)
        writer.fixed64(nonce)
    }

    /// Reads founder and nonce.
    package init(from reader: inout ByteReader) throws(CodecError) {
        guard try reader.raw(16).elementsEqual("magpie-genesis-1".utf8) else { throw .malformed }
        let founder = try PublicKey(from: &reader)
        self.init(founder: founder, nonce: try reader.fixed64())
    }
}
