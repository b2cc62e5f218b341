package import Model

/// One entry of the replicated log.
package struct RaftEntry: Hashable, Sendable {
    /// What an entry is for.
    package enum Content: Hashable, Sendable {
        /// Begins a leader's term: lets it commit what it found (paper §8).
        case noop
        /// A command of the application.
        case command([UInt8])
        /// A change of members; in force from the moment when it stands in a log (paper §6).
        case members(RaftMembers)
    }

    /// The term of the leader that made it.
    package var term: UInt64
    /// What it is for.
    package var content: Content

    /// The largest command, in bytes.
    package static let commandSizeBytesMax = 256 << 10

    /// Makes an entry.
    package init(term: UInt64, content: Content) {
        self.term = term
        self.content = content
    }

    var sizeBytes: Int {
        switch content {
        case .noop: 16
        case .command(let bytes): 16 + bytes.count
        case .members(let members): 64 + 16 * members.everyone.count
        }
    }
}

/// Who takes part in the log, and how.
///
/// Voters vote; while `outgoingVoters` is not empty the change is joint, and every decision needs
/// a majority of both sets. Learners receive the log only. Source: Raft paper, section 6.
package struct RaftMembers: Hashable, Sendable {
    /// The voters, sorted; the new ones while a change is joint.
    package var voters: [NodeID]
    /// The voters before the change, sorted; empty unless a change is joint.
    package var outgoingVoters: [NodeID]
    /// Who receives the log without a vote, sorted.
    package var learners: [NodeID]

    /// The most nodes of one kind.
    package static let countMax = 64

    /// Makes a set of members; the lists are sorted here, and name each node once.
    package init(voters: [NodeID], outgoingVoters: [NodeID] = [], learners: [NodeID] = []) {
        self.voters = Set(voters).sorted()
        self.outgoingVoters = Set(outgoingVoters).sorted()
        self.learners = Set(learners).sorted()
    }

    /// Whether a change is under way that needs both majorities.
    package var isJoint: Bool { !outgoingVoters.isEmpty }

    /// All nodes that get the log, sorted, each once.
    package var everyone: [NodeID] {
        Array(Set(voters + outgoingVoters + learners)).sorted()
    }

    /// Whether a node votes, on either side of a change.
    package func isVoter(_ node: NodeID) -> Bool {
        voters.contains(node) || outgoingVoters.contains(node)
    }

    /// Whether those for which `holds` is true are a majority, of both sides while joint.
    func hasQuorum(where holds: (NodeID) -> Bool) -> Bool {
        func majority(of nodes: [NodeID]) -> Bool {
            nodes.isEmpty || nodes.count(where: holds) > nodes.count / 2
        }
        return !voters.isEmpty && majority(of: voters) && majority(of: outgoingVoters)
    }
}

extension RaftMembers: WireCodable {
    /// Writes the three lists.
    package func encode(into writer: inout ByteWriter) {
        for list in [voters, outgoingVoters, learners] {
            writer.list(list) { $1.encode(into: &$0) }
        }
    }

    /// Reads three sorted lists of at most `countMax` nodes each.
    package init(from reader: inout ByteReader) throws(CodecError) {
        var lists: [[NodeID]] = []
        for _ in 0..<3 {
            let list = try reader.list(max: RaftMembers.countMax) { (reader) throws(CodecError) in
                try NodeID(from: &reader)
            }
            guard zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) else { throw .notCanonical }
            lists.append(list)
        }
        self.init(voters: lists[0], outgoingVoters: lists[1], learners: lists[2])
    }
}

extension RaftEntry: WireCodable {
    /// Writes term, kind and content.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(term)
        switch content {
        case .noop: writer.byte(0)
        case .command(let bytes):
            writer.byte(1)
            writer.blob(bytes)
        case .members(let members):
            writer.byte(2)
            members.encode(into: &writer)
        }
    }

    /// Reads term, kind and content.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let term = try reader.varint()
        switch try reader.byte() {
        case 0: self.init(term: term, content: .noop)
        case 1:
            let bytes = Array(try reader.blob(max: RaftEntry.commandSizeBytesMax))
            self.init(term: term, content: .command(bytes))
        case 2: self.init(term: term, content: .members(try RaftMembers(from: &reader)))
        default: throw .malformed
        }
    }
}
