package import Model

extension LockOperation: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .openSession(let session, let kept, let last, let machine):
            writer.byte(1)
            session.encode(into: &writer)
            writer.list(kept) { $1.encode(into: &$0) }
            writer.optional(last) { $1.encode(into: &$0) }
            machine.encode(into: &writer)
        case .expireSession(let session):
            writer.byte(2)
            session.encode(into: &writer)
        case .acquire(let request, let session):
            writer.byte(3)
            request.encode(into: &writer)
            session.encode(into: &writer)
        case .release(let claim, let end, let notBefore):
            writer.byte(4)
            claim.encode(into: &writer)
            writer.byte(end.map { $0.code } ?? 0)
            writer.varint(UInt64(clamping: notBefore.nanoseconds))
        case .close(let task, let token, let outcome, let birth):
            writer.byte(5)
            task.encode(into: &writer)
            writer.optional(token) { $1.encode(into: &$0) }
            outcome.encode(into: &writer)
            writer.optional(birth) { $1.encode(into: &$0) }
        case .forget(let node):
            writer.byte(6)
            node.encode(into: &writer)
        case .collect(let dots):
            writer.byte(7)
            writer.list(dots) { $1.encode(into: &$0) }
        case .setLeaseLength(let length):
            writer.byte(8)
            writer.varint(UInt64(clamping: length.nanoseconds))
        case .settleLeaseLength:
            writer.byte(9)
        case .endRecovery:
            writer.byte(10)
        case .amend(let change):
            writer.byte(11)
            change.encode(into: &writer)
        }
    }

    /// The most claims that a session keeps when it is opened; with the other operations of its
    /// request they fit one log entry.
    static let keptMax = 4_096
    /// The most birth dots in one operation.
    static let dotsMax = 1_024

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1:
            let session = try SessionID(from: &reader)
            let kept = try reader.list(max: LockOperation.keptMax) {
                (reader) throws(CodecError) in try ContainerID(from: &reader)
            }
            let last = try reader.optional { (reader) throws(CodecError) in
                try SessionID(from: &reader)
            }
            self = .openSession(
                session, keeping: kept, after: last, on: try MachineID(from: &reader))
        case 2: self = .expireSession(try SessionID(from: &reader))
        case 3:
            let request = try AcquireRequest(from: &reader)
            self = .acquire(request, try SessionID(from: &reader))
        case 4:
            let claim = try ContainerID(from: &reader)
            let end = try AttemptEnd.read(from: &reader)
            self = .release(claim, after: end, notBefore: try reader.duration())
        case 5:
            let task = try TaskID(from: &reader)
            let token = try reader.optional { (reader) throws(CodecError) in
                try FencingToken(from: &reader)
            }
            let outcome = try TaskOutcome(from: &reader)
            let birth = try reader.optional { (reader) throws(CodecError) in
                try BirthDot(from: &reader)
            }
            self = .close(task, token, outcome, birth: birth)
        case 6: self = .forget(try NodeID(from: &reader))
        case 7:
            self = .collect(
                try reader.list(max: LockOperation.dotsMax) { (reader) throws(CodecError) in
                    try BirthDot(from: &reader)
                })
        case 8: self = .setLeaseLength(try reader.leaseLength())
        case 9: self = .settleLeaseLength
        case 10: self = .endRecovery
        case 11: self = .amend(try Amendment.Change(from: &reader))
        default: throw .malformed
        }
    }
}

extension AcquireRequest: WireCodable {
    /// Writes task, birth and policies.
    package func encode(into writer: inout ByteWriter) {
        task.encode(into: &writer)
        birth.encode(into: &writer)
        restart.encode(into: &writer)
        writer.varint(UInt64(attemptsMax ?? 0))
        writer.bool(onPartition == .wait)
    }

    /// Reads task, birth and policies.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let task = try TaskID(from: &reader)
        let birth = try BirthDot(from: &reader)
        let restart = try RestartPolicy(from: &reader)
        let attemptsMax = try reader.varint32()
        self.init(
            task: task, birth: birth, restart: restart,
            attemptsMax: attemptsMax == 0 ? nil : attemptsMax,
            onPartition: try reader.bool() ? .wait : .rerun)
    }
}

extension AttemptEnd {
    /// Zero stands for an attempt that never ran.
    fileprivate var code: UInt8 {
        switch self {
        case .success: 1
        case .failure: 2
        case .loss: 3
        }
    }

