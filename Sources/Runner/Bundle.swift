import Foundation
import Glibc
import Model

/// Where one container keeps its things.
struct ContainerPaths: Sendable {
    let id: ContainerID
    /// Bundle, sockets and marks; below `/run`.
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
        group = "/magpie-\(configuration.groupName)/\(id)"
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
}

/// Writes OCI bundles: what podman's defaults give, hardened as `Docs` says, for one spec.
struct BundleWriter {
    let configuration: RunnerConfiguration
    let cgroups: Cgroups
    let seccomp: SeccompProfile

    /// podman's default capabilities.
    static let capabilities: Set<String> = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
        "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_CHROOT",
    ]
    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    init(configuration: RunnerConfiguration, cgroups: Cgroups) throws(RunnerError) {
        self.configuration = configuration
        self.cgroups = cgroups
        seccomp = try SeccompProfile(
            path: configuration.seccompProfile, capabilities: BundleWriter.capabilities)
    }

    /// The directory below the writable layer.
    func lower(of spec: TaskSpec) throws(RunnerError) -> String {
        let wanted: String?
        switch spec.rootfs {
        case .host: wanted = configuration.rootfs
        case .directory(let path): wanted = path
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

    private func usesHost(_ spec: TaskSpec) -> Bool {
        spec.rootfs == .host && configuration.rootfs == nil
    }

    /// Says what is wrong with a spec before anything is made for it.
    func check(_ spec: TaskSpec) throws(ContainerFailure) {
        do {
            try checkAll(spec)
        } catch let failure as ContainerFailure {
            throw failure
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
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

    // MARK: Checks that tell 126 and 127 from 125

    private func checkAll(_ spec: TaskSpec) throws {
        guard let program = spec.command.first, !program.isEmpty else {
            throw ContainerFailure(code: 125, message: "the task has no command")
        }
        for volume in spec.volumes { _ = try source(of: volume) }
        let root = usesHost(spec) ? "" : try lower(of: spec)
        let candidates =
            program.contains("/")
            ? [program.hasPrefix("/") ? program : "\(spec.workingDirectory)/\(program)"]
            : searchPath(spec).map { "\($0)/\(program)" }
        // Below a volume or a link that leads elsewhere only the runtime can tell.
        let isBelowVolume = candidates.contains { candidate in
            spec.volumes.contains { candidate.hasPrefix($0.target + "/") }
        }
        guard !isBelowVolume else { return }
        let present = candidates.filter { Files.existsInside(root, $0) }
        guard let found = present.first else {
            throw ContainerFailure(
                code: 127, message: "\(program): command not found in the container")
        }
        guard present.contains(where: { Files.isExecutableInside(root, $0) }) else {
            throw ContainerFailure(
                code: 126, message: "\(found): can't be executed (no permission, or a directory)")
        }
    }

    private func searchPath(_ spec: TaskSpec) -> [String] {
        let own = spec.environment.last { $0.hasPrefix("PATH=") }
        return (own.map { String($0.dropFirst(5)) } ?? BundleWriter.path)
            .split(separator: ":").map(String.init)
    }

    /// A volume's real source, below one of the allowed directories once links are resolved.
    private func source(of volume: VolumeMount) throws -> String {
        guard volume.source.hasPrefix("/"), volume.target.hasPrefix("/"), volume.target != "/"
        else {
            throw ContainerFailure(
                code: 125,
                message: "volume \(volume.source):\(volume.target): both paths must be absolute")
        }
        guard Files.exists(volume.source) else {
            throw ContainerFailure(
                code: 125, message: "volume \(volume.source): does not exist on this node")
        }
        let real = Files.realPath(volume.source)
        let isAllowed = configuration.volumesAllowed.contains { allowed in
            let root = Files.realPath(allowed)
            return real == root || real.hasPrefix(root == "/" ? "/" : root + "/")
        }
        guard isAllowed else {
            throw ContainerFailure(
                code: 125,
                message: "volume \(volume.source): not allowed on this node; its operator can "
                    + "allow it with --allow-volume")
        }
        return real
    }

    // MARK: config.json

    private func document(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ sandbox: Sandbox
    ) throws -> [String: Any] {
        let linux: [String: Any] = [
            "namespaces": namespaces(sandbox), "resources": resources(spec),
            "cgroupsPath": paths.group,
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
            "seccomp": seccomp.object,
        ]
        let capabilities = BundleWriter.capabilities.sorted()
        return [
            "ociVersion": "1.0.2", "hostname": "magpie",
            "root": ["path": paths.rootfs, "readonly": false],
            "process": [
                "terminal": false, "user": ["uid": 0, "gid": 0], "cwd": spec.workingDirectory,
                "args": spec.command,
                "env": environment(spec, paths.id), "noNewPrivileges": true,
                "capabilities": [
                    "bounding": capabilities, "effective": capabilities,
                    "permitted": capabilities,
                ],
                "rlimits": [
                    ["type": "RLIMIT_CORE", "hard": 0, "soft": 0],
                    // Not the daemon's own, which is as high as it goes.
                    [
                        "type": "RLIMIT_NOFILE", "hard": OpenFiles.atStart.hard,
                        "soft": OpenFiles.atStart.soft,
                    ],
                ],
            ],
            "mounts": try mounts(spec), "linux": linux,
        ]
    }

    private func environment(_ spec: TaskSpec, _ id: ContainerID) -> [String] {
        var settings = [
            "PATH=\(BundleWriter.path)", "HOME=/root", "MAGPIE_TASK_ID=\(id.task)",
            "MAGPIE_TOKEN=\(id.token)", "MAGPIE_NODE_NAME=\(configuration.nodeName)",
        ]
        for setting in spec.environment {
            let name = setting.prefix { $0 != "=" } + "="
            settings.removeAll { $0.hasPrefix(name) }
            settings.append(setting)
        }
        return settings
    }

    private func namespaces(_ sandbox: Sandbox) -> [[String: String]] {
        let kinds = ["ipc", "uts", "mount", "network"] + (cgroups.isUnified ? ["cgroup"] : [])
        return kinds.map { ["type": $0] } + [["type": "pid", "path": sandbox.path]]
    }

    private func resources(_ spec: TaskSpec) -> [String: Any] {
        var memory: [String: Any] = ["limit": spec.resources.memoryBytes]
        if cgroups.countsSwap { memory["swap"] = spec.resources.memoryBytes }
        let period = 100_000
        let quota = max(1_000, Int(spec.resources.cpuMillis) * period / 1_000)
        return [
            "devices": [["allow": false, "access": "rwm"]], "memory": memory,
            "cpu": [
                "quota": quota, "period": period,
                "shares": max(2, Int(spec.resources.cpuMillis) * 1_024 / 1_000),
            ],
            "pids": ["limit": Int(spec.pidsMax)],
        ]
    }

    private func mounts(_ spec: TaskSpec) throws -> [[String: Any]] {
        func mount(_ target: String, _ type: String, _ source: String, _ options: [String])
            -> [String: Any]
        {
            ["destination": target, "type": type, "source": source, "options": options]
        }
        var mounts = [
            mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts", "devpts", "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount(
                "/dev/shm", "tmpfs", "shm",
                ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
            mount("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
        ]
        if usesHost(spec) {
            mounts += HostRootfs.binds.map {
                mount($0.target, "bind", $0.source, readOnlyBind($0.source) + ["nosuid", "nodev"])
            }
        }
        for volume in spec.volumes {
            let source = try source(of: volume)
            let options = volume.isReadOnly ? readOnlyBind(source) : ["rbind", "rw"]
            mounts.append(mount(volume.target, "bind", source, options + ["nosuid", "nodev"]))
        }
        return mounts
    }

    /// What is mounted below a directory must be read-only too; crun takes that for directories only.
    private func readOnlyBind(_ source: String) -> [String] {
        Files.isDirectory(source) ? ["rbind", "rro"] : ["bind", "ro"]
    }
}

extension Files {
    /// Whether a path exists below a root, links in the last part not followed out of it.
    static func existsInside(_ root: String, _ path: String) -> Bool {
        var status = stat()
        return lstat(resolve(root, path), &status) == 0
    }

    static func isExecutableInside(_ root: String, _ path: String) -> Bool {
        let resolved = resolve(root, path)
        var status = stat()
        guard lstat(resolved, &status) == 0 else { return false }
        if status.st_mode & S_IFMT == S_IFLNK { return true }  // the runtime will tell
        return status.st_mode & S_IFMT == S_IFREG && status.st_mode & 0o111 != 0
    }

    /// Follows the links that `/bin → usr/bin` and the like are, inside the root.
    private static func resolve(_ root: String, _ path: String) -> String {
        var resolved = root
        for part in path.split(separator: "/") {
            let next = "\(resolved)/\(part)"
            var buffer = [CChar](repeating: 0, count: 4_097)
            let count = readlink(next, &buffer, 4_096)
            if count > 0, part != path.split(separator: "/").last {
                let link = String(
                    decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                resolved = link.hasPrefix("/") ? root + link : "\(resolved)/\(link)"
            } else {
                resolved = next
            }
        }
        return resolved
    }
}
