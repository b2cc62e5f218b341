import ArgumentParser
import ControlAPI
import Foundation
import Glibc
import Model

/// Options that `start` and `join` share.
struct DaemonOptions: ParsableArguments {
    @Option(help: "Where the node keeps its state (default: /var/lib/magpie for root).")
    var dataDir: String?
    @Option(help: "A file of 'option = value' lines.") var config: String?
    @Option(help: "The node's name (default: the host's).") var name: String?
    @Option(help: "Where to listen for other nodes, UDP and TCP (default: 0.0.0.0:7946).")
    var bind: String?
    @Option(help: "The address that others use to reach this node.") var advertise: String?
    @Option(help: "A loopback HOST:PORT for the HTTP API besides the local socket.") var api:
        String?
    @Option(help: "A directory that tasks get as root file system instead of the host's.")
    var rootfs: String?
    @Option(help: "Cores for tasks (default: all).") var cpus: String?
    @Option(help: "Memory for tasks, such as 8G (default: four fifths).") var memory: String?
    @Option(help: "A label KEY=VALUE; may be repeated.") var label: [String] = []
    @Option(help: "lan (default), wan or local.") var profile: String?
    @Option(help: "A directory below which tasks may mount volumes; may be repeated.")
    var allowVolume: [String] = []
    @Option(help: "The OCI runtime (default: crun, else runc).") var runtime: String?
    @Option(help: "How long ended tasks are kept (default: 1h).") var retain: String?
    @Option(help: "trace, debug, info (default), warning or error.") var logLevel: String?
    @Flag(help: "Run no tasks; needs no container runtime.") var noTasks = false

    static func dataDirectory(_ wanted: String?) -> String {
        let environment = ProcessInfo.processInfo.environment
        if let directory = wanted ?? environment["MAGPIE_DATA_DIR"] { return absolute(directory) }
        if geteuid() == 0 { return "/var/lib/magpie" }
        return "\(environment["HOME"] ?? "/")/.local/share/magpie"
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/")
            ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// Everything that was set, from command line, environment and file, checked.
    func settings() throws -> DaemonSettings {
        var values = try DaemonSettings.file(config)
        for (key, value) in ProcessInfo.processInfo.environment where key.hasPrefix("MAGPIE_") {
            let option = key.dropFirst(7).lowercased().replacing("_", with: "-")
            values[option] = [value]
        }
        let given: [(String, [String?])] = [
            ("data-dir", [dataDir]), ("name", [name]), ("bind", [bind]),
            ("advertise", [advertise]), ("api", [api]), ("rootfs", [rootfs]), ("cpus", [cpus]),
            ("memory", [memory]), ("label", label), ("profile", [profile]),
            ("allow-volume", allowVolume), ("runtime", [runtime]), ("retain", [retain]),
            ("log-level", [logLevel]), ("no-tasks", [noTasks ? "true" : nil]),
        ]
        for (option, entries) in given {
            let set = entries.compactMap { $0 }
            if !set.isEmpty { values[option] = set }
        }
        return try DaemonSettings(values)
    }
}

/// What an operator has set, checked and with defaults.
struct DaemonSettings {
    var dataDirectory: String
    var name: String
    var bind: PeerAddress
    var advertise: PeerAddress?
    var api: PeerAddress?
    var rootfs: String?
    var capacity: Resources
    var labels: [String]
    var profile: TimingProfile
    var volumesAllowed: [String]
    var runtime: String?
    var retention: Duration
    var logLevel: String
    var takesTasks: Bool
    private let values: [String: [String]]

    static let known: Set<String> = [
        "data-dir", "name", "bind", "advertise", "api", "rootfs", "cpus", "memory", "label",
        "profile", "allow-volume", "runtime", "retain", "log-level", "no-tasks", "token",
    ]

    func value(of option: String) -> String? { values[option]?.last }

