import Model

/// The state of an application at a point of the log, in place of the entries before it.
package struct RaftSnapshot: Hashable, Sendable {
    /// The last entry that it covers; 0 for none.
    package var index: UInt64
    /// That entry's term.
    package var term: UInt64
    /// The members in force at that point.
    package var members: RaftMembers
    /// The application's state; opaque here.
    package var payload: [UInt8]

    /// The largest application state, in bytes.
    package static let payloadSizeBytesMax = 64 << 20
    /// The beginning of every log.
    package static let none = RaftSnapshot(
        index: 0, term: 0, members: RaftMembers(voters: []), payload: [])

    /// Makes a snapshot.
    package init(index: UInt64, term: UInt64, members: RaftMembers, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.members = members
        self.payload = payload
    }
}

/// The entries behind a snapshot.
struct RaftLog {
    private(set) var snapshot: RaftSnapshot
    private var entries: [RaftEntry]
    /// For each entry the size of all up to it, in bytes, counted from `compactedSizeBytes` on.
    private var endsBytes: [UInt64]
    /// The size of what was compacted away.
    private var compactedSizeBytes: UInt64 = 0

    /// The last index that a log may have; no sum with it overflows.
    static let indexMax = UInt64.max / 2

    init(snapshot: RaftSnapshot, entries: [RaftEntry]) {
        self.snapshot = snapshot
        self.entries = []
        endsBytes = []
        for entry in entries { append(entry) }
    }

    var lastIndex: UInt64 { snapshot.index + UInt64(entries.count) }
    var lastTerm: UInt64 { entries.last?.term ?? snapshot.term }
    var firstIndex: UInt64 { snapshot.index + 1 }

    /// The term of an entry; `nil` when it is compacted away or not there yet.
    func term(at index: UInt64) -> UInt64? {
        if index == snapshot.index { return snapshot.term }
        return entry(at: index)?.term
    }

    func entry(at index: UInt64) -> RaftEntry? {
        guard index >= firstIndex, index <= lastIndex else { return nil }
        return entries[Int(index - firstIndex)]
    }

    /// The entries from `index` on, as many as fit one message.
    func batch(from index: UInt64, countMax: Int) -> [RaftEntry] {
        guard index >= firstIndex, index <= lastIndex else { return [] }
        var batch: [RaftEntry] = []
        var sizeBytes = 0
        for entry in entries[Int(index - firstIndex)...] {
            sizeBytes += entry.sizeBytes
            if !batch.isEmpty, sizeBytes > RaftMessage.entriesSizeBytesMax { break }
            batch.append(entry)
            if batch.count >= countMax { break }
        }
        return batch
    }

    /// The size of the entries behind `index`, in bytes.
    func sizeBytes(after index: UInt64) -> UInt64 {
        guard index < lastIndex, let end = endsBytes.last else { return 0 }
        return end - (index < firstIndex ? compactedSizeBytes : endsBytes[Int(index - firstIndex)])
    }

    mutating func append(_ entry: RaftEntry) {
        endsBytes.append((endsBytes.last ?? compactedSizeBytes) + UInt64(entry.sizeBytes))
        entries.append(entry)
    }

    /// Removes the entries from `index` on; the snapshot stays.
    mutating func truncate(from index: UInt64) {
        precondition(index > snapshot.index, "a snapshot covers committed entries")
        guard index <= lastIndex else { return }
        entries.removeSubrange(Int(index - firstIndex)...)
        endsBytes.removeSubrange(Int(index - firstIndex)...)
    }

    /// Lets a snapshot stand for the entries up to its index.
    mutating func compact(into newer: RaftSnapshot) {
        precondition(newer.index >= snapshot.index, "compaction never goes back")
        let dropped = Int(min(newer.index, lastIndex) - snapshot.index)
        if dropped > 0 { compactedSizeBytes = endsBytes[dropped - 1] }
        entries = Array(entries[dropped...])
        endsBytes = Array(endsBytes[dropped...])
        snapshot = newer
    }

    /// Replaces everything by a leader's snapshot.
    mutating func replace(by newer: RaftSnapshot) {
        snapshot = newer
        entries = []
        endsBytes = []
        compactedSizeBytes = 0
    }

    /// The newest members that stand in the log, committed or not, and where.
    var newestMembers: (members: RaftMembers, index: UInt64) {
        for (offset, entry) in entries.enumerated().reversed() {
            if case .members(let members) = entry.content {
                return (members, firstIndex + UInt64(offset))
            }
        }
        return (snapshot.members, snapshot.index)
    }

    /// The members in force at `index`, which must not be compacted away.
    func members(at index: UInt64) -> RaftMembers {
        guard index > snapshot.index else { return snapshot.members }
        for entry in entries[..<Int(index - snapshot.index)].reversed() {
            if case .members(let members) = entry.content { return members }
        }
        return snapshot.members
    }
}
