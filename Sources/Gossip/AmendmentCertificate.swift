import Model

/// An amendment of the ring of keys, and the signature of a voter in whose log it stands.
///
/// It is for members that don't vote: they believe it when they know that its signer does.
struct AmendmentCertificate: Hashable, Sendable {
    var amendment: Amendment
    var signer: NodeID
    var signature: [UInt8] = []

    func statement(in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-amendment-1".utf8)
        cluster.encode(into: &writer)
        amendment.encode(into: &writer)
        signer.encode(into: &writer)
        return writer.bytes
    }
}

extension AmendmentCertificate: WireCodable {
    func encode(into writer: inout ByteWriter) {
        amendment.encode(into: &writer)
        signer.encode(into: &writer)
        writer.raw(signature)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        amendment = try Amendment(from: &reader)
        signer = try NodeID(from: &reader)
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}
