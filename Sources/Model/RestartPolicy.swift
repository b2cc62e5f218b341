/// When a task is run again.
package enum RestartPolicy: Hashable, Sendable {
    /// Never, not even when its node is lost: then the task ends as `lost`.
    case never
    /// When its node is lost (the default).
    case onNodeLoss
    /// When its node is lost, or an attempt ends with a failure; after this many failures at most,
    /// 1 or more, or without a limit (`nil`).
    case onFailure(restartsMax: UInt32?)
    /// After every end, until it is canceled.
    case always
}

/// What happens to a running task whose node is cut off from the lock.
package enum PartitionPolicy: Hashable, Sendable {
    /// It is stopped when the lease ends, and may run again elsewhere.
    case rerun
    /// It goes on, and runs nowhere else until its node is back or forgotten.
    case wait
}

/// How an attempt ended, as far as its task's policy asks.
package enum AttemptEnd: Hashable, Sendable {
    /// With exit code zero.
    case success
    /// Otherwise, by its own doing.
    case failure
    /// Nobody knows: its node was lost.
    case loss
}

/// How often a task was tried.
package struct AttemptCount: Hashable, Sendable {
    /// Attempts so far, this one included; what never ran does not count.
    package var used: UInt32
    /// How many of the earlier ones ended with a failure.
    package var failures: UInt32

    /// Of the first attempt.
    package static let first = AttemptCount(used: 1, failures: 0)

    /// Makes a count.
    package init(used: UInt32, failures: UInt32) {
        self.used = used
        self.failures = failures
    }

    /// Of the attempt that follows one that ended so; `nil` for one that never ran.
    package func next(after end: AttemptEnd?) -> AttemptCount {
        guard let end else { return self }
        return AttemptCount(
            used: used == .max ? .max : used + 1,
            failures: end == .failure && failures < .max ? failures + 1 : failures)
    }
}

extension TaskSpec {
    /// Whether the task is run again when its attempt with this count ends so.
    package func runsAgain(after end: AttemptEnd, _ count: AttemptCount) -> Bool {
        if let attemptsMax, count.used >= attemptsMax { return false }
        return restart.allows(end, failures: count.failures)
    }
}

extension RestartPolicy {
    /// Whether another attempt follows one that ended so, after this many failures before.
    package func allows(_ end: AttemptEnd, failures: UInt32) -> Bool {
        switch (self, end) {
        case (.always, _): true
        case (.never, _): false
        case (.onNodeLoss, _): end == .loss
        case (.onFailure, .success): false
        case (.onFailure, .loss): true
        case (.onFailure(let restartsMax), .failure): restartsMax.map { failures < $0 } ?? true
        }
    }
}

extension RestartPolicy: WireCodable {
    /// Writes the policy's number, and its limit.
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .never: writer.byte(0)
        case .onNodeLoss: writer.byte(1)
        case .onFailure(let restartsMax):
            writer.byte(2)
            writer.varint(UInt64(restartsMax ?? 0))
        case .always: writer.byte(3)
        }
    }

    /// Reads a policy.
    package init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 0: self = .never
        case 1: self = .onNodeLoss
        case 2:
            let restartsMax = try reader.varint32()
            self = .onFailure(restartsMax: restartsMax == 0 ? nil : restartsMax)
        case 3: self = .always
        default: throw .malformed
        }
    }
}

extension AttemptCount: WireCodable {
    /// Writes both counts.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(used))
        writer.varint(UInt64(failures))
    }

    /// Reads both counts.
    package init(from reader: inout ByteReader) throws(CodecError) {
        used = try reader.varint32()
        failures = try reader.varint32()
    }
}
