package import Model

/// What a task has used up, as the API shows it.
package struct UsageView: Codable, Hashable, Sendable {
    /// Seconds on processors.
    package var cpuSeconds: Double
    /// The most memory that it had at a time, in bytes; 0 where the kernel does not tell.
    package var memoryPeak: UInt64
    /// Bytes read from disks.
    package var read: UInt64
    /// Bytes written to disks.
    package var written: UInt64

    enum CodingKeys: String, CodingKey {
        case read, written
        case cpuSeconds = "cpu_seconds"
        case memoryPeak = "memory_peak"
    }

    /// Makes a view.
    package init(_ usage: ResourceUsage) {
        cpuSeconds = Double(usage.cpuMicroseconds) / 1e6
        memoryPeak = usage.memoryPeakBytes
        read = usage.readBytes
        written = usage.writtenBytes
    }
}

/// What a running task uses at this moment, as the API shows it.
package struct StatsView: Codable, Hashable, Sendable {
    /// The task's ID.
    package var id: String
    /// The name of the node that runs it.
    package var node: String?
    /// What it has used so far.
    package var usage: UsageView
    /// Bytes of memory that it has now.
    package var memory: UInt64
    /// Bytes of memory that it may have.
    package var memoryLimit: UInt64
    /// Cores that it may use.
    package var cpus: Double
    /// How many processes and threads there are.
    package var pids: UInt32

    enum CodingKeys: String, CodingKey {
        case id, node, usage, memory, cpus, pids
        case memoryLimit = "memory_limit"
    }

    /// Makes a view.
    package init(id: String, node: String?, sample: UsageSample, limits: Resources) {
        self.id = id
        self.node = node
        usage = UsageView(sample.usage)
        memory = sample.memoryBytes
        memoryLimit = limits.memoryBytes
        cpus = Double(limits.cpuMillis) / 1_000
        pids = sample.processCount
    }
}
