import Foundation
import Glibc
import Model

/// Where one container keeps its things.
struct ContainerPaths: Sendable {
    let id: ContainerID
    /// Bundle, sockets and marks; below the run directory.
    let bundle: String
    /// The writable layer.
    let layer: String
    /// The log's segments.
    let log: String
    let exits: String
    let group: String

    init(_ id: ContainerID, _ configuration: RunnerConfiguration) {
        self.id = id
        bundle = "\(configuration.runDirectory)/bundles/\(id)"
        layer = "\(configuration.dataDirectory)/layers/\(id)"
        log = "\(configuration.dataDirectory)/logs/\(id)"
        exits = "\(configuration.runDirectory)/exits"
        group = "\(configuration.nodeGroup)/\(id)"
    }

    /// The group above it, that of the node.
    var parentGroup: String { group.split(separator: "/").first.map { "/\($0)" } ?? "/" }
    var exitFile: String { "\(exits)/\(id)" }
    var rootfs: String { "\(bundle)/rootfs" }
    var startedMark: String { "\(bundle)/started" }
    var failureMark: String { "\(bundle)/failure" }
    var endedMark: String { "\(log)/ended" }
    var pidFile: String { "\(bundle)/pid" }
    var monitorPidFile: String { "\(bundle)/conmon.pid" }
    var sandboxFile: String { "\(bundle)/sandbox" }
    var outOfMemoryMark: String { "\(bundle)/oom" }
    /// The number of the project that limits the writable layer, if one does.
    var projectFile: String { "\(layer)/project" }
    /// Says what the program reads, when it reads something: a `TaskInput.Kind`.
    var inputMark: String { "\(bundle)/input" }
    /// The number of the signal with which the image asks its program to end, if it names one.
    var stopSignalFile: String { "\(bundle)/stop-signal" }
}

/// Writes OCI bundles: what podman's defaults give, hardened as `Docs` says, for one spec.
struct BundleWriter {
    let configuration: RunnerConfiguration
    let cgroups: Cgroups
    let seccomp: SeccompProfile

    static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    init(configuration: RunnerConfiguration, cgroups: Cgroups) throws(RunnerError) {
        self.configuration = configuration
        self.cgroups = cgroups
        seccomp = try SeccompProfile(path: configuration.seccompProfile)
    }

    /// The directory below the writable layer.
    func lower(of spec: TaskSpec) throws(RunnerError) -> String {
        let wanted: String?
        switch spec.rootfs {
        case .host: wanted = configuration.rootfs
        case .directory(let path): wanted = path
        case .image(let name, _):
            throw RunnerError("the image \(name) has not been unpacked")
        }
        guard let wanted else { return "\(configuration.dataDirectory)/host-rootfs" }
        guard Files.isDirectory(wanted) else {
            throw RunnerError("the root file system \(wanted) is not a directory on this node")
        }
        guard !wanted.contains(","), !wanted.contains(":") else {
            throw RunnerError("the root file system \(wanted) must not have , or : in its path")
        }
        return Files.realPath(wanted)
    }

    func usesHost(_ spec: TaskSpec) -> Bool {
        spec.rootfs == .host && configuration.rootfs == nil
    }

    /// Where programs and users are looked up before the container is made.
    func tree(of spec: TaskSpec) throws(RunnerError) -> RootTree {
        RootTree(usesHost(spec) ? "/" : try lower(of: spec))
    }

    func user(of spec: TaskSpec) throws(RunnerError) -> ProcessUser {
        let tree = try tree(of: spec)
        return try spec.options.user.map { (wanted) throws(RunnerError) in
            try tree.user(wanted)
        } ?? .root
    }

    func searchPath(_ spec: TaskSpec) -> [String] {
        let own = spec.environment.last { $0.hasPrefix("PATH=") }
        return (own.map { String($0.dropFirst(5)) } ?? BundleWriter.path)
            .split(separator: ":").map(String.init)
    }

