package import Model

/// Everything that can happen to a node.
package enum NodeEvent: Sendable {
    /// Bytes from another node arrived; unverified, from anybody.
    case received([UInt8], from: PeerAddress, via: Channel)
    /// Everything in the write that the ticket names is on disk.
    case persisted(PersistTicket)
    /// The write that the ticket names did not happen, nor will it (disk full, I/O error).
    case persistFailed(PersistTicket, reason: String)
    /// The container runtime tells about a container.
    case container(ContainerID, ContainerEvent)
    /// A client asks for something; exactly one `reply` with this ID will follow.
    case request(RequestID, NodeRequest)
    /// An excerpt of a log of this node was read, or could not be (`nil`: there is no such log).
    case logRead(LogReadID, LogChunk?)
    /// The image store tells something.
    case image(ImageStoreEvent)
    /// A container of this node was measured, or could not be (`nil`: it does not run).
    case measured(MeasureID, UsageSample?)
    /// A call's command was carried out at this node, or was refused.
    case called(CallQueryID, CallAnswer)
    /// The wall clock shows this now; sent first of all, then at least once a minute.
    case wallClock(WallTime)
    /// How busy the machine really is; sent at least every few seconds.
    case pressure(MachinePressure)
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Names a request of a local client; drawn by the driver, unique in the process's life.
package struct RequestID: Hashable, Comparable, Sendable {
    /// The number.
    package var value: UInt64

    /// Makes a request ID.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by number.
    package static func < (left: RequestID, right: RequestID) -> Bool {
        left.value < right.value
    }
}

/// Names one reading of a log; drawn by the core.
package struct LogReadID: Hashable, Comparable, Sendable {
    /// The number.
    package var value: UInt64

    /// Makes a reading's ID.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by number.
    package static func < (left: LogReadID, right: LogReadID) -> Bool {
        left.value < right.value
    }
}

/// Names one measurement of a container; drawn by the core.
package struct MeasureID: Hashable, Sendable {
    /// The number.
    package var value: UInt64

    /// Makes a measurement's ID.
    package init(_ value: UInt64) {
        self.value = value
    }
}

/// Names one command of a call; drawn by the core.
package struct CallQueryID: Hashable, Sendable {
    /// The number.
    package var value: UInt64

    /// Makes a command's ID.
    package init(_ value: UInt64) {
        self.value = value
    }
}

/// How busy a machine really is, whoever keeps it so.
package struct MachinePressure: Hashable, Sendable {
    /// Memory that can still be had without swapping, in bytes.
    package var memoryAvailableBytes: UInt64
    /// Whether the disk that holds state has less room than it needs to go on safely.
    package var isDiskFull: Bool

    /// Makes a report.
    package init(memoryAvailableBytes: UInt64, isDiskFull: Bool) {
        self.memoryAvailableBytes = memoryAvailableBytes
        self.isDiskFull = isDiskFull
    }
}
