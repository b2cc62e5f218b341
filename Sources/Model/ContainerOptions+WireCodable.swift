/// The options as fields 20…52 of a spec.
extension ContainerOptions {
    /// Writes the fields that are not at their default, in rising order of their tags.
    func encode(into content: inout ByteWriter) {
        func text(_ tag: UInt64, _ value: String?) {
            if let value { content.field(tag) { $0.string(value) } }
        }
        func texts(_ tag: UInt64, _ values: [String]) {
            guard !values.isEmpty else { return }
            content.field(tag) { $0.list(values) { $0.string($1) } }
        }
        text(20, user)
        text(22, hostname)
        if let stopSignal { content.field(26) { $0.signed(Int64(stopSignal)) } }
        if network != .none { content.field(28) { $0.byte(network.rawValue) } }
        if !tmpfs.isEmpty {
            content.field(30) { field in
                field.list(tmpfs) {
                    $0.string($1.target)
                    $0.varint($1.sizeBytes ?? 0)
                }
            }
        }
        if isRootReadOnly { content.field(32) { $0.byte(1) } }
        texts(34, capabilitiesDropped)
        texts(36, capabilitiesAdded)
        if !ulimits.isEmpty {
            content.field(38) { field in
                field.list(ulimits) {
                    $0.byte($1.kind.rawValue)
                    $0.varint($1.soft)
                    $0.varint($1.hard)
                }
            }
        }
        if let shmSizeBytes { content.field(40) { $0.varint(shmSizeBytes) } }
        if let diskBytes { content.field(42) { $0.varint(diskBytes) } }
        if isBestEffort { content.field(43) { $0.byte(1) } }
        if hasInput { content.field(44) { $0.byte(1) } }
        if let terminal { content.field(46) { terminal.encode(into: &$0) } }
        if hasUserNamespace { content.field(48) { $0.byte(1) } }
        if let entrypoint { content.field(52) { $0.list(entrypoint) { $0.string($1) } } }
    }

    /// Reads one field.
    ///
    /// - Returns: Whether it is one of these.
    mutating func read(_ tag: UInt64, from content: inout ByteReader) throws(CodecError) -> Bool {
        switch tag {
        case 20: user = try content.string(max: ContainerOptions.textSizeBytesMax)
        case 22: hostname = try content.string(max: ContainerOptions.hostnameSizeBytesMax)
        case 26:
            let signal = try content.signed()
            guard (1...64).contains(signal) else { throw .outOfBounds }
            stopSignal = Int32(signal)
        case 28:
            guard try content.byte() == NetworkMode.host.rawValue else { throw .malformed }
            network = .host
        case 30: tmpfs = try ContainerOptions.tmpfs(from: &content)
        case 32:
            guard try content.byte() == 1 else { throw .malformed }
            isRootReadOnly = true
        case 34: capabilitiesDropped = try ContainerOptions.texts(from: &content)
        case 36: capabilitiesAdded = try ContainerOptions.texts(from: &content)
        case 38: ulimits = try ContainerOptions.ulimits(from: &content)
        case 40: shmSizeBytes = try content.varint()
        case 42: diskBytes = try content.varint()
        case 43:
            guard try content.byte() == 1 else { throw .malformed }
            isBestEffort = true
        case 44:
            guard try content.byte() == 1 else { throw .malformed }
            hasInput = true
        case 46: terminal = try TerminalSize(from: &content)
        case 48:
            guard try content.byte() == 1 else { throw .malformed }
            hasUserNamespace = true
        case 52: entrypoint = try ContainerOptions.texts(from: &content)
        default: return false
        }
        return true
    }

    private static func texts(from content: inout ByteReader) throws(CodecError) -> [String] {
        try content.list(max: listCountMax) { (reader) throws(CodecError) in
            try reader.string(max: textSizeBytesMax)
        }
    }

    private static func tmpfs(from content: inout ByteReader) throws(CodecError) -> [TmpfsMount] {
        try content.list(max: listCountMax) { (reader) throws(CodecError) in
            let target = try reader.string(max: textSizeBytesMax)
            let size = try reader.varint()
            return TmpfsMount(target: target, sizeBytes: size == 0 ? nil : size)
        }
    }

    private static func ulimits(from content: inout ByteReader) throws(CodecError) -> [Ulimit] {
        try content.list(max: listCountMax) { (reader) throws(CodecError) in
            guard let kind = Ulimit.Kind(rawValue: try reader.byte()) else { throw .malformed }
            let soft = try reader.varint()
            return Ulimit(kind: kind, soft: soft, hard: try reader.varint())
        }
    }
}

extension TaskSpec {
    /// Tags of fields that a newer version wrote and that change what the task means: a node that does
    /// not know them must not run it.
    ///
    /// From tag 20 on, an even tag must be understood by whoever runs the task, and an odd one may be
    /// passed over. A field whose content gets a new meaning gets a new tag. Bounded, for what is
    /// shown of it.
    package var fieldsNotUnderstood: [UInt64] {
        var reader = ByteReader(unknownFields)
        var tags: [UInt64] = []
        while reader.remaining > 0, tags.count < ContainerOptions.listCountMax,
            let tag = try? reader.varint(), (try? reader.blob(max: TaskSpec.sizeBytesMax)) != nil
        {
            if tag.isMultiple(of: 2) { tags.append(tag) }
        }
        return tags
    }
}
