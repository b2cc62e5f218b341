package import Model

/// Everything that can happen to a node's membership.
package enum GossipEvent: Sendable {
    /// Bytes arrived from anybody.
    case received([UInt8], from: PeerAddress, via: Channel)
    /// Another part of the node says something to a member.
    case send(payload: [UInt8], to: NodeID, via: Channel)
    /// Join the token's cluster by way of these seeds; ends with `joined`, `joinRefused` or
    /// `joinUnreachable`.
    case join(seeds: [PeerAddress], token: JoinToken)
    /// Say goodbye; ends with `left`.
    case leave
    /// What this node tells about itself has changed.
    case updateMetadata(NodeMetadata)
    /// The wall clock shows this; only expiry of tokens depends on it.
    case wallClock(WallTime)
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Everything that a node's membership can ask of its surroundings, or tell.
package enum GossipEffect: Sendable {
    /// Send bytes; they may be lost.
    case send([UInt8], to: PeerAddress, via: Channel)
    /// A member says this to another part of this node; verified, and not a replay.
    case deliver([UInt8], from: NodeID, via: Channel)
    /// A member's state, address or metadata has changed; `previous` is `nil` for a new one.
    case memberChanged(MemberInfo, previous: MembershipState?)
    /// Write to disk; nobody waits for it.
    case persist([DurableWrite])
    /// This node is a member now.
    case joined
    /// A seed refused.
    case joinRefused(JoinRefusal)
    /// No seed answered.
    case joinUnreachable
    /// Bytes were dropped, for this reason.
    case dropped(reason: String)
    /// Another process runs with this node's key.
    case cloneDetected
    /// The goodbye is said.
    case left
}

/// Why a seed refuses a joiner.
package enum JoinRefusal: UInt8, Hashable, Sendable, Error {
    /// The token is for another cluster.
    case wrongCluster = 1
    /// The token has expired.
    case expiredToken = 2
    /// No member made the token, or the joiner does not know its secret.
    case badToken = 3
    /// The cluster has as many members as it can have.
    case full = 4
    /// The joiner's description of itself can't be read or is not signed by its key.
    case malformed = 5
}

/// How a member looks.
package enum MembershipState: UInt8, Hashable, Sendable {
    /// Answers probes.
    case alive = 1
    /// Did not answer; has time to refute.
    case suspect = 2
    /// Did not refute in time.
    case dead = 3
    /// Said goodbye.
    case left = 4
}

/// What a node tells about itself; signed by it, and spread to all.
package struct NodeMetadata: Hashable, Sendable {
    /// Its name, for people.
    package var name: String
    /// The version of its software.
    package var version: String
    /// What it gives to tasks.
    package var capacity: Resources
    /// Its labels `K=V`, sorted.
    package var labels: [String]
    /// Whether it takes tasks.
    package var isEligible: Bool

    /// The largest encoding, in bytes: it must fit a datagram beside signatures.
    package static let sizeBytesMax = 512

    /// Makes metadata.
    package init(
        name: String, version: String, capacity: Resources, labels: [String], isEligible: Bool
    ) {
        self.name = name
        self.version = version
        self.capacity = capacity
        self.labels = labels
        self.isEligible = isEligible
    }
}

/// One line of the membership view.
package struct MemberInfo: Hashable, Sendable {
    /// The member.
    package var id: NodeID
    /// Where it listens.
    package var address: PeerAddress
    /// What it tells about itself.
    package var metadata: NodeMetadata
    /// Its own count of refutations and changes.
    package var incarnation: UInt64
    /// How it looks from here.
    package var state: MembershipState
    /// Since when it looks so, on this node's clock.
    package var stateSince: Instant

    /// Its name, for people.
    package var name: String { metadata.name }
}

extension NodeMetadata: WireCodable {
    /// Writes all fields, framed by their size.
    package func encode(into writer: inout ByteWriter) {
        var fields = ByteWriter()
        fields.field(1) { $0.string(name) }
        fields.field(2) { $0.string(version) }
        fields.field(3) {
            $0.varint(UInt64(capacity.cpuMillis))
            $0.varint(capacity.memoryBytes)
        }
        if !labels.isEmpty { fields.field(4) { $0.list(labels) { $0.string($1) } } }
        if isEligible { fields.field(5) { $0.byte(1) } }
        writer.blob(fields.bytes)
    }

    /// Reads all fields; those of newer versions are passed over, since the signature is over the
    /// bytes as they came.
    package init(from reader: inout ByteReader) throws(CodecError) {
        self.init(
            name: "", version: "", capacity: .zero, labels: [], isEligible: false)
        var fields = ByteReader(try reader.blob(max: NodeMetadata.sizeBytesMax))
        _ = try fields.fields { (tag, content) throws(CodecError) in
            switch tag {
            case 1: name = try content.string(max: 64)
            case 2: version = try content.string(max: 64)
            case 3:
                let cpu = try content.varint32()
                capacity = Resources(cpuMillis: cpu, memoryBytes: try content.varint())
            case 4:
                labels = try content.list(max: 64) { (reader) throws(CodecError) in
                    try reader.string(max: 256)
                }
            case 5: isEligible = try content.byte() == 1
            default:
                return false
            }
            return true
        }
    }
}
