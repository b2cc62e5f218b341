/// An amount of a machine: what a task asks for, and what a node has to give.
package struct Resources: Hashable, Sendable {
    /// Thousandths of a processor core, 0 or more.
    package var cpuMillis: UInt32
    /// Bytes of memory, 0 or more.
    package var memoryBytes: UInt64

    /// Nothing.
    package static let zero = Resources(cpuMillis: 0, memoryBytes: 0)

    /// Makes an amount.
    package init(cpuMillis: UInt32, memoryBytes: UInt64) {
        self.cpuMillis = cpuMillis
        self.memoryBytes = memoryBytes
    }

    /// The sum of both amounts; saturates, since amounts come from peers too.
    package static func + (left: Resources, right: Resources) -> Resources {
        let cpu = left.cpuMillis.addingReportingOverflow(right.cpuMillis)
        let memory = left.memoryBytes.addingReportingOverflow(right.memoryBytes)
        return Resources(
            cpuMillis: cpu.overflow ? .max : cpu.partialValue,
            memoryBytes: memory.overflow ? .max : memory.partialValue)
    }

    /// Tells whether this amount fits within `capacity` in every dimension.
    package func fits(within capacity: Resources) -> Bool {
        cpuMillis <= capacity.cpuMillis && memoryBytes <= capacity.memoryBytes
    }

    /// The largest share of `capacity` that this amount takes in any dimension.
    ///
    /// Source: Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011).
    package func dominantShare(of capacity: Resources) -> Double {
        let cpu = Double(cpuMillis) / Double(max(capacity.cpuMillis, 1))
        let memory = Double(memoryBytes) / Double(max(capacity.memoryBytes, 1))
        return max(cpu, memory)
    }
}
