package import Model

/// What the members of one log say to each other.
///
/// Every message carries its sender's term. Numbers in it are claims of a peer: the engine checks
/// them before it computes with them.
package struct RaftMessage: Hashable, Sendable {
    /// The kinds of messages.
    package enum Content: Hashable, Sendable {
        /// Would you vote for me in this term? Changes nothing (Raft thesis §9.6).
        case preVoteRequest(lastIndex: UInt64, lastTerm: UInt64)
        /// Answers `preVoteRequest`, with the term that was asked for when granted.
        case preVoteReply(isGranted: Bool)
        /// Vote for me (paper §5.2); `isTransfer` when the leader itself asked for the election.
        case voteRequest(lastIndex: UInt64, lastTerm: UInt64, isTransfer: Bool)
        /// Answers `voteRequest`.
        case voteReply(isGranted: Bool)
        /// Entries that follow (previousIndex, previousTerm); without entries, a heartbeat.
        /// `round` comes back in the answer and confirms that the leader still led when it was sent.
        case append(
            previousIndex: UInt64, previousTerm: UInt64, entries: [RaftEntry], commit: UInt64,
            round: UInt64)
        /// The log agrees with the leader's up to `matchIndex`, and that much is on disk.
        case appendReply(matchIndex: UInt64, round: UInt64)
        /// The entry at `previousIndex` is another or missing; go on from `hintIndex` at most.
        case appendReject(previousIndex: UInt64, hintIndex: UInt64, round: UInt64)
        /// A part of the snapshot that ends at (index, term), from `offset` of `totalBytes` on.
        case snapshot(
            index: UInt64, term: UInt64, members: RaftMembers, offset: UInt64, totalBytes: UInt64,
            chunk: [UInt8], round: UInt64)
        /// Holds the snapshot's first `receivedBytes`; send what follows.
        case snapshotReply(index: UInt64, receivedBytes: UInt64, round: UInt64)
        /// Campaign at once: the leader hands over to you (Raft thesis §3.10).
        case timeoutNow
    }

    /// The sender's term; of the term that would begin, in `preVoteRequest`.
    package var term: UInt64
    /// What is said.
    package var content: Content

    /// The most entries in one `append`.
    package static let entriesCountMax = 1_024
    /// About how many bytes of entries one `append` holds; one entry may exceed it.
    package static let entriesSizeBytesMax = 512 << 10
    /// The most bytes in one part of a snapshot.
    package static let chunkSizeBytesMax = 512 << 10

    /// Makes a message.
    package init(term: UInt64, _ content: Content) {
        self.term = term
        self.content = content
    }
}

extension RaftMessage: WireCodable {
    private enum Kind: UInt8 {
        case preVoteRequest = 1
        case preVoteReply = 2
        case voteRequest = 3
        case voteReply = 4
        case append = 5
        case appendReply = 6
        case appendReject = 7
        case snapshot = 8
        case snapshotReply = 9
        case timeoutNow = 10
    }

    /// Writes term, kind and content.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(term)
        switch content {
        case .preVoteRequest(let index, let term):
            writer.byte(Kind.preVoteRequest.rawValue)
            writer.numbers(index, term)
        case .preVoteReply(let isGranted):
            writer.byte(Kind.preVoteReply.rawValue)
            writer.bool(isGranted)
        case .voteRequest(let index, let term, let isTransfer):
            writer.byte(Kind.voteRequest.rawValue)
            writer.numbers(index, term)
            writer.bool(isTransfer)
        case .voteReply(let isGranted):
            writer.byte(Kind.voteReply.rawValue)
            writer.bool(isGranted)
        case .append(let index, let term, let entries, let commit, let round):
            writer.byte(Kind.append.rawValue)
            writer.numbers(index, term, commit, round)
            writer.list(entries) { $1.encode(into: &$0) }
        case .appendReply(let matchIndex, let round):
            writer.byte(Kind.appendReply.rawValue)
            writer.numbers(matchIndex, round)
        case .appendReject(let previousIndex, let hintIndex, let round):
            writer.byte(Kind.appendReject.rawValue)
            writer.numbers(previousIndex, hintIndex, round)
        case .snapshot(
            let index, let term, let members, let offset, let total, let chunk, let round):
            writer.byte(Kind.snapshot.rawValue)
            writer.numbers(index, term, offset, total, round)
            members.encode(into: &writer)
            writer.blob(chunk)
        case .snapshotReply(let index, let receivedBytes, let round):
            writer.byte(Kind.snapshotReply.rawValue)
            writer.numbers(index, receivedBytes, round)
        case .timeoutNow:
            writer.byte(Kind.timeoutNow.rawValue)
        }
    }

    /// Reads term, kind and content.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let term = try reader.varint()
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        self.init(term: term, try RaftMessage.content(of: kind, from: &reader))
    }

    private static func content(
        of kind: Kind, from reader: inout ByteReader
    ) throws(CodecError) -> Content {
        switch kind {
        case .preVoteRequest:
            let index = try reader.varint()
            return .preVoteRequest(lastIndex: index, lastTerm: try reader.varint())
        case .preVoteReply: return .preVoteReply(isGranted: try reader.bool())
        case .voteRequest:
            let index = try reader.varint()
            let term = try reader.varint()
            return .voteRequest(
                lastIndex: index, lastTerm: term, isTransfer: try reader.bool())
        case .voteReply: return .voteReply(isGranted: try reader.bool())
        case .append: return try append(from: &reader)
        case .appendReply:
            let matchIndex = try reader.varint()
            return .appendReply(matchIndex: matchIndex, round: try reader.varint())
        case .appendReject:
            let previousIndex = try reader.varint()
            let hintIndex = try reader.varint()
            return .appendReject(
                previousIndex: previousIndex, hintIndex: hintIndex, round: try reader.varint())
        case .snapshot: return try snapshot(from: &reader)
        case .snapshotReply:
            let index = try reader.varint()
            let receivedBytes = try reader.varint()
            return .snapshotReply(
                index: index, receivedBytes: receivedBytes, round: try reader.varint())
        case .timeoutNow: return .timeoutNow
        }
    }

    private static func append(from reader: inout ByteReader) throws(CodecError) -> Content {
        let index = try reader.varint()
        let term = try reader.varint()
        let commit = try reader.varint()
        let round = try reader.varint()
        let entries = try reader.list(max: entriesCountMax) { (reader) throws(CodecError) in
            try RaftEntry(from: &reader)
        }
        return .append(
            previousIndex: index, previousTerm: term, entries: entries, commit: commit,
            round: round)
    }

    private static func snapshot(from reader: inout ByteReader) throws(CodecError) -> Content {
        let index = try reader.varint()
        let term = try reader.varint()
        let offset = try reader.varint()
        let total = try reader.varint()
        let round = try reader.varint()
        let members = try RaftMembers(from: &reader)
        let chunk = Array(try reader.blob(max: chunkSizeBytesMax))
        return .snapshot(
            index: index, term: term, members: members, offset: offset, totalBytes: total,
            chunk: chunk, round: round)
    }
}

extension ByteWriter {
    fileprivate mutating func numbers(_ values: UInt64...) {
        for value in values { varint(value) }
    }
}
