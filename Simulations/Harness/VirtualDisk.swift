import Model

/// A machine's disk: what is committed survives everything, what is under way may be lost.
struct VirtualDisk {
    private var spaces: [DurableSpace: [[UInt8]: [UInt8]]] = [:]
    private(set) var pending: [(ticket: PersistTicket, writes: [DurableWrite])] = []

    /// Takes a write in; it is not on disk yet.
    mutating func submit(_ writes: [DurableWrite], _ ticket: PersistTicket) {
        pending.append((ticket, writes))
    }

    /// The oldest write reaches the disk.
    mutating func commitFirst() -> PersistTicket? {
        guard let first = pending.first else { return nil }
        pending.removeFirst()
        for write in first.writes { apply(write) }
        return first.ticket
    }

    /// The machine stops: the first `survivors` pending writes had reached the disk, unanswered.
    mutating func crash(survivors: Int) {
        for _ in 0..<min(survivors, pending.count) { _ = commitFirst() }
        pending = []
    }

    /// What a node finds when it starts.
    var image: DurableImage {
        var image = DurableImage()
        for (space, rows) in spaces {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        return image
    }

    private mutating func apply(_ write: DurableWrite) {
        switch write {
        case .put(let space, let key, let value): spaces[space, default: [:]][key] = value
        case .delete(let space, let key): spaces[space]?[key] = nil
        case .deleteRange(let space, let from, let to):
            spaces[space] = spaces[space]?.filter { key, _ in
                key.lexicographicallyPrecedes(from)
                    || to.map { !key.lexicographicallyPrecedes($0) } ?? false
            }
        }
    }
}
