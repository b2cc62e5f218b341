package import Model

/// The disk of one machine: what was synced survives everything else.
///
/// What goes together and in which order is `WriteQueue`'s to say, as in the daemon's store. A crash
/// leaves a prefix of what was not yet synced: writes are performed in order, each whole or not at
/// all.
package struct VirtualDisk: Sendable {
    private var spaces: [DurableSpace: Rows] = [:]
    private var queue: WriteQueue
    private var syncing: [WriteQueue.Write] = []
    /// Whether there is no room: writes fail until there is.
    package var isFull = false
    /// The share of syncs that fail though there is room, 0…1.
    package var failureShare = 0.0

    /// Makes an empty disk.
    package init(mutation: DriverMutation? = nil) {
        queue = WriteQueue(mutation: mutation)
    }

    /// Whether a sync is under way.
    package var isSyncing: Bool { !syncing.isEmpty }

    /// How many writes may be on disk without anybody having been told.
    package var unsyncedCount: Int { queue.unanswered.count }

    /// Takes in a write.
    package mutating func submit(_ changes: [DurableWrite], _ ticket: PersistTicket) {
        queue.submit(changes, ticket)
    }

    /// The core has been told of a failure.
    package mutating func resume(after failure: WriteQueue.Failure) {
        queue.resume(after: failure)
    }

    /// What the disk does next.
    package enum Next {
        /// A sync begins, to be ended by `finishSync` some time later; a broken driver answers now.
        case sync(premature: WriteQueue.Answer?)
        /// This is to be told.
        case tell(WriteQueue.Answer)
    }

    /// What is to be done now; `nil` while a sync is under way or nothing waits.
    package mutating func next() -> Next? {
        switch queue.next() {
        case .perform(let writes):
            syncing = writes
            return .sync(premature: queue.prematureAnswer)
        case .tell(let answer): return .tell(answer)
        case nil: return nil
        }
    }

    /// The sync under way ends.
    ///
    /// - Parameter fails: Whether it fails although there is room.
    /// - Returns: What is to be told.
    package mutating func finishSync(fails: Bool = false) -> WriteQueue.Answer {
        let done = syncing
        syncing = []
        guard !isFull, !fails else { return queue.finish("no space left on device") }
        for write in done { perform(write.changes) }
        return queue.finish(nil)
    }

    /// The daemon or the machine stops: of the unsynced writes, the first `survivors` are on disk.
    package mutating func crash(survivors: Int) {
        if !isFull { queue.unanswered.prefix(survivors).forEach { perform($0.changes) } }
        syncing = []
        queue.forget()
    }

    /// The disk is lost, and a new one takes its place.
    package mutating func wipe() {
        spaces = [:]
        isFull = false
        failureShare = 0
        syncing = []
        queue.forget()
    }

    /// What is on the disk now, as a disk of its own.
    package var copy: VirtualDisk {
        var copy = self
        copy.wipe()
        copy.spaces = spaces
        return copy
    }

    /// The value that is on disk for a key.
    package subscript(space: DurableSpace, key: [UInt8]) -> [UInt8]? { spaces[space]?[key] }

    /// What a daemon finds when it starts.
    package var image: DurableImage {
        var image = DurableImage()
        for (space, rows) in spaces { image[space] = rows.inOrder }
        return image
    }

    private mutating func perform(_ writes: [DurableWrite]) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value):
                spaces[space, default: Rows()][key] = value
            case .delete(let space, let key): spaces[space]?[key] = nil
            case .deleteRange(let space, let from, let to): spaces[space]?.delete(from, to)
            }
        }
    }
}

/// The rows of a space; ranges of them are found without looking at all.
private struct Rows: Sendable {
    private var values: [[UInt8]: [UInt8]] = [:]
    /// The keys in order.
    private var keys: [[UInt8]] = []

    subscript(key: [UInt8]) -> [UInt8]? {
        get { values[key] }
        set {
            if let newValue {
                guard values.updateValue(newValue, forKey: key) == nil else { return }
                keys.insert(key, at: place(of: key))
            } else if values.removeValue(forKey: key) != nil {
                keys.remove(at: place(of: key))
            }
        }
    }

    var inOrder: [DurableImage.Row] {
        keys.compactMap { key in
            values[key].map { DurableImage.Row(key: key, value: $0) }
        }
    }

    /// Drops the keys from the first up to the second, or to the end.
    mutating func delete(_ from: [UInt8], _ to: [UInt8]?) {
        let first = place(of: from)
        let end = max(first, to.map(place) ?? keys.count)
        for key in keys[first..<end] { values[key] = nil }
        keys.removeSubrange(first..<end)
    }

    /// How many keys come before this one.
    private func place(of key: [UInt8]) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].lexicographicallyPrecedes(key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
