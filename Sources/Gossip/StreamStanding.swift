package import Model

/// Who is at the other end of a stream, by the key that it has proven.
package enum StreamStanding: Hashable, Sendable {
    /// A member, under its newest key.
    case member(NodeID)
    /// Anybody: may ask to join or show its new key, in frames of so many bytes at most, and does
    /// not stay.
    case stranger(NodeID, frameSizeBytesMax: Int)
    /// A node that has renewed this key since: no more than a stranger, who is told so.
    case retired(NodeID, frameSizeBytesMax: Int)

    /// For whom this end speaks.
    package var node: NodeID {
        switch self {
        case .member(let node), .stranger(let node, _), .retired(let node, _): node
        }
    }

    /// Whether it is a member.
    package var isMember: Bool {
        if case .member = self { true } else { false }
    }

    /// The largest frame that may come from there, in bytes.
    package var frameSizeBytesMax: Int {
        switch self {
        case .member: Channel.frameSizeBytesMax
        case .stranger(_, let sizeBytesMax), .retired(_, let sizeBytesMax): sizeBytesMax
        }
    }

    /// Whether it is the node that was called; anybody is when it is `.none`.
    package func answers(for called: NodeID) -> Bool {
        if case .retired = self { return called == .none }
        return called == .none || called == node
    }

    /// Whether a frame may come from there under this key: it is said by the node itself, or shows
    /// the key, as who asks to join or shows a new key does.
    package func maySay(_ frame: [UInt8], under key: NodeID) -> Bool {
        guard Envelope.sender(of: frame) != node else { return true }
        let shown = Envelope.payload(of: frame).flatMap(GossipMessage.strangerKey)
        return shown?.id == key
    }
}

extension Membership {
    /// Who is at the other end of a stream, by the ID that the proven key makes.
    ///
    /// A node that is not a member yet knows nobody, and the answer to its request is long.
    package func standing(ofKey key: NodeID) -> StreamStanding {
        guard let ring else {
            return .stranger(key, frameSizeBytesMax: Channel.frameSizeBytesMax)
        }
        let sizeBytesMax = GossipMessage.introductionSizeBytesMax
        let (node, isRetired) = ring.speaker(under: key)
        if isRetired { return .retired(node, frameSizeBytesMax: sizeBytesMax) }
        return ring[node] == nil
            ? .stranger(node, frameSizeBytesMax: sizeBytesMax) : .member(node)
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
