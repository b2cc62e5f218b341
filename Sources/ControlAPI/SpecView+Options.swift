package import Model

/// How the fields of a submission become the options of its container.
extension SpecView {
    /// Reads what concerns process, isolation and further limits.
    func readOptions(into options: inout ContainerOptions) throws(InvalidInput) {
        if let user {
            guard SpecView.isUser(user) else {
                throw InvalidInput(field: "user", "\(user) is not USER[:GROUP], names or numbers")
            }
            options.user = user
        }
        if let hostname {
            guard SpecView.isHostname(hostname) else {
                throw InvalidInput(
                    field: "hostname",
                    "\(hostname) is none; take 1 to "
                        + "\(ContainerOptions.hostnameSizeBytesMax) letters, digits, . and -")
            }
            options.hostname = hostname
        }
        if let entrypoint {
            guard image != nil else {
                throw InvalidInput(
                    field: "entrypoint", "only an image has one; give the command instead")
            }
            options.entrypoint = entrypoint == [""] ? [] : entrypoint
        }
        if let stopSignal {
            do {
                options.stopSignal = try Quantities.signal(stopSignal)
            } catch {
                throw InvalidInput(field: "stop_signal", error.cause)
            }
        }
        switch network {
        case nil, "none"?: options.network = .none
        case "host"?: options.network = .host
        case let other?: throw InvalidInput(field: "network", "\(other) is neither none nor host")
        }
        for mount in tmpfs ?? [] { options.tmpfs.append(try Quantities.tmpfs(mount)) }
        options.isRootReadOnly = readOnly ?? false
        options.capabilitiesDropped = try SpecView.capabilities(capDrop, field: "cap_drop")
        options.capabilitiesAdded = try SpecView.capabilities(capAdd, field: "cap_add")
        for limit in ulimits ?? [] { options.ulimits.append(try Quantities.ulimit(limit)) }
        guard Set(options.ulimits.map(\.kind)).count == options.ulimits.count else {
            throw InvalidInput(field: "ulimits", "one of them is given twice")
        }
        if let shmSize {
            guard shmSize >= 4_096 else {
                throw InvalidInput(field: "shm_size", "\(shmSize) bytes is less than 4K")
            }
            options.shmSizeBytes = shmSize
        }
        if let disk {
            guard disk >= SpecView.diskBytesMin else {
                throw InvalidInput(field: "disk", "\(disk) bytes is less than 1M")
            }
            options.diskBytes = disk
        }
        options.isBestEffort = bestEffort ?? false
        options.hasInput = stdin ?? false
        options.hasUserNamespace = userns ?? false
        guard !options.hasUserNamespace || options.network == .none else {
            throw InvalidInput(
                field: "userns",
                "users of its own and the node's network do not go together; take it without "
                    + "network")
        }
        options.terminal = terminal.map { TerminalSize(rows: $0.rows, columns: $0.columns) }
        try SpecView.checkCounts(of: options)
    }

    /// The least that a task can be limited to write, in bytes.
    private static let diskBytesMin: UInt64 = 1 << 20

    /// Whether a text can be `USER[:GROUP]`.
    static func isUser(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count) && parts.allSatisfy { !$0.isEmpty }
            && text.utf8.count <= 255 && !text.contains(where: \.isWhitespace)
    }

    private static func isHostname(_ text: String) -> Bool {
        (1...ContainerOptions.hostnameSizeBytesMax).contains(text.utf8.count)
            && text.first != "-" && text.first != "."
            && text.utf8.allSatisfy {
                ($0 | 32 >= UInt8(ascii: "a") && $0 | 32 <= UInt8(ascii: "z"))
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            }
    }

    private static func capabilities(
        _ wanted: [String]?, field: String
    ) throws(InvalidInput) -> [String] {
        var names: Set<String> = []
        for text in wanted ?? [] {
            guard let name = Capabilities.name(text) else {
                throw InvalidInput(
                    field: field,
                    "there is no capability \(text); write one such as NET_RAW, or ALL")
            }
            names.insert(name)
        }
        return names.contains(Capabilities.all) ? [Capabilities.all] : names.sorted()
    }

    private static func checkCounts(of options: ContainerOptions) throws(InvalidInput) {
        guard options.tmpfs.count <= ContainerOptions.listCountMax else {
            throw InvalidInput(field: "tmpfs", "more than \(ContainerOptions.listCountMax) mounts")
        }
    }
}

extension Quantities {
    /// `SIGTERM`, `TERM`, `15` or `RTMIN+3`.
    package static func signal(_ text: String) throws(InvalidInput) -> Int32 {
        guard let number = SignalName.number(text) else {
            throw InvalidInput(
                "there is no signal \(text); write a name such as INT or SIGUSR1, or a number "
                    + "from 1 to \(SignalName.numberMax)")
        }
        return number
    }

    /// `PATH[:size=SIZE]`.
    package static func tmpfs(_ text: String) throws(InvalidInput) -> TmpfsMount {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, ContainerOptions.isMountTarget(parts[0]),
            parts[0].utf8.count <= ContainerOptions.textSizeBytesMax
        else {
            throw InvalidInput(
                field: "tmpfs",
                "\(text): write PATH[:size=SIZE] with an absolute path outside of /proc and "
                    + "/sys, such as /scratch:size=64M")
        }
        guard parts.count == 2 else { return TmpfsMount(target: parts[0]) }
        guard parts[1].hasPrefix("size=") else {
            throw InvalidInput(field: "tmpfs", "\(text): the one option is size=SIZE")
        }
        let size: UInt64
        do {
            size = try bytes(String(parts[1].dropFirst(5)))
        } catch {
            throw InvalidInput(field: "tmpfs", "\(text): \(error.cause)")
        }
        guard size >= 4_096 else {
            throw InvalidInput(field: "tmpfs", "\(text): \(size) bytes is less than 4K")
        }
        return TmpfsMount(target: parts[0], sizeBytes: size)
    }

    /// `NAME=SOFT[:HARD]`, numbers or `unlimited`.
    package static func ulimit(_ text: String) throws(InvalidInput) -> Ulimit {
        let problem = InvalidInput(
            field: "ulimits",
            "\(text): write NAME=SOFT[:HARD], such as nofile=1024:2048; the names are "
                + Ulimit.Kind.allCases.map(\.name).joined(separator: ", "))
        let sides = text.split(separator: "=", omittingEmptySubsequences: false)
        guard sides.count == 2, let kind = Ulimit.Kind(name: sides[0]) else { throw problem }
        let values = sides[1].split(separator: ":", omittingEmptySubsequences: false).map {
            ["unlimited", "-1"].contains($0) ? UInt64.max : UInt64($0)
        }
        guard (1...2).contains(values.count), let soft = values[0],
            let hard = values.count == 2 ? values[1] : soft
        else { throw problem }
        guard soft <= hard else {
            throw InvalidInput(
                field: "ulimits", "\(text): the soft limit is higher than the hard one")
        }
        return Ulimit(kind: kind, soft: soft, hard: hard)
    }
}
