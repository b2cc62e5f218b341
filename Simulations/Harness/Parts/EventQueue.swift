/// Events in virtual time: the earliest comes out first, and of one instant the oldest.
///
/// A heap with four children per place over keys of 16 bytes; the events themselves stay where
/// they are until they come out. Measured: README of the simulator, `simulate queue`.
package struct EventQueue<Event> {
    /// Orders by time, then by the count of insertions, which fills the upper bits of `place`.
    private struct Key {
        var time: Int64
        var place: UInt64

        func precedes(_ other: Key) -> Bool {
            time == other.time ? place < other.place : time < other.time
        }
    }

    private var heap: ContiguousArray<Key> = []
    private var slots: ContiguousArray<Event?> = []
    private var free: ContiguousArray<Int> = []
    private var insertions: UInt64 = 0

    /// How many events can wait at a time.
    package static var countMax: Int { 1 << slotBits }
    private static var slotBits: Int { 24 }
    private static var fanout: Int { 4 }

    /// Makes an empty queue.
    package init() {}

    /// How many events wait.
    package var count: Int { heap.count }

    /// When the first event is due, in nanoseconds of virtual time; `nil` when there is none.
    package var firstTime: Int64? { heap.first?.time }

    /// Adds an event; traps when `countMax` events wait already, since no scenario needs so many.
    package mutating func insert(_ event: Event, at time: Int64) {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            slots[slot] = event
        } else {
            slot = slots.count
            precondition(slot < Self.countMax, "too many events wait: does a loop feed itself?")
            slots.append(event)
        }
        insertions += 1
        let key = Key(time: time, place: insertions << Self.slotBits | UInt64(slot))
        heap.append(key)
        rise(key, from: heap.count - 1)
    }

    /// Takes out the first event.
    package mutating func popFirst() -> (time: Int64, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        let slot = Int(first.place & UInt64(Self.countMax - 1))
        guard let event = slots[slot].take() else { preconditionFailure("an event is missing") }
        free.append(slot)
        return (first.time, event)
    }

    private mutating func rise(_ key: Key, from bottom: Int) {
        var hole = bottom
        while hole > 0 {
            let parent = (hole - 1) / Self.fanout
            guard key.precedes(heap[parent]) else { break }
            heap[hole] = heap[parent]
            hole = parent
        }
        heap[hole] = key
    }

    private mutating func sink(_ key: Key) {
        let count = heap.count
        var hole = 0
        while true {
            let first = Self.fanout * hole + 1
            guard first < count else { break }
            var least = first
            var child = first + 1
            let end = min(first + Self.fanout, count)
            while child < end {
                if heap[child].precedes(heap[least]) { least = child }
                child += 1
            }
            guard heap[least].precedes(key) else { break }
            heap[hole] = heap[least]
            hole = least
        }
        heap[hole] = key
    }
}
