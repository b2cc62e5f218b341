extension NodeID: WireCodable {
    /// Writes sixteen bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.wide(value) }
    /// Reads sixteen bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) { self.init(try reader.wide()) }
}

extension ClusterID: WireCodable {
    /// Writes sixteen bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.wide(value) }
    /// Reads sixteen bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) { self.init(try reader.wide()) }
}

extension TaskID: WireCodable {
    /// Writes sixteen bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.wide(value) }
    /// Reads sixteen bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) { self.init(try reader.wide()) }
}

extension BootID: WireCodable {
    /// Writes eight bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.fixed64(value) }
    /// Reads eight bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        self.init(try reader.fixed64())
    }
}

extension MachineID: WireCodable {
    /// Writes eight bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.fixed64(value) }
    /// Reads eight bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        self.init(try reader.fixed64())
    }
}

extension SessionID: WireCodable {
    /// Writes eight bytes.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.fixed64(value) }
    /// Reads eight bytes.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        self.init(try reader.fixed64())
    }
}

extension BirthDot: WireCodable {
    /// Writes the origin, then the sequence.
    @inlinable
    public func encode(into writer: inout ByteWriter) {
        origin.encode(into: &writer)
        writer.varint(sequence)
    }

    /// Reads the origin, then the sequence.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        let origin = try BootID(from: &reader)
        self.init(origin: origin, sequence: try reader.varint())
    }
}

extension FencingToken: WireCodable {
    /// Writes the generation, then the index.
    @inlinable
    public func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(generation))
        writer.varint(index)
    }

    /// Reads the generation, then the index.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        let generation = try reader.varint32()
        self.init(generation: generation, index: try reader.varint())
    }
}

extension ContainerID: WireCodable {
    /// Writes task and token.
    @inlinable
    public func encode(into writer: inout ByteWriter) {
        task.encode(into: &writer)
        token.encode(into: &writer)
    }

    /// Reads task and token.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        let task = try TaskID(from: &reader)
        self.init(task: task, token: try FencingToken(from: &reader))
    }
}

extension PeerAddress: WireCodable {
    /// Writes the address bytes, then the port.
    @inlinable
    public func encode(into writer: inout ByteWriter) {
        writer.blob(ip)
        writer.varint(UInt64(port))
    }

    /// Reads an address of four or sixteen bytes, then the port.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        let ip = Array(try reader.blob(max: 16))
        guard ip.count == 4 || ip.count == 16 else { throw .malformed }
        self.init(ip: ip, port: UInt16(try reader.varint(max: UInt64(UInt16.max))))
    }
}

extension WallTime: WireCodable {
    /// Writes the milliseconds, signed.
    @inlinable
    public func encode(into writer: inout ByteWriter) { writer.signed(milliseconds) }
    /// Reads the milliseconds, signed.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        self.init(milliseconds: try reader.signed())
    }
}

extension TaskOutcome: WireCodable {
    /// Writes kind, exit status if any, and reason.
    @inlinable
    public func encode(into writer: inout ByteWriter) {
        writer.byte(kind.rawValue)
        writer.bool(exit != nil)
        if let exit {
            writer.signed(Int64(exit.code))
            writer.bool(exit.wasOutOfMemory)
        }
        writer.string(reason)
    }

    /// Reads kind, exit status if any, and reason.
    @inlinable
    public init(from reader: inout ByteReader) throws(CodecError) {
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        var exit: ExitStatus?
        if try reader.bool() {
            guard let code = Int32(exactly: try reader.signed()) else { throw .outOfBounds }
            exit = ExitStatus(code: code, wasOutOfMemory: try reader.bool())
        }
        let reason = try reader.string(max: TaskOutcome.reasonSizeBytesMax)
        self.init(kind: kind, exit: exit, reason: reason)
    }
}
