import Model

/// Which node holds how much, according to the table; kept up with every change of a record.
struct HolderIndex: Sendable {
    /// What one node's tasks add up to.
    struct Usage: Sendable {
        /// How many tasks it runs or has claimed.
        var count = 0
        /// Thousandths of cores; wide, since records come from peers.
        var cpuMillis: UInt64 = 0
        /// Bytes of memory; wraps without harm, since what is added is subtracted again.
        var memoryBytes: UInt64 = 0

        var resources: Resources {
            Resources(cpuMillis: UInt32(clamping: cpuMillis), memoryBytes: memoryBytes)
        }

        /// Counts one more task.
        mutating func add(_ resources: Resources) {
            count += 1
            cpuMillis &+= UInt64(resources.cpuMillis)
            memoryBytes &+= resources.memoryBytes
        }

        /// Counts one task less; what was added must be subtracted once.
        mutating func subtract(_ resources: Resources) {
            count -= 1
            cpuMillis &-= UInt64(resources.cpuMillis)
            memoryBytes &-= resources.memoryBytes
        }
    }

    private var holders: [TaskID: (node: NodeID, resources: Resources)] = [:]
    private var usages: [NodeID: Usage] = [:]
    private var tasksByNode: [NodeID: Set<TaskID>] = [:]

    /// What `node` holds.
    subscript(node: NodeID) -> Usage { usages[node] ?? Usage() }

    /// The tasks that `node` holds, sorted.
    func tasks(of node: NodeID) -> [TaskID] { (tasksByNode[node] ?? []).sorted() }

    /// Takes note of who holds a task now; `nil` for nobody.
    mutating func update(_ task: TaskID, holder: NodeID?, resources: Resources) {
        if let known = holders[task] {
            if known.node == holder { return }
            usages[known.node]?.subtract(known.resources)
            tasksByNode[known.node]?.remove(task)
        }
        holders[task] = nil
        guard let holder else { return }
        holders[task] = (holder, resources)
        usages[holder, default: Usage()].add(resources)
        tasksByNode[holder, default: []].insert(task)
    }
}