    init(_ values: [String: [String]]) throws {
        func last(_ option: String) -> String? { values[option]?.last }
        self.values = values
        dataDirectory = DaemonOptions.dataDirectory(last("data-dir"))
        name = last("name") ?? ProcessInfo.processInfo.hostName
        guard (1...63).contains(name.utf8.count), !name.contains(where: \.isWhitespace) else {
            throw StartFailure("--name \(name): a name has 1 to 63 bytes and no blanks")
        }
        bind = try DaemonSettings.address(last("bind") ?? "0.0.0.0:7946", option: "bind")
        advertise = try last("advertise").map {
            try DaemonSettings.address($0, option: "advertise")
        }
        api = try last("api").flatMap { $0 == "none" ? nil : $0 }
            .map { try DaemonSettings.address($0, option: "api") }
        if let api, api.ip.first != 127 {
            throw StartFailure(
                "--api \(api): over TCP the API is only allowed on loopback (127.0.0.0/8), since "
                    + "it is neither encrypted nor protected by a token yet; use the local socket "
                    + "by way of ssh instead")
        }
        rootfs = last("rootfs")
        runtime = last("runtime")
        labels = (values["label"] ?? []).sorted()
        for label in labels where !label.dropFirst().contains("=") {
            throw StartFailure("--label \(label): write KEY=VALUE")
        }
        let profileName = last("profile") ?? "lan"
        guard let profile = TimingProfile(rawValue: profileName) else {
            throw StartFailure("--profile \(profileName): write lan, wan or local")
        }
        self.profile = profile
        volumesAllowed = values["allow-volume"] ?? []
        for directory in volumesAllowed where !directory.hasPrefix("/") {
            throw StartFailure("--allow-volume \(directory): write an absolute path")
        }
        logLevel = last("log-level") ?? "info"
        takesTasks = !["true", "1", "yes"].contains(last("no-tasks") ?? "false")
        do {
            retention = .seconds(try Quantities.seconds(last("retain") ?? "1h"))
            capacity = try DaemonSettings.capacity(cpus: last("cpus"), memory: last("memory"))
        } catch let error as InvalidInput {
            throw StartFailure(error.description)
        }
    }

    private static func capacity(cpus: String?, memory: String?) throws -> Resources {
        var cores = Double(ProcessInfo.processInfo.activeProcessorCount)
        if let cpus {
            guard let number = Double(cpus), number > 0, number <= 4_096 else {
                throw StartFailure("--cpus \(cpus): write a count of cores, such as 4 or 0.5")
            }
            cores = number
        }
        let bytes =
            try memory.map { (text) throws(InvalidInput) in try Quantities.bytes(text) }
            ?? ProcessInfo.processInfo.physicalMemory / 5 * 4
        return Resources(cpuMillis: UInt32(cores * 1_000), memoryBytes: bytes)
    }

    static func file(_ path: String?) throws -> [String: [String]] {
        guard let path = path ?? ProcessInfo.processInfo.environment["MAGPIE_CONFIG"] else {
            return [:]
        }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw StartFailure("--config \(path): the file can't be read")
        }
        return try parse(text, path: path)
    }

    static func parse(_ text: String, path: String) throws -> [String: [String]] {
        var values: [String: [String]] = [:]
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let content = line.trimmingCharacters(in: .whitespaces)
            if content.isEmpty || content.hasPrefix("#") { continue }
            guard let equals = content.firstIndex(of: "=") else {
                throw StartFailure("\(path), line \(number + 1): write 'option = value'")
            }
            let option = content[..<equals].trimmingCharacters(in: .whitespaces)
            let value = content[content.index(after: equals)...].trimmingCharacters(
                in: .whitespaces)
            guard known.contains(option) else {
                throw StartFailure("\(path), line \(number + 1): there is no option '\(option)'")
            }
            values[option, default: []].append(value)
        }
        return values
    }

    /// Reads HOST:PORT; a name is resolved to its first IPv4 address.
    static func address(_ text: String, option: String) throws -> PeerAddress {
        if let address = PeerAddress(text) { return address }
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
            let port = UInt16(text[text.index(after: colon)...])
        else { throw StartFailure("\(option) \(text): write HOST:PORT") }
        let host = String(text[..<colon])
        var hints = addrinfo()
        hints.ai_family = AF_INET
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0, let found else {
            throw StartFailure("\(option) \(text): the name \(host) can't be resolved")
        }
        defer { freeaddrinfo(found) }
        let bytes = found.pointee.ai_addr.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
            withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) }
        }
        return PeerAddress(ip: bytes, port: port)
    }
}
