/// The tasks that were collected last, by ID.
///
/// Births tell for ever what was collected, but a task that two sides of a partition took in has one
/// on each side: the side that comes back knows another birth than the one that was collected. This
/// many of the last ones are known by their ID as well; the oldest goes first.
package struct CollectedTasks: Sendable {
    private var members: Set<TaskID> = []
    /// In order of arrival, from `oldest` on and around.
    private var ring: [TaskID] = []
    private var oldest = 0

    /// The most that are remembered: one mebibyte of a snapshot.
    package static let countMax = 65_536

    /// Makes a memory of nothing.
    package init() {}

    /// How many are remembered.
    package var count: Int { ring.count }

    /// Whether a task is remembered.
    package func contains(_ task: TaskID) -> Bool { members.contains(task) }

    /// Remembers a task, in the oldest one's place when there are as many as there may be.
    package mutating func insert(_ task: TaskID) {
        guard members.insert(task).inserted else { return }
        guard ring.count >= CollectedTasks.countMax else { return ring.append(task) }
        members.remove(ring[oldest])
        ring[oldest] = task
        oldest = (oldest + 1) % ring.count
    }

    /// The oldest first.
    private var inOrder: [TaskID] { Array(ring[oldest...] + ring[..<oldest]) }
}

extension CollectedTasks: Hashable {
    /// Tells whether both remember the same in the same order.
    package static func == (left: CollectedTasks, right: CollectedTasks) -> Bool {
        left.inOrder == right.inOrder
    }

    /// Mixes the tasks in their order.
    package func hash(into hasher: inout Hasher) { hasher.combine(inOrder) }
}

extension CollectedTasks: WireCodable {
    /// Writes the tasks, the oldest first.
    package func encode(into writer: inout ByteWriter) {
        writer.list(inOrder) { $1.encode(into: &$0) }
    }

    /// Reads as many tasks as the bound says at most, each once.
    package init(from reader: inout ByteReader) throws(CodecError) {
        self.init()
        let tasks = try reader.list(max: CollectedTasks.countMax) { (reader) throws(CodecError) in
            try TaskID(from: &reader)
        }
        for task in tasks { insert(task) }
        guard count == tasks.count else { throw .notCanonical }
    }
}
