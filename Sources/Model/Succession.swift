/// A node has another key from now on, and stays the node that it is.
///
/// What the retired key has signed of others stands as far as it is named: whom it has let in. All
/// else that it signs is worth nothing, whenever it was signed.
package struct Succession: Hashable, Sendable {
    /// The node; its identity is the hash of its first key, and never changes.
    package var node: NodeID
    /// Counts the node's successions from 1.
    package var serial: UInt32
    /// The public half of the new key.
    package var newKey: [UInt8]
    /// Whom the retired key has let in, sorted.
    package var spared: [NodeID]
    /// The retired key's signature of `statement`.
    package var signature: [UInt8] = []

    /// The size of a public key, in bytes.
    package static let keySizeBytes = 32
    /// The size of a signature, in bytes.
    package static let signatureSizeBytes = 64
    /// The most nodes that one succession names.
    package static let sparedMax = Eviction.nodesMax

    /// Makes a succession that is not signed yet; the list is sorted here, and names each node once.
    package init(node: NodeID, serial: UInt32, newKey: [UInt8], spared: [NodeID]) {
        self.node = node
        self.serial = serial
        self.newKey = newKey
        self.spared = Set(spared).sorted()
    }

    /// What the retired key signs.
    package func statement(in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-succession-1".utf8)
        cluster.encode(into: &writer)
        encodeBody(into: &writer)
        return writer.bytes
    }

    private func encodeBody(into writer: inout ByteWriter) {
        node.encode(into: &writer)
        writer.varint(UInt64(serial))
        writer.raw(newKey)
        writer.list(spared) { $1.encode(into: &$0) }
    }
}

extension Succession: WireCodable {
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        encodeBody(into: &writer)
        writer.raw(signature)
    }

    /// Reads all fields; refuses a list that is not sorted, and a count of 0.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let node = try NodeID(from: &reader)
        let serial = try reader.varint32()
        let newKey = Array(try reader.raw(Succession.keySizeBytes))
        let spared = try Eviction.nodes(from: &reader)
        self.init(node: node, serial: serial, newKey: newKey, spared: spared)
        guard serial > 0 else { throw .outOfBounds }
        guard spared == self.spared else { throw .notCanonical }
        signature = Array(try reader.raw(Succession.signatureSizeBytes))
    }
}
