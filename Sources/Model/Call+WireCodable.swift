extension CallKey: WireCodable {
    /// Writes caller and number.
    package func encode(into writer: inout ByteWriter) {
        caller.encode(into: &writer)
        writer.varint(number)
    }

    /// Reads caller and number.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let caller = try NodeID(from: &reader)
        self.init(caller: caller, number: try reader.varint())
    }
}

extension TerminalSize: WireCodable {
    /// Writes rows and columns.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(rows))
        writer.varint(UInt64(columns))
    }

    /// Reads rows and columns.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let rows = UInt16(try reader.varint(max: UInt64(UInt16.max)))
        self.init(rows: rows, columns: UInt16(try reader.varint(max: UInt64(UInt16.max))))
    }
}

extension CallProgram: WireCodable {
    /// Whether it is within the bounds that a reader keeps.
    package var isReadable: Bool {
        let texts = command + environment + [workingDirectory, user].compactMap { $0 }
        return command.count <= CallProgram.listCountMax
            && environment.count <= CallProgram.listCountMax
            && texts.allSatisfy { $0.utf8.count <= CallProgram.textSizeBytesMax }
            && texts.reduce(0) { $0 + $1.utf8.count } <= CallProgram.sizeBytesMax
    }

    /// Writes all of it; what is absent as an empty text.
    package func encode(into writer: inout ByteWriter) {
        writer.list(command) { $0.string($1) }
        writer.list(environment) { $0.string($1) }
        writer.string(workingDirectory ?? "")
        writer.string(user ?? "")
        writer.bool(hasInput)
        writer.bool(terminal != nil)
        terminal?.encode(into: &writer)
    }

    /// Reads a program within its bounds.
    package init(from reader: inout ByteReader) throws(CodecError) {
        self.init(command: try CallProgram.texts(from: &reader))
        environment = try CallProgram.texts(from: &reader)
        let directory = try reader.string(max: CallProgram.textSizeBytesMax)
        workingDirectory = directory.isEmpty ? nil : directory
        let name = try reader.string(max: CallProgram.textSizeBytesMax)
        user = name.isEmpty ? nil : name
        hasInput = try reader.bool()
        terminal = try reader.bool() ? try TerminalSize(from: &reader) : nil
        guard isReadable, !command.isEmpty else { throw .outOfBounds }
    }

    private static func texts(from reader: inout ByteReader) throws(CodecError) -> [String] {
        try reader.list(max: listCountMax) { (reader) throws(CodecError) in
            try reader.string(max: textSizeBytesMax)
        }
    }
}

extension CallCommand: WireCodable {
    /// Writes which command it is, and what belongs to it.
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .open(.program(let program)):
            writer.byte(1)
            program.encode(into: &writer)
        case .open(.input):
            writer.byte(2)
        case .read(let place, let wait):
            writer.byte(3)
            writer.varint(place)
            writer.varint(UInt64(clamping: wait.nanoseconds))
        case .write(let bytes, let place, let isEnd):
            writer.byte(4)
            writer.blob(bytes)
            writer.varint(place)
            writer.bool(isEnd)
        case .resize(let size):
            writer.byte(5)
            size.encode(into: &writer)
        case .close:
            writer.byte(6)
        }
    }

    /// Reads a command within its bounds.
    package init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1: self = .open(.program(try CallProgram(from: &reader)))
        case 2: self = .open(.input)
        case 3:
            let place = try reader.varint()
            let wait = try reader.varint(max: UInt64(CallCommand.readWaitMax.nanoseconds))
            self = .read(from: place, waitAtMost: .nanoseconds(Int64(wait)))
        case 4:
            let bytes = Array(try reader.blob(max: CallCommand.chunkSizeBytesMax))
            let place = try reader.varint()
            self = .write(bytes, at: place, isEnd: try reader.bool())
        case 5: self = .resize(try TerminalSize(from: &reader))
        case 6: self = .close
        default: throw .malformed
        }
    }
}

extension CallAnswer: WireCodable {
    /// The longest reason for a refusal or a failure, in bytes.
    private static let textSizeBytesMax = 16 << 10

    /// Writes which answer it is, and what belongs to it.
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .opened(let place):
            writer.byte(1)
            writer.varint(place)
        case .output(let runs, let next, let end):
            writer.byte(2)
            writer.list(runs) {
                $0.byte($1.stream.rawValue)
                $0.blob($1.bytes)
            }
            writer.varint(next)
            switch end {
            case nil: writer.byte(0)
            case .exited(let code):
                writer.byte(1)
                writer.signed(Int64(code))
            case .failed(let failure):
                writer.byte(2)
                writer.signed(Int64(failure.code))
                writer.string(CallAnswer.cut(failure.message))
            }
        case .taken(let place):
            writer.byte(3)
            writer.varint(place)
        case .done:
            writer.byte(4)
        case .refused(let refusal, let reason):
            writer.byte(5)
            writer.byte(refusal.rawValue)
            writer.string(CallAnswer.cut(reason))
        }
    }

    /// Reads an answer within its bounds.
    package init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1: self = .opened(inputAt: try reader.varint())
        case 2:
            var left = CallCommand.chunkSizeBytesMax
            let runs = try reader.list(max: CallOutputBuffer.runsMax) {
                (reader) throws(CodecError) in
                guard let stream = LogStream(rawValue: try reader.byte()) else { throw .malformed }
                let bytes = Array(try reader.blob(max: left))
                left -= bytes.count
                return CallOutput(stream: stream, bytes: bytes)
            }
            let next = try reader.varint()
            self = .output(runs, next: next, end: try CallAnswer.end(from: &reader))
        case 3: self = .taken(upTo: try reader.varint())
        case 4: self = .done
        case 5:
            guard let refusal = CallRefusal(rawValue: try reader.byte()) else { throw .malformed }
            self = .refused(refusal, try reader.string(max: CallAnswer.textSizeBytesMax))
        default: throw .malformed
        }
    }

    private static func end(from reader: inout ByteReader) throws(CodecError) -> CallEnd? {
        switch try reader.byte() {
        case 0: return nil
        case 1:
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            return .exited(code)
        case 2:
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            let message = try reader.string(max: textSizeBytesMax)
            return .failed(ContainerFailure(code: code, message: message))
        default: throw .malformed
        }
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= textSizeBytesMax ? text : String(text.prefix(textSizeBytesMax / 4))
    }
}
