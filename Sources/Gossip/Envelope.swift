import Model

/// What surrounds every datagram and every stream frame between nodes.
///
/// Layout: version (1), first half of the cluster ID (8), sender (16), boot ID (8), counter (8),
/// payload (in datagrams veiled), signature (64). The signature covers the receiver's ID and the channel too, which do
/// not travel, so that a packet sent on to another node, or by another way, is inert.
package struct Envelope {
    var sender: NodeID
    var boot: BootID
    var counter: UInt64
    var payload: ArraySlice<UInt8>

    static let version: UInt8 = 1
    static let headerSizeBytes = 41
    /// How many bytes an envelope adds to its payload.
    static let overheadSizeBytes = headerSizeBytes + Signature.sizeBytes

    /// How many bytes are added to what a member says this way, the veil included.
    static func overheadSizeBytes(via channel: Channel) -> Int {
        overheadSizeBytes + (channel == .datagram ? DatagramVeil.overheadSizeBytes : 0)
    }

    /// Closes and signs an envelope.
    static func seal(
        _ payload: [UInt8], by key: NodeKey, boot: BootID, counter: UInt64, cluster: ClusterID,
        to receiver: NodeID, via channel: Channel
    ) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: payload.count + overheadSizeBytes)
        writer.byte(version)
        writer.fixed64(cluster.value.high)
        key.id.encode(into: &writer)
        boot.encode(into: &writer)
        writer.fixed64(counter)
        writer.raw(payload)
        let signature = key.sign(statement(of: writer.bytes[...], to: receiver, via: channel))
        writer.raw(signature)
        return writer.bytes
    }

    /// Reads the fixed header; `nil` when this can't be an envelope of this cluster.
    ///
    /// Counters begin with 1.
    static func open(_ bytes: [UInt8], cluster: ClusterID) -> Envelope? {
        guard bytes.count > overheadSizeBytes else { return nil }
        var reader = ByteReader(bytes)
        guard (try? reader.byte()) == version, (try? reader.fixed64()) == cluster.value.high,
            let sender = try? NodeID(from: &reader), let boot = try? BootID(from: &reader),
            let counter = try? reader.fixed64(), counter > 0
        else { return nil }
        return Envelope(
            sender: sender, boot: boot, counter: counter,
            payload: bytes[headerSizeBytes..<(bytes.count - Signature.sizeBytes)])
    }

    /// The payload of bytes that are long enough, whatever else they are.
    static func payload(of bytes: [UInt8]) -> ArraySlice<UInt8>? {
        guard bytes.count > overheadSizeBytes else { return nil }
        return bytes[headerSizeBytes..<(bytes.count - Signature.sizeBytes)]
    }

    /// Whether the owner of `key` closed the envelope for `receiver`, to be sent this way.
    static func isGenuine(
        _ bytes: [UInt8], by key: PublicKey, to receiver: NodeID, via channel: Channel,
        scheme: any SignatureScheme
    ) -> Bool {
        let end = bytes.count - Signature.sizeBytes
        return scheme.verify(
            bytes[end...], of: statement(of: bytes[..<end], to: receiver, via: channel), by: key)
    }

    private static func statement(
        of bytes: ArraySlice<UInt8>, to receiver: NodeID, via channel: Channel
    ) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: bytes.count + 32)
        writer.raw("magpie-packet-1".utf8)
        receiver.encode(into: &writer)
        writer.byte(channel.rawValue)
        writer.raw(bytes)
        return writer.bytes
    }
}
