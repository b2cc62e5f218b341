package import Model

/// How a node treats a stream whose other end has proven its key.
package enum StreamStanding: Hashable, Sendable {
    /// The key belongs to a member.
    case member
    /// Anybody: may ask to join in frames of so many bytes at most, and does not stay.
    case stranger(frameSizeBytesMax: Int)
}

extension Membership {
    /// Who speaks on a stream whose other end has proven a key, by the ID that the key makes; `nil`
    /// when the key was retired.
    package func speaker(under key: NodeID) -> NodeID? {
        ring.map { $0.speaker(under: key) } ?? key
    }

    /// How to treat a stream that ends at this node.
    ///
    /// A node that is not a member yet knows nobody, and the answer to its request is long.
    package func standing(of node: NodeID) -> StreamStanding {
        guard let ring else { return .stranger(frameSizeBytesMax: Channel.frameSizeBytesMax) }
        if ring[node] != nil { return .member }
        return .stranger(frameSizeBytesMax: GossipMessage.joinRequestSizeBytesMax)
    }
}

extension Envelope {
    /// Whom a packet claims to be from; `nil` when it is too short to say.
    package static func sender(of bytes: [UInt8]) -> NodeID? {
        var reader = ByteReader(bytes)
        guard bytes.count > overheadSizeBytes, (try? reader.byte()) != nil,
            (try? reader.fixed64()) != nil
        else { return nil }
        return try? NodeID(from: &reader)
    }
}
