/// A change of the ring of keys on which the lock has agreed: who may speak in the cluster.
///
/// It stands for good, and all amendments have one order, that of their marks.
package struct Amendment: Hashable, Sendable {
    /// What is changed.
    package enum Change: Hashable, Sendable {
        /// Nodes are shut out for good.
        case eviction(Eviction)
        /// A node has another key from now on.
        case succession(Succession)
    }

    /// The lock's generation, and the index of the entry that agreed.
    package var mark: FencingToken
    /// What is changed.
    package var change: Change

    /// Makes an amendment.
    package init(mark: FencingToken, change: Change) {
        self.mark = mark
        self.change = change
    }

    /// A number that stands for this amendment; a set of them has the sum without carry.
    package var fingerprint: UInt64 {
        var mixer = SeededGenerator(seed: mark.index ^ UInt64(mark.generation) << 40)
        return mixer.next()
    }

    /// The nodes that it shuts out.
    package var evicted: [NodeID] {
        switch change {
        case .eviction(let eviction): eviction.nodes
        case .succession: []
        }
    }

    /// The node whose key it renews, if it does.
    package var renewed: NodeID? {
        switch change {
        case .eviction: nil
        case .succession(let succession): succession.node
        }
    }
}

/// Nodes are shut out for good: whatever bears their keys is dropped, and whom they let in is let in
/// no longer, but for those who are named.
package struct Eviction: Hashable, Sendable {
    /// Who is shut out, sorted; the one that was named by a person, and with a cascade those whom it
    /// had let in.
    package var nodes: [NodeID]
    /// Who stays though one of `nodes` has let it in, sorted: all others of whom that is said come
    /// too late.
    package var spared: [NodeID]
    /// The member at which a person has asked for it.
    package var author: NodeID
    /// When, by that member's clock; for display only.
    package var time: WallTime

    /// The most nodes that one eviction names.
    package static let nodesMax = 4_096

    /// Makes an eviction; the lists are sorted here, and name each node once.
    package init(nodes: [NodeID], spared: [NodeID], author: NodeID, time: WallTime) {
        self.nodes = Set(nodes).sorted()
        self.spared = Set(spared).sorted()
        self.author = author
        self.time = time
    }

    /// How many nodes it names.
    package var count: Int { nodes.count + spared.count }
}

extension Amendment: WireCodable {
    /// Writes mark and change.
    package func encode(into writer: inout ByteWriter) {
        mark.encode(into: &writer)
        change.encode(into: &writer)
    }

    /// Reads mark and change.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let mark = try FencingToken(from: &reader)
        self.init(mark: mark, change: try Change(from: &reader))
    }
}

extension Amendment.Change: WireCodable {
    /// Writes the kind, then the content.
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .eviction(let eviction):
            writer.byte(1)
            eviction.encode(into: &writer)
        case .succession(let succession):
            writer.byte(2)
            succession.encode(into: &writer)
        }
    }

    /// Reads the kind, then the content.
    package init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1: self = .eviction(try Eviction(from: &reader))
        case 2: self = .succession(try Succession(from: &reader))
        default: throw .malformed
        }
    }
}

extension Eviction: WireCodable {
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        writer.list(nodes) { $1.encode(into: &$0) }
        writer.list(spared) { $1.encode(into: &$0) }
        author.encode(into: &writer)
        time.encode(into: &writer)
    }

    /// Reads all fields; refuses lists that are not sorted, and more than `nodesMax` nodes.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let nodes = try Eviction.nodes(from: &reader)
        let spared = try Eviction.nodes(from: &reader)
        let author = try NodeID(from: &reader)
        let time = try WallTime(from: &reader)
        self.init(nodes: nodes, spared: spared, author: author, time: time)
        guard !nodes.isEmpty, count <= Eviction.nodesMax else { throw .outOfBounds }
        guard nodes == self.nodes, spared == self.spared else { throw .notCanonical }
    }

    static func nodes(from reader: inout ByteReader) throws(CodecError) -> [NodeID] {
        try reader.list(max: nodesMax) { (reader) throws(CodecError) in
            try NodeID(from: &reader)
        }
    }
}
