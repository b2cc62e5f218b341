package import Model

/// What a node's database has lost, found when it was opened.
package struct DurableDamage: Hashable, Sendable {
    /// How many rows of each space could not be read; they are removed.
    package var rows: [DurableSpace: Int] = [:]
    /// The spaces of which the file itself had lost an unknown part.
    package var cut: Set<DurableSpace> = []
    /// Where the damaged file is kept, when a new one was made of what could be read.
    package var keptAs: String?

    /// No damage.
    package init() {}

    /// Whether everything was there.
    package var isNone: Bool { rows.isEmpty && cut.isEmpty }

    /// Whether something is missing of what a voter of the lock has promised.
    package var concernsLock: Bool {
        [DurableSpace.raftLog, .raftState, .session].contains {
            rows[$0] != nil || cut.contains($0)
        }
    }

    /// Whether the node no longer knows which cluster it belongs to.
    var concernsIdentity: Bool { rows[.identity] != nil || cut.contains(.identity) }

    /// What was found and what is done about it, a sentence each, for the log.
    package var sentences: [String] {
        guard !isNone else { return [] }
        var parts = rows.sorted { $0.key < $1.key }.map { space, count in
            "\(count) \(count == 1 ? "row" : "rows") of \(space)"
        }
        parts += cut.sorted().map { "an unknown part of \($0)" }
        var sentences = [
            "the node's database is damaged: \(parts.joined(separator: ", ")) can't be read and "
                + "\(parts.count == 1 ? "is" : "are") dropped"
                + (keptAs.map { "; the damaged file is kept as \($0)" } ?? "")
        ]
        let isTable = [DurableSpace.task, .context].contains { rows[$0] != nil || cut.contains($0) }
        if isTable {
            sentences.append("what is missing of the task table comes from the other nodes")
        }
        if concernsLock {
            sentences.append(
                "this node has no vote in the lock any more, since it does not know what it has "
                    + "promised: the others replace it, it goes on running tasks. To give it a vote "
                    + "again, let it leave and join anew with an empty data directory; if it was the "
                    + "only voter, run: daemon recover-lock")
        }
        return sentences
    }
}
