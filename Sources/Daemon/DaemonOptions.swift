import ArgumentParser
import Cluster
import ControlAPI
import Foundation
import Glibc
import Model
import Runner

/// Options that `start` and `join` share.
struct DaemonOptions: ParsableArguments {
    @Option(
        help: """
            Where the node keeps its state (default: /var/lib/magpie for root, else \
            ~/.local/share/magpie).
            """)
    var dataDir: String?
    @Option(help: "A file of 'option = value' lines.") var config: String?
    @Option(help: "The node's name (default: the host's).") var name: String?
    @Option(help: "Where to listen for other nodes, UDP and TCP (default: 0.0.0.0:7946).")
    var bind: String?
    @Option(help: "HOST:PORT by which others reach this node (default: that of --bind).")
    var advertise: String?
    @Option(help: "HOST:PORT for the HTTP API with TLS and tokens, besides the local socket.")
    var api: String?
    @Option(help: "The API's certificate, a file in PEM (default: one that the node makes).")
    var apiCert: String?
    @Option(help: "The key of --api-cert, a file in PEM.") var apiKey: String?
    @Flag(help: "Neither TLS nor tokens at --api, which must be on loopback.")
    var apiInsecureLoopback = false
    @Option(help: "A directory that tasks get as root file system instead of the host's.")
    var rootfs: String?
    @Option(help: "Cores for tasks (default: all).") var cpus: String?
    @Option(help: "Memory for tasks, such as 8G (default: four fifths).") var memory: String?
    @Option(help: "A label KEY=VALUE; may be repeated.") var label: [String] = []
    @Option(
        help: """
            How patient nodes are with each other, and how far apart those stand that could take a \
            task: lan (default), wan or local; the same for all.
            """)
    var profile: String?
    @Option(
        help: """
            Which nodes take a task first: \
            \(StealPolicy.all.map(\.name).joined(separator: ", ")) (default: proportional).
            """)
    var stealPolicy: String?
    @Option(help: "A directory below which tasks may mount volumes; may be repeated.")
    var allowVolume: [String] = []
    @Option(
        help: "A capability that tasks may have beyond the usual ones, or ALL; may be repeated.")
    var allowCap: [String] = []
    @Flag(help: "Tasks may have the node's own network.") var allowHostNetwork = false
    @Option(help: "The OCI runtime (default: crun, else runc).") var runtime: String?
    @Option(help: "How long ended tasks are kept (default: 1h).") var retain: String?
    @Option(help: "How much output of each task is kept, such as 40M (default).")
    var logMax: String?
    @Option(help: "How much images take on this node's disk, such as 20G (default).")
    var imageMax: String?
    @Option(help: "trace, debug, info (default), warning or error.") var logLevel: String?
    @Flag(help: "Run no tasks; needs no container runtime.") var noTasks = false

    static func dataDirectory(_ wanted: String?) -> String {
        let environment = ProcessInfo.processInfo.environment
        let chosen = wanted ?? environment["MAGPIE_DATA_DIR"]
        if let chosen, !chosen.isEmpty { return absolute(chosen) }
        if geteuid() == 0, OrdinaryUser.current == nil { return "/var/lib/magpie" }
        return "\(environment["HOME"] ?? "/")/.local/share/magpie"
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/")
            ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// Everything that was set, from command line, environment and file, checked.
    func settings() throws -> DaemonSettings {
        var values = try DaemonSettings.file(config)
        let variables = DaemonSettings.environment(ProcessInfo.processInfo.environment)
        values.merge(variables) { _, new in new }
        let given: [(String, [String?])] = [
            ("data-dir", [dataDir]), ("name", [name]), ("bind", [bind]),
            ("advertise", [advertise]), ("api", [api]), ("api-cert", [apiCert]),
            ("api-key", [apiKey]),
            ("api-insecure-loopback", [apiInsecureLoopback ? "true" : nil]), ("rootfs", [rootfs]),
            ("cpus", [cpus]),
            ("memory", [memory]), ("label", label), ("profile", [profile]),
            ("steal-policy", [stealPolicy]),
            ("allow-volume", allowVolume), ("allow-cap", allowCap),
            ("allow-host-network", [allowHostNetwork ? "true" : nil]),
            ("runtime", [runtime]), ("retain", [retain]),
            ("log-max", [logMax]), ("image-max", [imageMax]), ("log-level", [logLevel]),
            ("no-tasks", [noTasks ? "true" : nil]),
        ]
        for (option, entries) in given {
            let set = entries.compactMap { $0 }
            if !set.isEmpty { values[option] = set }
        }
        return try DaemonSettings(values)
    }
}
