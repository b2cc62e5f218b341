import Model

/// What a container finds mounted.
extension BundleWriter {
    /// The default size of `/dev/shm`.
    private static let shmSizeBytes: UInt64 = 64 << 20

    func mounts(_ spec: TaskSpec) throws -> [[String: Any]] {
        var mounts = kernelMounts(spec)
        if usesHost(spec) {
            mounts += HostRootfs.binds.map {
                mount($0.target, "bind", $0.source, readOnlyBind($0.source) + ["nosuid", "nodev"])
            }
        }
        // The outer ones first, or they would hide the inner ones.
        for target in spec.options.tmpfs.sorted(by: { $0.target < $1.target }) {
            mounts.removeAll { $0["destination"] as? String == target.target }
            let size = target.sizeBytes.map { ["size=\($0)"] } ?? []
            mounts.append(
                mount(target.target, "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"] + size))
        }
        for volume in spec.volumes {
            let source = try source(of: volume)
            let options = volume.isReadOnly ? readOnlyBind(source) : ["rbind", "rw"]
            mounts.append(mount(volume.target, "bind", source, options + ["nosuid", "nodev"]))
        }
        return mounts
    }

    private func kernelMounts(_ spec: TaskSpec) -> [[String: Any]] {
        let shmSize = spec.options.shmSizeBytes ?? BundleWriter.shmSizeBytes
        return [
            mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts", "devpts", "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount(
                "/dev/shm", "tmpfs", "shm",
                ["nosuid", "noexec", "nodev", "mode=1777", "size=\(shmSize)"]),
            mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            systemMount(spec),
            mount("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
        ]
    }

    /// Who is not root may not mount the kernel's view of a network that is not his own.
    private func systemMount(_ spec: TaskSpec) -> [String: Any] {
        let options = ["nosuid", "noexec", "nodev"]
        return spec.options.network == .host && configuration.ordinaryUser != nil
            ? mount("/sys", "bind", "/sys", ["rbind", "rro"] + options)
            : mount("/sys", "sysfs", "sysfs", options + ["ro"])
    }

    private func mount(
        _ target: String, _ type: String, _ source: String, _ options: [String]
    ) -> [String: Any] {
        ["destination": target, "type": type, "source": source, "options": options]
    }

    /// What is mounted below a directory must be read-only too; crun takes that for directories only.
    private func readOnlyBind(_ source: String) -> [String] {
        Files.isDirectory(source) ? ["rbind", "rro"] : ["bind", "ro"]
    }
}
