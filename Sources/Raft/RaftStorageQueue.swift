import Model

/// Gathers what one event changes on disk, and holds back messages until it is there.
struct RaftStorageQueue {
    /// What will be written at the end of the event.
    var write = RaftWrite()

    private struct Outstanding {
        var ticket: RaftTicket
        /// The first index that this write or a later one changes.
        var firstChangedIndex: UInt64
        var held: [(message: RaftMessage, receiver: NodeID)]
    }

    private var held: [(message: RaftMessage, receiver: NodeID)] = []
    private var outstanding: [Outstanding] = []
    private var lastTicket = RaftTicket(0)

    /// The first index whose entry may still be another one on disk; `UInt64.max` for none.
    ///
    /// An entry that was replaced while its write was under way, and has come back since, counts
    /// only once its last write is done: the ones between would remove it again.
    var firstUnwrittenIndex: UInt64 {
        min(write.firstChangedIndex, outstanding.first?.firstChangedIndex ?? .max)
    }

    /// Sends a message once everything that was changed so far is on disk.
    mutating func sendWhenDurable(_ message: RaftMessage, to receiver: NodeID) {
        held.append((message, receiver))
    }

    /// Ends the event: one write at most, and the messages that wait for nothing.
    mutating func flush(emit: (RaftEffect) -> Void) {
        if !write.isEmpty {
            enqueue()
            emit(.persist(write, lastTicket))
            write = RaftWrite()
        } else if outstanding.isEmpty {
            for (message, receiver) in held { emit(.send(message, to: receiver)) }
        } else {
            outstanding[outstanding.count - 1].held += held
        }
        held = []
    }

    private mutating func enqueue() {
        lastTicket = RaftTicket(lastTicket.value + 1)
        let first = write.firstChangedIndex
        for position in outstanding.indices.reversed() {
            guard outstanding[position].firstChangedIndex > first else { break }
            outstanding[position].firstChangedIndex = first
        }
        outstanding.append(
            Outstanding(ticket: lastTicket, firstChangedIndex: first, held: held))
    }

    /// Takes note that a write is on disk, and all before it; returns what may be sent now.
    mutating func complete(
        _ ticket: RaftTicket
    ) -> [(message: RaftMessage, receiver: NodeID)] {
        let done = outstanding.prefix { $0.ticket <= ticket }
        guard !done.isEmpty else { return [] }
        outstanding.removeFirst(done.count)
        return done.count == 1 ? done[0].held : done.flatMap(\.held)
    }
}

/// A snapshot of which not all parts have arrived yet.
struct RaftIncomingSnapshot {
    /// The term of the leader that sends it: another leader's parts may be cut otherwise.
    var leaderTerm: UInt64
    var index: UInt64
    var term: UInt64
    var totalBytes: UInt64
    var payload: [UInt8]
}
