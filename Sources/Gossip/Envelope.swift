import Model

/// What surrounds every datagram and every stream frame between nodes.
///
/// Layout: version (1), first half of the cluster ID (8), sender (16), boot ID (8), counter (8),
/// payload, signature (64). The signature covers the receiver's ID too, which does not travel, so
/// that a packet sent on to another node is inert.
struct Envelope {
    var sender: NodeID
    var boot: BootID
    var counter: UInt64
    var payload: ArraySlice<UInt8>

    static let version: UInt8 = 1
    static let headerSizeBytes = 41
    /// How many bytes an envelope adds to its payload.
    static let overheadSizeBytes = headerSizeBytes + Signature.sizeBytes

    /// Closes and signs an envelope.
    static func seal(
        _ payload: [UInt8], by key: NodeKey, boot: BootID, counter: UInt64, cluster: ClusterID,
        to receiver: NodeID
    ) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: payload.count + overheadSizeBytes)
        writer.byte(version)
        writer.fixed64(cluster.value.high)
        key.id.encode(into: &writer)
        boot.encode(into: &writer)
        writer.fixed64(counter)
        writer.raw(payload)
        let signature = key.sign(statement(of: writer.bytes[...], to: receiver))
        writer.raw(signature)
        return writer.bytes
    }

    /// Reads the fixed header; `nil` when this can't be an envelope of this cluster.
    static func open(_ bytes: [UInt8], cluster: ClusterID) -> Envelope? {
        guard bytes.count > overheadSizeBytes else { return nil }
        var reader = ByteReader(bytes)
        guard (try? reader.byte()) == version, (try? reader.fixed64()) == cluster.value.high,
            let sender = try? NodeID(from: &reader), let boot = try? BootID(from: &reader),
            let counter = try? reader.fixed64()
        else { return nil }
        return Envelope(
            sender: sender, boot: boot, counter: counter,
            payload: bytes[headerSizeBytes..<(bytes.count - Signature.sizeBytes)])
    }

    /// Whether the owner of `key` closed the envelope for `receiver`.
    static func isGenuine(
        _ bytes: [UInt8], by key: PublicKey, to receiver: NodeID, scheme: any SignatureScheme
    ) -> Bool {
        let end = bytes.count - Signature.sizeBytes
        return scheme.verify(
            bytes[end...], of: statement(of: bytes[..<end], to: receiver), by: key)
    }

    private static func statement(of bytes: ArraySlice<UInt8>, to receiver: NodeID) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: bytes.count + 32)
        writer.raw("magpie-packet-1".utf8)
        receiver.encode(into: &writer)
        writer.raw(bytes)
        return writer.bytes
    }
}

/// Which counters of one life of a sender were seen: each packet is taken once.
///
/// Source: RFC 6479, sliding windows against replay.
struct ReplayWindow: Sendable {
    private var highest: UInt64 = 0
    private var seen = [UInt64](repeating: 0, count: Int(ReplayWindow.width / 64))

    /// How far behind the highest counter a packet may come.
    static let width: UInt64 = 1_024

    /// Whether a counter is new, and not too old to tell.
    func accepts(_ counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if counter > highest { return true }
        guard highest - counter < ReplayWindow.width else { return false }
        return seen[word(counter)] & bit(counter) == 0
    }

    /// Takes note of a counter that was accepted.
    mutating func insert(_ counter: UInt64) {
        if counter > highest {
            if counter - highest >= ReplayWindow.width {
                seen = [UInt64](repeating: 0, count: seen.count)
            } else {
                for passed in (highest + 1)...counter { seen[word(passed)] &= ~bit(passed) }
            }
            highest = counter
        }
        seen[word(counter)] |= bit(counter)
    }

    private func word(_ counter: UInt64) -> Int { Int(counter % ReplayWindow.width / 64) }
    private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter % 64) }
}
