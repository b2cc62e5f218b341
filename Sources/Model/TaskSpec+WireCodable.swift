extension TaskSpec: WireCodable {
    /// The largest encoding of a spec that a node accepts, in bytes.
    package static let sizeBytesMax = 256 << 10
    /// The longest single text in a spec, in bytes.
    package static let textSizeBytesMax = 128 << 10
    /// How many arguments, variables, volumes or constraints a spec may have of each.
    package static let listCountMax = 4096

    /// Writes tagged fields in rising order, those at their default left out.
    package func encode(into writer: inout ByteWriter) {
        func texts(_ tag: UInt64, _ values: [String], _ writer: inout ByteWriter) {
            guard !values.isEmpty else { return }
            writer.field(tag) { $0.list(values) { $0.string($1) } }
        }
        var content = ByteWriter()
        texts(1, command, &content)
        texts(2, environment, &content)
        if let workingDirectory { content.field(3) { $0.string(workingDirectory) } }
        if case .directory(let path) = rootfs { content.field(4) { $0.string(path) } }
        content.field(5) {
            $0.varint(UInt64(resources.cpuMillis))
            $0.varint(resources.memoryBytes)
        }
        content.field(6) { $0.varint(UInt64(pidsMax)) }
        if !volumes.isEmpty {
            content.field(7) { field in
                field.list(volumes) {
                    $0.string($1.source)
                    $0.string($1.target)
                    $0.bool($1.isReadOnly)
                }
            }
        }
        content.field(8) { restart.encode(into: &$0) }
        if onPartition == .wait { content.field(9) { $0.byte(1) } }
        if let timeout { content.field(10) { $0.signed(timeout.nanoseconds) } }
        content.field(11) { $0.signed(grace.nanoseconds) }
        texts(12, constraints, &content)
        if let retention { content.field(13) { $0.signed(retention.nanoseconds) } }
        if let attemptsMax { content.field(14) { $0.varint(UInt64(attemptsMax)) } }
        options.encode(into: &content)
        if case .image(let name, let digest) = rootfs {
            content.field(54) {
                name.encode(into: &$0)
                $0.bool(digest != nil)
                digest?.encode(into: &$0)
            }
        }
        writer.counted { $0.fields(content.bytes, and: unknownFields) }
    }

    /// Reads a spec; unknown fields are kept.
    package init(from reader: inout ByteReader) throws(CodecError) {
        var fields = ByteReader(try reader.blob(max: TaskSpec.sizeBytesMax))
        var spec = TaskSpec(command: [])
        spec.unknownFields = try fields.fields { (tag, content) throws(CodecError) in
            try spec.read(tag, from: &content)
        }
        guard spec.hasProgram else { throw .malformed }
        self = spec
    }

    /// Whether other nodes, and this one after a restart, can read the spec as it is.
    ///
    /// A spec beyond the bounds of its codec could be written, but never be read again.
    package var isReadable: Bool {
        let bytes = encoded
        return bytes.count <= TaskSpec.sizeBytesMax && (try? TaskSpec(decoding: bytes)) == self
    }

    private mutating func read(
        _ tag: UInt64, from content: inout ByteReader
    ) throws(CodecError) -> Bool {
        func texts(_ content: inout ByteReader) throws(CodecError) -> [String] {
            try content.list(max: TaskSpec.listCountMax) { (reader) throws(CodecError) in
                try reader.string(max: TaskSpec.textSizeBytesMax)
            }
        }
        switch tag {
        case 1: command = try texts(&content)
        case 2: environment = try texts(&content)
        case 3: workingDirectory = try content.string(max: TaskSpec.textSizeBytesMax)
        case 4: rootfs = .directory(try content.string(max: TaskSpec.textSizeBytesMax))
        case 5:
            let cpu = try content.varint32()
            resources = Resources(cpuMillis: cpu, memoryBytes: try content.varint())
        case 6: pidsMax = try content.varint32()
        case 7:
            volumes = try content.list(max: TaskSpec.listCountMax) { (reader) throws(CodecError) in
                VolumeMount(
                    source: try reader.string(max: TaskSpec.textSizeBytesMax),
                    target: try reader.string(max: TaskSpec.textSizeBytesMax),
                    isReadOnly: try reader.bool())
            }
        case 8: restart = try RestartPolicy(from: &content)
        case 9:
            guard try content.byte() == 1 else { throw .malformed }
            onPartition = .wait
        case 10: timeout = .nanoseconds(try content.signed())
        case 11: grace = .nanoseconds(try content.signed())
        case 12: constraints = try texts(&content)
        case 13: retention = .nanoseconds(try content.signed())
        case 14: attemptsMax = try content.varint32()
        case 54:
            let name = try ImageName(from: &content)
            rootfs = .image(name, try content.bool() ? try ImageDigest(from: &content) : nil)
        default: return try options.read(tag, from: &content)
        }
        return true
    }
}
