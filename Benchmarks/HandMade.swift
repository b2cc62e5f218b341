import CShims
import Foundation
import Glibc

/// Containers that are made without Magpie: what the machine and its tools take by themselves.
///
/// Every function here blocks, and is called on a thread that may.
struct HandMade: Sendable {
    /// Bundles, and what the tools keep.
    let folder: String
    /// `magpie-launch` and the hierarchy that runtimes must not see, before every program.
    let entrance: [String]
    let runtime: String
    let conmon: String
    /// The configuration of one of Magpie's own containers, with its compiled filter.
    let configuration: Data
    /// The root file system below all of them, read-only.
    let root: String

    private static let groupName = "magpie-bench"

    // MARK: Ways

    /// Starts `/bin/true` and waits for its end.
    func spawn() throws { try HandMade.run("/bin/true", []) }

    /// `crun run`, which compiles the filter.
    func run(_ id: String) throws {
        let bundle = try bundle(id, isCompiled: false)
        defer { try? FileManager.default.removeItem(atPath: bundle) }
        try enter(runtime, options + ["run", "-b", bundle, id])
    }

    /// What Magpie does, by hand: conmon, create, start, end, delete.
    func monitored(_ id: String) throws {
        let bundle = try bundle(id, isCompiled: true)
        defer { try? FileManager.default.removeItem(atPath: bundle) }
        var ends: [Int32] = [0, 0]
        guard magpie_pipe(&ends) == 0 else { throw BenchFailure("no pipe") }
        let launcher: pid_t
        do {
            defer { close(ends[1]) }
            launcher = try HandMade.spawn(
                entrance[0], Array(entrance.dropFirst()) + [conmon] + monitorOptions(id, bundle),
                inherited: ends[1], environment: ["_OCI_SYNCPIPE=3"])
        }
        var report = [UInt8](repeating: 0, count: 4_096)
        let count = read(ends[0], &report, report.count)
        let text = String(decoding: report.prefix(max(count, 0)), as: UTF8.self)
        guard HandMade.wait(for: launcher) == 0, text.contains("\"data\":"),
            !text.contains("-1")
        else {
            close(ends[0])
            throw BenchFailure("conmon: \(text)")
        }
        try HandMade.run(runtime, options + ["start", id])
        // The monitor holds the pipe until it ends, its exit file written.
        while read(ends[0], &report, report.count) > 0 {}
        close(ends[0])
        try HandMade.run(runtime, options + ["delete", "--force", id])
    }

    /// `podman run --rm`, with its own defaults.
    func podman(_ program: String) throws {
        let run = "/run/magpie-bench-\(getpid())"
        try enter(
            program,
            [
                "--root", "\(folder)/podman", "--runroot", "\(run)/run", "--tmpdir", "\(run)/tmp",
                "--storage-driver", "vfs", "--runtime", runtime, "--cgroup-manager", "cgroupfs",
                "run", "--rm", "--network", "none", "--ulimit", "nofile=256:256", "--ulimit",
                "nproc=1024:1024", "--read-only", "-v", "/usr:/usr:ro", "--rootfs", root,
                "/usr/bin/true",
            ])
    }

    /// Removes what the ways above leave by design: groups, and podman's directory.
    func cleanUp() {
        try? FileManager.default.removeItem(atPath: "/run/magpie-bench-\(getpid())")
        let hierarchies = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup"))
        for hierarchy in (hierarchies ?? []) + ["."] {
            rmdir("/sys/fs/cgroup/\(hierarchy)/\(HandMade.groupName)")
        }
    }

    // MARK: Parts

    private var options: [String] { ["--root=\(folder)/runtime", "--cgroup-manager=cgroupfs"] }

    private func monitorOptions(_ id: String, _ bundle: String) -> [String] {
        [
            "--api-version", "1", "-c", id, "-u", id, "-n", id, "-r", runtime, "-b", bundle, "-p",
            "\(bundle)/pid", "--conmon-pidfile", "\(bundle)/conmon.pid", "--exit-dir", bundle,
            "--persist-dir", bundle, "--full-attach", "-l", "k8s-file:\(bundle)/log",
            "--log-level", "warning", "--no-sync-log",
        ] + options.flatMap { ["--runtime-arg", $0] }
    }

    private func bundle(_ id: String, isCompiled: Bool) throws -> String {
        let bundle = "\(folder)/\(id)"
        try FileManager.default.createDirectory(
            atPath: bundle, withIntermediateDirectories: true)
        guard
            var object = try JSONSerialization.jsonObject(with: configuration) as? [String: Any],
            var linux = object["linux"] as? [String: Any],
            let namespaces = linux["namespaces"] as? [[String: String]]
        else { throw BenchFailure("the container's configuration can't be read") }
        linux["namespaces"] = namespaces.map { ["type": $0["type"] ?? ""] }
        linux["cgroupsPath"] = "/\(HandMade.groupName)/\(id)"
        object["linux"] = linux
        object["root"] = ["path": root, "readonly": true] as [String: Any]
        if !isCompiled { object["annotations"] = nil }
        let data = try JSONSerialization.data(withJSONObject: object)
        try data.write(to: URL(fileURLWithPath: "\(bundle)/config.json"))
        return bundle
    }

    private func enter(_ program: String, _ arguments: [String]) throws {
        try HandMade.run(entrance[0], Array(entrance.dropFirst()) + [program] + arguments)
    }

    private static func run(_ path: String, _ arguments: [String]) throws {
        let code = wait(for: try spawn(path, arguments, inherited: -1, environment: []))
        guard code == 0 else {
            throw BenchFailure("\(path) \(arguments.prefix(12)): ended with \(code)")
        }
    }

    private static func spawn(
        _ path: String, _ arguments: [String], inherited: Int32, environment: [String]
    ) throws -> pid_t {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] =
            (["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + environment)
            .map { strdup($0) }
        argv.append(nil)
        envp.append(nil)
        defer { for pointer in argv + envp { free(pointer) } }
        var id: pid_t = 0
        let status = magpie_spawn(&id, path, argv, envp, nil, null, null, null, inherited)
        guard status == 0 else { throw BenchFailure("can't start \(path): errno \(status)") }
        return id
    }

    private static func wait(for id: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }
}
