import Cluster
import ControlAPI
import Foundation
import Glibc
import Logging
import Model
import NodeIO
import Runner

/// What an operator has set, checked and with defaults.
struct DaemonSettings {
    var dataDirectory: String
    var name: String
    var bind: PeerAddress
    var advertise: PeerAddress?
    var api: PeerAddress?
    /// Whether the API speaks neither TLS nor asks for tokens there, on loopback.
    var isAPIOpen: Bool
    /// The operator's own certificate for the API, and its key; files in PEM.
    var apiCertificate: (certificate: String, key: String)?
    var rootfs: String?
    var capacity: Resources
    var labels: [String]
    var profile: TimingProfile
    /// How long the node waits before it takes tasks.
    var policy: StealPolicy
    var volumesAllowed: [String]
    var capabilitiesAllowed: [String]
    var allowsHostNetwork: Bool
    var runtime: String?
    var retention: Duration
    /// How much of each task's output is kept, in bytes.
    var logSizeBytesMax: UInt64
    /// How much images take on disk, in bytes.
    var imageSizeBytesMax: UInt64
    var logLevel: Logger.Level
    var takesTasks: Bool
    private let values: [String: [String]]

    static let known: Set<String> = [
        "data-dir", "name", "bind", "advertise", "api", "rootfs", "cpus", "memory", "label",
        "profile", "allow-volume", "runtime", "retain", "log-level", "log-max", "no-tasks", "token",
        "allow-cap", "allow-host-network", "image-max", "steal-policy", "api-cert", "api-key",
        "api-insecure-loopback",
    ]

    /// Options that may be given several times; in a variable they are parted by commas.
    static let repeatable: Set<String> = ["label", "allow-volume", "allow-cap"]

    /// The least memory that a node can give: that of the smallest task.
    static let memoryBytesMin: UInt64 = 4 << 20

    func value(of option: String) -> String? { values[option]?.last }

    init(_ values: [String: [String]]) throws {
        func last(_ option: String) -> String? { values[option]?.last }
        self.values = values
        dataDirectory = DaemonOptions.dataDirectory(last("data-dir"))
        name = try DaemonSettings.name(last("name"))
        bind = try DaemonSettings.address(last("bind") ?? "0.0.0.0:7946", option: "--bind")
        advertise = try last("advertise").map {
            try DaemonSettings.address($0, option: "--advertise")
        }
        isAPIOpen = try DaemonSettings.flag(
            last("api-insecure-loopback") ?? "false", option: "--api-insecure-loopback")
        api = try DaemonSettings.api(last("api"), isOpen: isAPIOpen)
        apiCertificate = try DaemonSettings.certificate(last("api-cert"), last("api-key"))
        rootfs = try last("rootfs").map(DaemonSettings.rootfs)
        runtime = last("runtime")
        labels = try DaemonSettings.labels(values["label"] ?? [])
        let profileName = last("profile") ?? "lan"
        guard let profile = TimingProfile(rawValue: profileName) else {
            throw StartFailure("--profile \(profileName): write lan, wan or local")
        }
        self.profile = profile
        policy = try DaemonSettings.policy(
            last("steal-policy") ?? StealPolicy.all[0].name, for: profile)
        volumesAllowed = values["allow-volume"] ?? []
        for directory in volumesAllowed where !directory.hasPrefix("/") {
            throw StartFailure("--allow-volume \(directory): write an absolute path")
        }
        capabilitiesAllowed = try (values["allow-cap"] ?? []).map { text in
            guard let name = Capabilities.name(text) else {
                throw StartFailure(
                    "--allow-cap \(text): there is no such capability; write one such as NET_RAW, "
                        + "or ALL")
            }
            return name
        }
        allowsHostNetwork = try DaemonSettings.flag(
            last("allow-host-network") ?? "false", option: "--allow-host-network")
        let levelName = last("log-level") ?? "info"
        guard let level = Logger.Level(rawValue: levelName.lowercased()) else {
            throw StartFailure(
                "--log-level \(levelName): write trace, debug, info, warning or error")
        }
        logLevel = level
        takesTasks = !(try DaemonSettings.flag(last("no-tasks") ?? "false", option: "--no-tasks"))
        retention = try DaemonSettings.retention(last("retain") ?? "1h")
        logSizeBytesMax = try DaemonSettings.reading("--log-max") {
            try last("log-max").map { (text) throws(InvalidInput) in try Quantities.bytes(text) }
                ?? RunnerConfiguration.logSizeBytesUsual
        }
        guard logSizeBytesMax >= RunnerConfiguration.logSizeBytesMin else {
            throw StartFailure(
                "--log-max: a log has \(RunnerConfiguration.logSizeBytesMin >> 10) KiB at least")
        }
        imageSizeBytesMax = try DaemonSettings.reading("--image-max") {
            try last("image-max").map { (text) throws(InvalidInput) in try Quantities.bytes(text) }
                ?? ImageUpkeep.limitBytesUsual
        }
        guard imageSizeBytesMax >= ImageUpkeep.limitBytesMin else {
            throw StartFailure(
                "--image-max: images have \(ImageUpkeep.limitBytesMin >> 20) MiB at least")
        }
        capacity = try DaemonSettings.capacity(cpus: last("cpus"), memory: last("memory"))
    }

    // MARK: Single options

    /// How long all labels of a node may be together, in bytes: they travel in every packet about it.
    static let labelsSizeBytesMax = 320

