/// One change to a node's durable store; the store is an ordered map per space.
package enum DurableWrite: Hashable, Sendable {
    /// Sets the value of a key.
    case put(DurableSpace, key: [UInt8], value: [UInt8])
    /// Removes a key; nothing happens when it is absent.
    case delete(DurableSpace, key: [UInt8])
    /// Removes every key from `from` (included) to `to` (excluded; `nil` for the space's end).
    case deleteRange(DurableSpace, from: [UInt8], to: [UInt8]?)
}

/// The parts of a node's durable store; the numbers stand on disk and never change their meaning.
package enum DurableSpace: UInt8, CaseIterable, Comparable, Sendable {
    /// Key material and genesis record.
    case identity = 1
    /// Admissions and known members.
    case membership = 2
    /// Task records, by task ID.
    case task = 3
    /// What was collected, and the table's causal context.
    case context = 4
    /// Raft log entries, by big-endian index.
    case raftLog = 5
    /// Raft's term and vote, and its snapshot.
    case raftState = 6
    /// The node's session, its lease and its tokens.
    case session = 7
    /// What the names of images stand for, by name.
    case images = 8

    /// Orders by number.
    package static func < (left: DurableSpace, right: DurableSpace) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Names a write, and comes back once everything in it is on disk; counts from 1 per boot.
package struct PersistTicket: Hashable, Comparable, Sendable {
    /// The count.
    package var value: UInt64

    /// Makes a ticket.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by time of issue.
    package static func < (left: PersistTicket, right: PersistTicket) -> Bool {
        left.value < right.value
    }
}

/// Everything that a node finds on its disk when it starts: each space's keys in rising order.
package struct DurableImage: Hashable, Sendable {
    /// One key and its value.
    package struct Row: Hashable, Sendable {
        /// The key.
        package var key: [UInt8]
        /// The value.
        package var value: [UInt8]

        /// Makes a row.
        package init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    private var spaces: [DurableSpace: [Row]] = [:]

    /// An empty disk.
    package init() {}

    /// The rows of a space; set them in rising order of their keys.
    package subscript(space: DurableSpace) -> [Row] {
        get { spaces[space] ?? [] }
        set { spaces[space] = newValue }
    }

    /// The value of a key, if it is there.
    package func value(of key: [UInt8], in space: DurableSpace) -> [UInt8]? {
        self[space].first { $0.key == key }?.value
    }
}
