import Model

/// Gathers what one event changes on disk, and holds back messages until it is there.
struct RaftStorageQueue {
    /// What will be written at the end of the event.
    var write = RaftWrite()
    /// The last entry that the write holds.
    var lastEntry: (index: UInt64, term: UInt64)?

    private struct Outstanding {
        var ticket: RaftTicket
        var lastEntry: (index: UInt64, term: UInt64)?
        var held: [(message: RaftMessage, receiver: NodeID)]
    }

    private var held: [(message: RaftMessage, receiver: NodeID)] = []
    private var outstanding: [Outstanding] = []
    private var lastTicket = RaftTicket(0)

    /// How many writes are under way.
    var outstandingCount: Int { outstanding.count }

    /// Sends a message once everything that was changed so far is on disk.
    mutating func sendWhenDurable(_ message: RaftMessage, to receiver: NodeID) {
        held.append((message, receiver))
    }

    /// Ends the event: one write at most, and the messages that wait for nothing.
    mutating func flush(emit: (RaftEffect) -> Void) {
        if !write.isEmpty {
            lastTicket = RaftTicket(lastTicket.value + 1)
            outstanding.append(
                Outstanding(ticket: lastTicket, lastEntry: lastEntry, held: held))
            emit(.persist(write, lastTicket))
            write = RaftWrite()
            lastEntry = nil
        } else if outstanding.isEmpty {
            for (message, receiver) in held { emit(.send(message, to: receiver)) }
        } else {
            outstanding[outstanding.count - 1].held += held
        }
        held = []
    }

    /// Takes note that a write is on disk: returns its last entry, and what may be sent now.
    mutating func complete(
        _ ticket: RaftTicket
    ) -> (
        lastEntries: [(index: UInt64, term: UInt64)],
        messages: [(message: RaftMessage, receiver: NodeID)]
    ) {
        let done = outstanding.prefix { $0.ticket <= ticket }
        outstanding.removeFirst(done.count)
        return (done.compactMap(\.lastEntry), done.flatMap(\.held))
    }
}

/// A snapshot of which not all parts have arrived yet.
struct RaftIncomingSnapshot {
    var index: UInt64
    var term: UInt64
    var totalBytes: UInt64
    var payload: [UInt8]
}
