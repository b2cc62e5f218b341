package import Model

/// Everything in this target that is made from bytes or text.
package enum GossipDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder(Admission.self),
        ByteDecoder(AliveStatement.self),
        ByteDecoder(AmendmentCertificate.self),
        ByteDecoder(Genesis.self),
        ByteDecoder(GossipMessage.self),
        ByteDecoder(GossipMessage.JoinRequest.self),
        ByteDecoder(JoinToken.self),
        ByteDecoder(JoinToken.Invitation.self),
        ByteDecoder(LeaveStatement.self),
        // What newer versions tell of themselves is not kept.
        ByteDecoder(NodeMetadata.self, .settled),
        ByteDecoder(PublicKey.self),
        ByteDecoder(Rumour.self),
        ByteDecoder(SuspectStatement.self),
        ByteDecoder(TokenRecord.self),
        ByteDecoder(text: "Gossip.JoinToken, text") { JoinToken($0)?.text },
        ByteDecoder("Gossip.Envelope", .unwritten) { bytes in
            _ = Envelope.sender(of: bytes)
            let cluster = ClusterID(Wide128(high: 0x6D61_6770_6965_2121, low: 0))
            guard let envelope = Envelope.open(bytes, cluster: cluster) else {
                throw CodecError.malformed
            }
            _ = GossipMessage.strangerKey(in: envelope.payload)
            return []
        },
    ]
}
