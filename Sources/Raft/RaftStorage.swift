package import Model

/// What a node must not forget besides the log: its term, and for whom it voted in it.
package struct RaftHardState: Hashable, Sendable {
    /// The newest term that the node has seen.
    package var term: UInt64
    /// The node's vote in that term.
    package var vote: NodeID?
    /// The entry by which this node ceased to vote, once it knows that this is committed.
    ///
    /// Until then it may be needed as a candidate still; see `RaftEngine.mayCampaign`.
    package var leftAtIndex: UInt64 = 0

    /// Before the first term.
    package static let initial = RaftHardState(term: 0, vote: nil)

    /// Makes a hard state.
    package init(term: UInt64, vote: NodeID?) {
        self.term = term
        self.vote = vote
    }
}

/// Names a write of the engine; counts from 1.
package struct RaftTicket: Hashable, Comparable, Sendable {
    /// The count.
    package var value: UInt64

    /// Makes a ticket.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by time of issue.
    package static func < (left: RaftTicket, right: RaftTicket) -> Bool {
        left.value < right.value
    }
}

/// One change to a node's durable log; performed whole and in order.
package struct RaftWrite: Hashable, Sendable {
    /// The new hard state, if it changed.
    package var hardState: RaftHardState?
    /// Replaces everything before it, and all entries when `dropsEntries`.
    package var snapshot: RaftSnapshot?
    /// Whether a leader's snapshot takes the place of the whole log.
    package var dropsEntries = false
    /// Removes the entries from here on, before `entries` are written.
    package var truncateFrom: UInt64?
    /// Entries to write, by index.
    package var entries: [(index: UInt64, entry: RaftEntry)] = []

    /// Makes an empty write.
    package init() {}

    var isEmpty: Bool {
        hardState == nil && snapshot == nil && truncateFrom == nil && entries.isEmpty
    }

    /// The first index at which the write changes the log; `UInt64.max` for none.
    var firstChangedIndex: UInt64 {
        if dropsEntries { return 1 }
        return min(truncateFrom ?? .max, entries.first?.index ?? .max)
    }

    /// Tells whether both writes are the same.
    package static func == (left: RaftWrite, right: RaftWrite) -> Bool {
        left.durableWrites == right.durableWrites
    }

    /// Hashes what would be written.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(durableWrites)
    }

    /// The write as changes to the node's store.
    package var durableWrites: [DurableWrite] {
        var writes: [DurableWrite] = []
        if let hardState {
            writes.append(
                .put(.raftState, key: RaftImage.hardStateKey, value: hardState.encoded))
        }
        if let snapshot {
            writes.append(.put(.raftState, key: RaftImage.snapshotKey, value: snapshot.encoded))
            let end = dropsEntries ? nil : RaftImage.key(of: snapshot.index + 1)
            writes.append(.deleteRange(.raftLog, from: RaftImage.key(of: 0), to: end))
        }
        if let truncateFrom {
            writes.append(
                .deleteRange(.raftLog, from: RaftImage.key(of: truncateFrom), to: nil))
        }
        for (index, entry) in entries {
            writes.append(.put(.raftLog, key: RaftImage.key(of: index), value: entry.encoded))
        }
        return writes
    }
}

/// What a node finds on its disk: hard state, snapshot and the entries behind it.
package struct RaftImage: Hashable, Sendable {
    /// Term and vote.
    package var hardState: RaftHardState
    /// The snapshot; `none` when there is none.
    package var snapshot: RaftSnapshot
    /// The entries behind the snapshot, without a gap.
    package var entries: [RaftEntry]

    static let hardStateKey: [UInt8] = [1]
    static let snapshotKey: [UInt8] = [2]

    /// The image of an empty disk.
    package static let empty = RaftImage(hardState: .initial, snapshot: .none, entries: [])

    /// Makes an image.
    package init(hardState: RaftHardState, snapshot: RaftSnapshot, entries: [RaftEntry]) {
        self.hardState = hardState
        self.snapshot = snapshot
        self.entries = entries
    }

    /// Reads the rows that `RaftWrite.durableWrites` left.
    ///
    /// - Throws: A `CodecError` when a row can't be read, or the entries have a gap.
    package init(restoring image: DurableImage) throws(CodecError) {
        self = .empty
        for row in image[.raftState] {
            switch row.key {
            case RaftImage.hardStateKey: hardState = try RaftHardState(decoding: row.value)
            case RaftImage.snapshotKey: snapshot = try RaftSnapshot(decoding: row.value)
            default: throw .malformed
            }
        }
        for row in image[.raftLog] {
            guard row.key == RaftImage.key(of: snapshot.index + UInt64(entries.count) + 1) else {
                throw .malformed
            }
            entries.append(try RaftEntry(decoding: row.value))
        }
    }

    /// The key of a log entry: eight bytes, big-endian, so that keys sort by index.
    static func key(of index: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed64(index)
        return writer.bytes
    }
}

extension RaftHardState: WireCodable {
    /// Writes the term, the vote if any, and where the node ceased to vote.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(term)
        writer.bool(vote != nil)
        vote?.encode(into: &writer)
        writer.varint(leftAtIndex)
    }

    /// Reads what was written.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let term = try reader.varint(max: RaftEngine.termMax)
        self.init(term: term, vote: try reader.bool() ? try NodeID(from: &reader) : nil)
        // An older disk does not have it.
        if reader.remaining > 0 { leftAtIndex = try reader.varint(max: RaftLog.indexMax) }
    }
}

extension RaftSnapshot: WireCodable {
    /// Writes index, term, members and payload.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(index)
        writer.varint(term)
        members.encode(into: &writer)
        writer.blob(payload)
    }

    /// Reads index, term, members and payload.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let index = try reader.varint(max: RaftLog.indexMax)
        let term = try reader.varint(max: RaftEngine.termMax)
        let members = try RaftMembers(from: &reader)
        let payload = Array(try reader.blob(max: RaftSnapshot.payloadSizeBytesMax))
        self.init(index: index, term: term, members: members, payload: payload)
    }
}
