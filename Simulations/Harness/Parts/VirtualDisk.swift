package import Model

/// The disk of one machine: what was synced survives everything else.
///
/// Writes gather while a sync is under way and go together in the next one. A crash leaves a
/// prefix of what was not yet synced: writes are performed in order, each whole or not at all.
package struct VirtualDisk: Sendable {
    /// One write and the ticket that names it.
    private struct Pending: Sendable {
        var ticket: PersistTicket
        var writes: [DurableWrite]
    }

    private var spaces: [DurableSpace: [[UInt8]: [UInt8]]] = [:]
    private var syncing: [Pending] = []
    private var waiting: [Pending] = []
    /// Whether there is no room: writes fail until there is.
    package var isFull = false

    /// Makes an empty disk.
    package init() {}

    /// Whether a sync is under way.
    package var isSyncing: Bool { !syncing.isEmpty }

    /// How many writes are not on disk yet.
    package var unsyncedCount: Int { syncing.count + waiting.count }

    /// Takes in a write; begins a sync when none is under way.
    ///
    /// - Returns: Whether a sync begins, to be ended by `finishSync` some time later.
    package mutating func submit(_ writes: [DurableWrite], _ ticket: PersistTicket) -> Bool {
        let write = Pending(ticket: ticket, writes: writes)
        guard syncing.isEmpty else {
            waiting.append(write)
            return false
        }
        syncing = [write]
        return true
    }

    /// The sync under way ends; the next one begins with what has gathered (see `isSyncing`).
    ///
    /// - Returns: The writes that are answered, in order. On a full disk all have failed, those
    ///   that waited too: a later write never stands without the earlier ones.
    package mutating func finishSync() -> (tickets: [PersistTicket], haveFailed: Bool) {
        let done = isFull ? syncing + waiting : syncing
        syncing = isFull ? [] : waiting
        waiting = []
        if !isFull { done.forEach { perform($0.writes) } }
        return (done.map(\.ticket), isFull)
    }

    /// The daemon or the machine stops: of the unsynced writes, the first `survivors` are on disk.
    package mutating func crash(survivors: Int) {
        let unsynced = syncing + waiting
        if !isFull { unsynced.prefix(survivors).forEach { perform($0.writes) } }
        syncing = []
        waiting = []
    }

    /// The disk is lost, and a new one takes its place.
    package mutating func wipe() {
        self = VirtualDisk()
    }

    /// The value that is on disk for a key.
    package subscript(space: DurableSpace, key: [UInt8]) -> [UInt8]? { spaces[space]?[key] }

    /// What a daemon finds when it starts.
    package var image: DurableImage {
        var image = DurableImage()
        for (space, rows) in spaces {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        return image
    }

    private mutating func perform(_ writes: [DurableWrite]) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value):
                spaces[space, default: [:]][key] = value
            case .delete(let space, let key):
                spaces[space]?[key] = nil
            case .deleteRange(let space, let from, let to):
                let doomed = (spaces[space] ?? [:]).keys.filter { key in
                    !key.lexicographicallyPrecedes(from)
                        && (to.map { key.lexicographicallyPrecedes($0) } ?? true)
                }
                for key in doomed { spaces[space]?[key] = nil }
            }
        }
    }
}
