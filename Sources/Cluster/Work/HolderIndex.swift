import Model

/// Which node holds how much, according to the table; kept up with every change of a record.
struct HolderIndex {
    /// What one node's tasks add up to.
    struct Usage {
        /// How many tasks it runs or has claimed.
        var count = 0
        /// Thousandths of cores; wide, since records come from peers.
        var cpuMillis: UInt64 = 0
        /// Bytes of memory, wrapping: additions and subtractions always come in pairs.
        var memoryBytes: UInt64 = 0

        var resources: Resources {
            Resources(cpuMillis: UInt32(clamping: cpuMillis), memoryBytes: memoryBytes)
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
            usages[known.node]?.count -= 1
            usages[known.node]?.cpuMillis &-= UInt64(known.resources.cpuMillis)
            usages[known.node]?.memoryBytes &-= known.resources.memoryBytes
            tasksByNode[known.node]?.remove(task)
        }
        holders[task] = nil
        guard let holder else { return }
        holders[task] = (holder, resources)
        usages[holder, default: Usage()].count += 1
        usages[holder, default: Usage()].cpuMillis &+= UInt64(resources.cpuMillis)
        usages[holder, default: Usage()].memoryBytes &+= resources.memoryBytes
        tasksByNode[holder, default: []].insert(task)
    }
}