    /// Writes `config.json`; the container's processes will live in `sandbox`.
    func write(
        _ spec: TaskSpec, in sandbox: Sandbox, to paths: ContainerPaths
    ) throws(ContainerFailure) {
        do {
            let object = try document(spec, paths, sandbox)
            let data = try JSONSerialization.data(withJSONObject: object)
            try Files.write(Array(data), to: "\(paths.bundle)/config.json")
        } catch let failure as ContainerFailure {
            throw failure
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
    }

    // MARK: config.json

    private func document(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ sandbox: Sandbox
    ) throws -> [String: Any] {
        let rights = seccomp.rights(for: Capabilities.effective(spec.options))
        var linux: [String: Any] = [
            "namespaces": namespaces(spec, sandbox),
            "maskedPaths": [
                "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
                "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block",
                "/sys/devices/virtual/powercap",
            ],
            "readonlyPaths": [
                "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                "/proc/sysrq-trigger",
            ],
            "seccomp": rights.object,
        ]
        // Without a group there is nothing that could hold a limit, and runtimes say nothing of it.
        if cgroups.isUsable {
            linux["cgroupsPath"] = paths.group
            linux["resources"] = resources(spec)
        }
        return [
            "ociVersion": "1.0.2", "hostname": spec.options.hostname ?? "magpie",
            "root": ["path": paths.rootfs, "readonly": spec.options.isRootReadOnly],
            "process": try process(spec, paths.id), "mounts": try mounts(spec),
            "linux": linux.merging(userMappings(spec, sandbox)) { $1 },
            "annotations": rights.compiled.map { [SeccompFilter.annotation: $0] } ?? [:],
        ]
    }

    private func process(_ spec: TaskSpec, _ id: ContainerID) throws(RunnerError) -> [String: Any] {
        let user = try user(of: spec)
        let bounding = Capabilities.effective(spec.options)
        // As with podman: who is not root has the capabilities that were asked for by name alone.
        let added = spec.options.capabilitiesAdded
        let own =
            user.user == 0
            ? bounding : added.contains(Capabilities.all) ? bounding : bounding.intersection(added)
        var capabilities = [
            "bounding": bounding.sorted(), "effective": own.sorted(), "permitted": own.sorted(),
        ]
        if user.user != 0 {
            capabilities["inheritable"] = own.sorted()
            capabilities["ambient"] = own.sorted()
        }
        var description: [String: Any] = [
            "terminal": spec.options.terminal != nil,
            "user": [
                "uid": Int(user.user), "gid": Int(user.group),
                "additionalGids": user.otherGroups.map(Int.init),
            ] as [String: Any],
            "cwd": spec.workingDirectory ?? "/", "args": spec.command,
            "env": environment(spec, id, home: user.home), "noNewPrivileges": true,
            "capabilities": capabilities, "rlimits": rlimits(spec),
        ]
        if let size = spec.options.terminal {
            description["consoleSize"] = ["height": Int(size.rows), "width": Int(size.columns)]
        }
        return description
    }

    private func rlimits(_ spec: TaskSpec) -> [[String: Any]] {
        // Not the daemon's own number of files, which is as high as it goes.
        var limits = [
            Ulimit(kind: .core, soft: 0, hard: 0),
            Ulimit(kind: .nofile, soft: OpenFiles.atStart.soft, hard: OpenFiles.atStart.hard),
        ]
        for limit in spec.options.ulimits {
            limits.removeAll { $0.kind == limit.kind }
            limits.append(limit)
        }
        return limits.map {
            ["type": "RLIMIT_\($0.kind.name.uppercased())", "hard": $0.hard, "soft": $0.soft]
        }
    }

    private func environment(_ spec: TaskSpec, _ id: ContainerID, home: String) -> [String] {
        var settings = [
            "PATH=\(BundleWriter.path)", "HOME=\(home)", "MAGPIE_TASK_ID=\(id.task)",
            "MAGPIE_TOKEN=\(id.token)", "MAGPIE_NODE_NAME=\(configuration.nodeName)",
        ]
        if let hostname = spec.options.hostname { settings.append("HOSTNAME=\(hostname)") }
        if spec.options.terminal != nil { settings.append("TERM=xterm") }
        return BundleWriter.merge(settings, spec.environment)
    }

    /// Settings with others put in their places, or added.
    static func merge(_ settings: [String], _ others: [String]) -> [String] {
        var settings = settings
        for setting in others {
            let name = setting.prefix { $0 != "=" } + "="
            settings.removeAll { $0.hasPrefix(name) }
            settings.append(setting)
        }
        return settings
    }

    private func namespaces(_ spec: TaskSpec, _ sandbox: Sandbox) -> [[String: String]] {
        let kinds =
            ["ipc", "uts", "mount"] + (spec.options.network == .host ? [] : ["network"])
            + (cgroups.isUnified ? ["cgroup"] : [])
        let users = spec.options.hasUserNamespace
        return kinds.map { ["type": $0] } + [["type": "pid", "path": sandbox.path]]
            + (users ? [["type": "user", "path": sandbox.usersPath]] : [])
    }

    /// runc 1.1 joins no user namespace without being told what is mapped in it.
    private func userMappings(_ spec: TaskSpec, _ sandbox: Sandbox) -> [String: Any] {
        guard spec.options.hasUserNamespace, configuration.isRunc else { return [:] }
        return ["uidMappings": "uid_map", "gidMappings": "gid_map"].mapValues { name in
            let lines = (Files.text("/proc/\(sandbox.process)/\(name)") ?? "").split(
                separator: "\n")
            return lines.map { line in
                let numbers = line.split(separator: " ").compactMap { UInt32($0) }
                return Dictionary(
                    uniqueKeysWithValues: zip(["containerID", "hostID", "size"], numbers))
            }
        }
    }

    private func resources(_ spec: TaskSpec) -> [String: Any] {
        var memory: [String: Any] = ["limit": spec.resources.memoryBytes]
        if cgroups.countsSwap { memory["swap"] = spec.resources.memoryBytes }
        let period = 100_000
        return [
            "devices": [["allow": false, "access": "rwm"]], "memory": memory,
            "cpu": [
                "quota": BundleWriter.quota(of: spec.resources, period: period), "period": period,
                "shares": max(2, Int(spec.resources.cpuMillis) * 1_024 / 1_000),
            ],
            "pids": ["limit": Int(spec.pidsMax)],
        ]
    }

    /// How much of a period a task may run; the kernel takes no less than a millisecond.
    static func quota(of resources: Resources, period: Int) -> Int {
        max(1_000, Int(resources.cpuMillis) * period / 1_000)
    }
}
