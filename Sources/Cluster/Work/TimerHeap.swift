import Model

/// What is due when: a binary heap over (instant, order of insertion).
///
/// Nothing is ever canceled: whoever takes a due item out checks whether it still matters.
struct TimerHeap<Item: Sendable>: Sendable {
    private struct Entry: Sendable {
        var due: Instant
        var sequence: UInt64
        var item: Item

        func precedes(_ other: Entry) -> Bool {
            (due, sequence) < (other.due, other.sequence)
        }
    }

    private var entries: [Entry] = []
    private var inserted: UInt64 = 0

    /// When the next item is due.
    var next: Instant? { entries.first?.due }

    var count: Int { entries.count }

    /// Adds an item.
    mutating func insert(_ item: Item, due: Instant) {
        inserted += 1
        entries.append(Entry(due: due, sequence: inserted, item: item))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].precedes(entries[parent]) else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes out the first item that is due at `now`, if any.
    mutating func popDue(at now: Instant) -> Item? {
        guard let first = entries.first, first.due <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return first.item
    }

    /// Removes what is not wanted any more.
    mutating func keep(where isWanted: (Item) -> Bool) {
        // Sorted entries are a heap.
        entries = entries.filter { isWanted($0.item) }.sorted { $0.precedes($1) }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].precedes(entries[least]) {
                least = child
            }
            guard least != parent else { return }
            entries.swapAt(least, parent)
            parent = least
        }
    }
}
