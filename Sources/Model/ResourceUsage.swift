/// What the processes of a task have used up.
package struct ResourceUsage: Hashable, Sendable {
    /// Time on processors, in microseconds.
    package var cpuMicroseconds: UInt64
    /// The most memory that they had at a time, in bytes; 0 where the kernel does not tell.
    package var memoryPeakBytes: UInt64
    /// Bytes that they read from disks.
    package var readBytes: UInt64
    /// Bytes that they wrote to disks.
    package var writtenBytes: UInt64

    /// Makes a report.
    package init(
        cpuMicroseconds: UInt64, memoryPeakBytes: UInt64, readBytes: UInt64, writtenBytes: UInt64
    ) {
        self.cpuMicroseconds = cpuMicroseconds
        self.memoryPeakBytes = memoryPeakBytes
        self.readBytes = readBytes
        self.writtenBytes = writtenBytes
    }
}

extension ResourceUsage: WireCodable {
    /// Writes four numbers.
    package func encode(into writer: inout ByteWriter) {
        for number in [cpuMicroseconds, memoryPeakBytes, readBytes, writtenBytes] {
            writer.varint(number)
        }
    }

    /// Reads four numbers.
    package init(from reader: inout ByteReader) throws(CodecError) {
        cpuMicroseconds = try reader.varint()
        memoryPeakBytes = try reader.varint()
        readBytes = try reader.varint()
        writtenBytes = try reader.varint()
    }
}

/// What the processes of a task use at this moment.
package struct UsageSample: Hashable, Sendable {
    /// What they have used so far.
    package var usage: ResourceUsage
    /// The memory that they have now, in bytes.
    package var memoryBytes: UInt64
    /// How many processes and threads there are.
    package var processCount: UInt32

    /// Makes a sample.
    package init(usage: ResourceUsage, memoryBytes: UInt64, processCount: UInt32) {
        self.usage = usage
        self.memoryBytes = memoryBytes
        self.processCount = processCount
    }
}

extension UsageSample: WireCodable {
    /// Writes all numbers.
    package func encode(into writer: inout ByteWriter) {
        usage.encode(into: &writer)
        writer.varint(memoryBytes)
        writer.varint(UInt64(processCount))
    }

    /// Reads all numbers.
    package init(from reader: inout ByteReader) throws(CodecError) {
        usage = try ResourceUsage(from: &reader)
        memoryBytes = try reader.varint()
        processCount = try reader.varint32()
    }
}
