import Model

/// What nodes say to each other beyond membership: the payload of a verified packet.
enum PeerMessage {
    /// For the task table.
    case table(ArraySlice<UInt8>)
    /// For the lock.
    case lock(ArraySlice<UInt8>)
    /// Read a log of yours from there on; wait for output when there is none yet.
    case logQuery(LogQuery)
    /// What a log query gave; `nil` when there is no such log.
    case logAnswer(LogReadID, LogChunk?)
    /// Keep this excerpt of the end of a log of mine.
    case logCopy(ContainerID, LogChunk)
    /// The copy of a log of yours goes so far.
    case logKept(ContainerID, LogCursor)
    /// Read the copy that you may keep of that log; answered by `logAnswer`.
    case copyQuery(LogReadID, ContainerID, LogStart)
    /// Measure a container of yours.
    case usageQuery(MeasureID, ContainerID)
    /// What a measurement gave; `nil` when there is no such container.
    case usageAnswer(MeasureID, UsageSample?)
    /// Carry out a call's command at a container of yours; the number is that of the call.
    case callQuery(CallQueryID, ContainerID, number: UInt64, CallCommand)
    /// What came of a call's command.
    case callAnswer(CallQueryID, CallAnswer)
    /// Send a signal to a container of yours.
    case signal(ContainerID, Int32)
    /// The lock expired a session of this node: its claims up to the token are void.
    case gone(NodeID, FencingToken)
    /// About images.
    case image(ArraySlice<UInt8>)

    /// A question for another node's log.
    struct LogQuery {
        var read: LogReadID
        var container: ContainerID
        var start: LogStart
        var waitAtMost: Duration
    }

    private enum Kind: UInt8 {
        case table = 1
        case lock = 2
        case logQuery = 3
        case logAnswer = 4
        case signal = 5
        case gone = 6
        case logCopy = 7
        case logKept = 8
        case copyQuery = 9
        case usageQuery = 20
        case usageAnswer = 21
        case callQuery = 30
        case callAnswer = 31
        case image = 40
    }

    /// The longest wait that a peer may ask for.
    static let waitMax: Duration = .seconds(30)

    /// The payload that carries table, lock or image bytes.
    static func wrap(table bytes: [UInt8]) -> [UInt8] { [Kind.table.rawValue] + bytes }
    static func wrap(lock bytes: [UInt8]) -> [UInt8] { [Kind.lock.rawValue] + bytes }
    static func wrap(image bytes: [UInt8]) -> [UInt8] { [Kind.image.rawValue] + bytes }

    /// The whole payload.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .table(let bytes):
            writer.byte(Kind.table.rawValue)
            writer.raw(bytes)
        case .lock(let bytes):
            writer.byte(Kind.lock.rawValue)
            writer.raw(bytes)
        case .image(let bytes):
            writer.byte(Kind.image.rawValue)
            writer.raw(bytes)
        case .logQuery(let query):
            writer.byte(Kind.logQuery.rawValue)
            writer.varint(query.read.value)
            query.container.encode(into: &writer)
            query.start.encode(into: &writer)
            writer.varint(UInt64(clamping: query.waitAtMost.nanoseconds))
        case .logAnswer(let read, let chunk):
            writer.byte(Kind.logAnswer.rawValue)
            writer.varint(read.value)
            writer.bool(chunk != nil)
            chunk?.encode(into: &writer)
        case .logCopy(let container, let chunk):
            writer.byte(Kind.logCopy.rawValue)
            container.encode(into: &writer)
            chunk.encode(into: &writer)
        case .logKept(let container, let cursor):
            writer.byte(Kind.logKept.rawValue)
            container.encode(into: &writer)
            cursor.encode(into: &writer)
        case .copyQuery(let read, let container, let start):
            writer.byte(Kind.copyQuery.rawValue)
            writer.varint(read.value)
            container.encode(into: &writer)
            start.encode(into: &writer)
        case .usageQuery(let id, let container):
            writer.byte(Kind.usageQuery.rawValue)
            writer.varint(id.value)
            container.encode(into: &writer)
        case .usageAnswer(let id, let sample):
            writer.byte(Kind.usageAnswer.rawValue)
            writer.varint(id.value)
            writer.bool(sample != nil)
            sample?.encode(into: &writer)
        case .callQuery(let id, let container, let number, let command):
            writer.byte(Kind.callQuery.rawValue)
            writer.varint(id.value)
            container.encode(into: &writer)
            writer.varint(number)
            command.encode(into: &writer)
        case .callAnswer(let id, let answer):
            writer.byte(Kind.callAnswer.rawValue)
            writer.varint(id.value)
            answer.encode(into: &writer)
        case .signal(let container, let signal):
            writer.byte(Kind.signal.rawValue)
            container.encode(into: &writer)
            writer.signed(Int64(signal))
        case .gone(let node, let token):
            writer.byte(Kind.gone.rawValue)
            node.encode(into: &writer)
            token.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Reads a payload; throws on anything that is not one.
    init(decoding payload: [UInt8]) throws(CodecError) {
        var reader = ByteReader(payload)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        switch kind {
        case .table: self = .table(reader.rest())
        case .lock: self = .lock(reader.rest())
        case .image: self = .image(reader.rest())
        case .logQuery:
            let read = LogReadID(try reader.varint())
            let container = try ContainerID(from: &reader)
            let start = try LogStart(from: &reader)
            let wait = try reader.varint(max: UInt64(PeerMessage.waitMax.nanoseconds))
            self = .logQuery(
                LogQuery(
                    read: read, container: container, start: start,
                    waitAtMost: .nanoseconds(Int64(wait))))
        case .logAnswer:
            let read = LogReadID(try reader.varint())
            self = .logAnswer(read, try reader.bool() ? try LogChunk(from: &reader) : nil)
        case .logCopy:
            let container = try ContainerID(from: &reader)
            self = .logCopy(container, try LogChunk(from: &reader))
        case .logKept:
            let container = try ContainerID(from: &reader)
            self = .logKept(container, try LogCursor(from: &reader))
        case .copyQuery:
            let read = LogReadID(try reader.varint())
            let container = try ContainerID(from: &reader)
            self = .copyQuery(read, container, try LogStart(from: &reader))
        case .usageQuery:
            let id = MeasureID(try reader.varint())
            self = .usageQuery(id, try ContainerID(from: &reader))
        case .usageAnswer:
            let id = MeasureID(try reader.varint())
            self = .usageAnswer(id, try reader.bool() ? try UsageSample(from: &reader) : nil)
        case .callQuery:
            let id = CallQueryID(try reader.varint())
            let container = try ContainerID(from: &reader)
            let number = try reader.varint()
            self = .callQuery(id, container, number: number, try CallCommand(from: &reader))
        case .callAnswer:
            let id = CallQueryID(try reader.varint())
            self = .callAnswer(id, try CallAnswer(from: &reader))
        case .signal:
            let container = try ContainerID(from: &reader)
            let signal = try reader.signed()
            guard (1...64).contains(signal) else { throw .outOfBounds }
            self = .signal(container, Int32(signal))
        case .gone:
            let node = try NodeID(from: &reader)
            self = .gone(node, try FencingToken(from: &reader))
        }
        try reader.end()
    }
}