    private static func labels(_ wanted: [String]) throws -> [String] {
        for label in wanted where !label.dropFirst().contains("=") || isUnprintable(label) {
            throw StartFailure("--label \(label): write KEY=VALUE, without blanks")
        }
        let labels = Set(wanted).sorted()
        guard labels.reduce(0, { $0 + $1.utf8.count + 2 }) <= labelsSizeBytesMax else {
            throw StartFailure(
                "--label: all labels together are longer than \(labelsSizeBytesMax) bytes; take "
                    + "fewer or shorter ones")
        }
        return labels
    }

    private static func name(_ wanted: String?) throws -> String {
        let name = wanted ?? ProcessInfo.processInfo.hostName
        guard (1...63).contains(name.utf8.count), !isUnprintable(name) else {
            throw StartFailure(
                "--name \(name.debugDescription): a name has 1 to 63 bytes, and no blanks or "
                    + "control characters")
        }
        return name
    }

    /// Whether a text would tear a line of output apart.
    private static func isUnprintable(_ text: String) -> Bool {
        text.unicodeScalars.contains {
            $0.properties.isWhitespace || $0.properties.generalCategory == .control
        }
    }

    private static func api(_ text: String?, isOpen: Bool) throws -> PeerAddress? {
        guard let text, text != "none" else {
            guard !isOpen else {
                throw StartFailure(
                    "--api-insecure-loopback: say where with --api HOST:PORT, or take it away")
            }
            return nil
        }
        let api = try address(text, option: "--api")
        let isLoopback =
            api.ip.count == 4
            ? api.ip.first == 127 : api.ip == Array(repeating: 0, count: 15) + [1]
        guard isLoopback || !isOpen else {
            throw StartFailure(
                "--api \(text): without TLS and tokens the API is only allowed on loopback "
                    + "(127.0.0.0/8 or [::1]); take --api-insecure-loopback away")
        }
        return api
    }

    private static func certificate(
        _ certificate: String?, _ key: String?
    ) throws -> (certificate: String, key: String)? {
        switch (certificate, key) {
        case (nil, nil): return nil
        case (let certificate?, let key?): return (certificate, key)
        case (_?, nil): throw StartFailure("--api-cert: its key is missing; add --api-key FILE")
        case (nil, _?): throw StartFailure("--api-key: add its certificate, --api-cert FILE")
        }
    }

    private static func rootfs(_ path: String) throws -> String {
        guard path.hasPrefix("/") else {
            throw StartFailure("--rootfs \(path): write an absolute path")
        }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory),
            isDirectory.boolValue
        else { throw StartFailure("--rootfs \(path): there is no such directory") }
        return path
    }

    private static func retention(_ text: String) throws -> Duration {
        let seconds = try reading("--retain") { try Quantities.seconds(text) }
        guard seconds <= Quantities.retainSecondsMax else {
            throw StartFailure("--retain \(text): ended tasks are kept for ten years at most")
        }
        return .seconds(seconds)
    }

    private static func policy(
        _ wanted: String, for profile: TimingProfile
    ) throws -> StealPolicy {
        guard let policy = StealPolicy.named(wanted, for: profile) else {
            let names = StealPolicy.all.map(\.name).joined(separator: ", ")
            throw StartFailure("--steal-policy \(wanted): write one of \(names)")
        }
        return policy
    }

    private static func flag(_ text: String, option: String) throws -> Bool {
        switch text.lowercased() {
        case "true", "1", "yes": return true
        case "false", "0", "no": return false
        default: throw StartFailure("\(option) \(text): write true or false")
        }
    }

    private static func capacity(cpus: String?, memory: String?) throws -> Resources {
        var cores = Double(ProcessInfo.processInfo.activeProcessorCount)
        if let cpus {
            guard let number = Double(cpus), number >= 0.001, number <= 4_096 else {
                throw StartFailure("--cpus \(cpus): write a count of cores, such as 4 or 0.5")
            }
            cores = number
        }
        var bytes = ProcessInfo.processInfo.physicalMemory / 5 * 4
        if let memory {
            bytes = try reading("--memory") { try Quantities.bytes(memory) }
            guard bytes >= memoryBytesMin else {
                throw StartFailure(
                    "--memory \(memory): a node gives tasks 4M at least; for a node that runs "
                        + "nothing there is --no-tasks")
            }
        }
        return Resources(cpuMillis: UInt32(cores * 1_000), memoryBytes: bytes)
    }

    /// Names the option whose value could not be read.
    private static func reading<Value>(
        _ option: String, _ body: () throws -> Value
    ) throws -> Value {
        do {
            return try body()
        } catch let error as InvalidInput {
            throw StartFailure("\(option): \(error.description)")
        }
    }
}

// MARK: Sources of options

extension DaemonSettings {
    /// The options that variables `MAGPIE_…` hold; an empty one counts as absent.
    static func environment(_ variables: [String: String]) -> [String: [String]] {
        var values: [String: [String]] = [:]
        for (key, value) in variables where key.hasPrefix("MAGPIE_") && !value.isEmpty {
            let option = key.dropFirst(7).lowercased().replacing("_", with: "-")
            guard known.contains(option) else { continue }
            values[option] =
                repeatable.contains(option)
                ? value.split(separator: ",").map(String.init) : [value]
        }
        return values
    }

    static func file(_ path: String?) throws -> [String: [String]] {
        guard let path = path ?? ProcessInfo.processInfo.environment["MAGPIE_CONFIG"] else {
            return [:]
        }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw StartFailure("--config \(path): there is no such file, or it can't be read")
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

    /// The port of nodes that name none.
    static let portUsual: UInt16 = 7946
}