    fileprivate static func read(
        from reader: inout ByteReader
    ) throws(CodecError) -> AttemptEnd? {
        switch try reader.byte() {
        case 0: return nil
        case 1: return .success
        case 2: return .failure
        case 3: return .loss
        default: throw .malformed
        }
    }
}

extension LockResult: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .done: writer.byte(0)
        case .opened(let kept, let leaseLength, let elsewhere):
            writer.byte(1)
            writer.list(kept) { $1.encode(into: &$0) }
            writer.varint(UInt64(clamping: leaseLength.nanoseconds))
            writer.varint(UInt64(elsewhere))
        case .granted(let token, let count):
            writer.byte(2)
            token.encode(into: &writer)
            count.encode(into: &writer)
        case .held(let node, let token, let session):
            writer.byte(3)
            node.encode(into: &writer)
            token.encode(into: &writer)
            session.encode(into: &writer)
        case .closed(let outcome, let token):
            writer.byte(4)
            outcome.encode(into: &writer)
            writer.optional(token) { $1.encode(into: &$0) }
        case .resting(let rest):
            writer.byte(5)
            writer.varint(UInt64(clamping: rest.nanoseconds))
        case .collected: writer.byte(6)
        case .noSession: writer.byte(7)
        case .alive: writer.byte(8)
        case .succeeds(let last):
            writer.byte(9)
            writer.optional(last) { $1.encode(into: &$0) }
        case .full: writer.byte(10)
        case .overtaken: writer.byte(11)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 0: self = .done
        case 1:
            let kept = try reader.list(max: LockOperation.keptMax) {
                (reader) throws(CodecError) in try ContainerID(from: &reader)
            }
            let leaseLength = try reader.leaseLength()
            self = .opened(
                kept: kept, leaseLength: leaseLength, elsewhere: try reader.varint32())
        case 2:
            let token = try FencingToken(from: &reader)
            self = .granted(token, try AttemptCount(from: &reader))
        case 3:
            let node = try NodeID(from: &reader)
            let token = try FencingToken(from: &reader)
            self = .held(node, token, try SessionID(from: &reader))
        case 4:
            let outcome = try TaskOutcome(from: &reader)
            let token = try reader.optional { (reader) throws(CodecError) in
                try FencingToken(from: &reader)
            }
            self = .closed(outcome, token)
        case 5: self = .resting(try reader.duration())
        case 6: self = .collected
        case 7: self = .noSession
        case 8: self = .alive
        case 9:
            self = .succeeds(
                try reader.optional { (reader) throws(CodecError) in
                    try SessionID(from: &reader)
                })
        case 10: self = .full
        case 11: self = .overtaken
        default: throw .malformed
        }
    }
}

extension LockRequest: WireCodable {
    func encode(into writer: inout ByteWriter) {
        client.encode(into: &writer)
        boot.encode(into: &writer)
        writer.varint(sequence)
        writer.list(operations) { $1.encode(into: &$0) }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        client = try NodeID(from: &reader)
        boot = try BootID(from: &reader)
        sequence = try reader.varint()
        operations = try reader.list(max: LockConfiguration.operationsMax) {
            (reader) throws(CodecError) in try LockOperation(from: &reader)
        }
    }
}

extension LockEntryPayload: WireCodable {
    func encode(into writer: inout ByteWriter) {
        writer.varint(stamp)
        request.encode(into: &writer)
        writer.varint(leaseRest)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        stamp = try reader.varint()
        request = try LockRequest(from: &reader)
        leaseRest = try reader.varint()
    }
}

extension ByteWriter {
    /// Writes whether there is a value, then the value.
    mutating func optional<Value>(
        _ value: Value?, _ write: (inout ByteWriter, Value) -> Void
    ) {
        bool(value != nil)
        if let value { write(&self, value) }
    }
}

extension ByteReader {
    /// Reads whether there is a value, then the value.
    mutating func optional<Value>(
        _ read: (inout ByteReader) throws(CodecError) -> Value
    ) throws(CodecError) -> Value? {
        try bool() ? try read(&self) : nil
    }

    /// Reads the length of a lease.
    mutating func leaseLength() throws(CodecError) -> Duration {
        let length = try duration()
        guard length <= LockConfiguration.leaseLengthMax else { throw .outOfBounds }
        return length
    }

    /// Reads a duration of nanoseconds that is not negative.
    mutating func duration() throws(CodecError) -> Duration {
        .nanoseconds(Int64(try varint(max: UInt64(Int64.max))))
    }
}
