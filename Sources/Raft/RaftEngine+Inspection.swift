import Model

/// What a member knows to be committed, for checkers that compare members.
extension RaftEngine {
    /// One committed entry, told apart from others by a short number for its content.
    package struct CommittedEntry: Hashable, Sendable {
        /// Its place in the log.
        package var index: UInt64
        /// The term of the leader that made it.
        package var term: UInt64
        /// A fingerprint of its encoding: equal contents have equal ones.
        package var print: UInt64
    }

    /// The committed entries behind `index` that are still in the log, in order; no-ops and changes
    /// of members are among them.
    package func committedEntries(after index: UInt64) -> [CommittedEntry] {
        let first = max(index, firstIndex - 1) + 1
        guard first <= commitIndex else { return [] }
        return (first...commitIndex).compactMap { index in
            log.entry(at: index).map { entry in
                CommittedEntry(index: index, term: entry.term, print: entry.print)
            }
        }
    }
}

extension RaftEntry {
    /// FNV-1a over the encoding.
    var print: UInt64 {
        encoded.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}
