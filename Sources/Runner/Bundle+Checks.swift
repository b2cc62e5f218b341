import Glibc
import Model

/// What is wrong with a spec is said before anything is made for it, and told apart: 127 what is
/// missing, 126 what can't be executed, 125 what this node does not give.
extension BundleWriter {
    func check(_ spec: TaskSpec) throws(ContainerFailure) {
        do {
            try checkAll(spec)
        } catch let failure as ContainerFailure {
            throw failure
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
    }

    private func checkAll(_ spec: TaskSpec) throws {
        guard let program = spec.command.first, !program.isEmpty else {
            throw RunnerError("the task has no command")
        }
        if let field = spec.fieldsNotUnderstood.first {
            throw RunnerError("the task asks for what this version does not know (field \(field))")
        }
        try checkOptions(spec.options)
        for volume in spec.volumes { _ = try source(of: volume) }
        let tree = try tree(of: spec)
        let user = try user(of: spec)
        let candidates =
            program.contains("/")
            ? [program.hasPrefix("/") ? program : "\(spec.workingDirectory)/\(program)"]
            : searchPath(spec).map { "\($0)/\(program)" }
        // Below a mount only the runtime can tell.
        let mounts = spec.volumes.map(\.target) + spec.options.tmpfs.map(\.target)
        guard !candidates.contains(where: { isPath($0, below: mounts) }) else { return }
        let present = candidates.filter { tree.entry($0) != nil }
        guard let found = present.first else {
            throw ContainerFailure(
                code: 127, message: "\(program): command not found in the container")
        }
        let executable = present.first { tree.entry($0)?.isExecutable(by: user) == true }
        guard let executable else {
            throw ContainerFailure(
                code: 126, message: "\(found): can't be executed (no permission, or a directory)")
        }
        if let problem = ProgramFile(tree: tree).problem(of: executable, mounts: mounts) {
            throw ContainerFailure(code: 126, message: problem)
        }
    }

    /// What the operator allows holds here too: a spec may come from a peer that thinks otherwise.
    private func checkOptions(_ options: ContainerOptions) throws(RunnerError) {
        let forbidden = Capabilities.forbidden(
            options, allowed: configuration.capabilitiesAllowed)
        guard forbidden.isEmpty else {
            throw RunnerError(
                "the capability \(forbidden[0]) is not allowed on this node; its operator can allow "
                    + "it with --allow-cap")
        }
        guard options.network == .none || configuration.allowsHostNetwork else {
            throw RunnerError(
                "the node's network is not given to tasks here; its operator can allow it with "
                    + "--allow-host-network")
        }
        for mount in options.tmpfs where !ContainerOptions.isMountTarget(mount.target) {
            throw RunnerError("nothing can be mounted at \(mount.target)")
        }
        for limit in options.ulimits {
            var own = rlimit()
            let kind = __rlimit_resource_t(UInt32(limit.kind.rawValue))
            guard limit.soft <= limit.hard, getrlimit(kind, &own) == 0,
                limit.hard <= UInt64(own.rlim_max)
            else {
                throw RunnerError(
                    "the limit \(limit.kind.name) is higher than this node's own, \(own.rlim_max)")
            }
        }
    }

    private func isPath(_ path: String, below mounts: [String]) -> Bool {
        mounts.contains { path.hasPrefix($0 == "/" ? "/" : $0 + "/") }
    }

    /// A volume's real source, below one of the allowed directories once links are resolved.
    func source(of volume: VolumeMount) throws(RunnerError) -> String {
        guard volume.source.hasPrefix("/"), volume.target.hasPrefix("/"), volume.target != "/"
        else {
            throw RunnerError(
                "volume \(volume.source):\(volume.target): both paths must be absolute")
        }
        guard Files.exists(volume.source) else {
            throw RunnerError("volume \(volume.source): does not exist on this node")
        }
        let real = Files.realPath(volume.source)
        let isAllowed = configuration.volumesAllowed.contains { allowed in
            let root = Files.realPath(allowed)
            return real == root || real.hasPrefix(root == "/" ? "/" : root + "/")
        }
        guard isAllowed else {
            throw RunnerError(
                "volume \(volume.source): not allowed on this node; its operator can allow it with "
                    + "--allow-volume")
        }
        return real
    }
}

/// Tells from a program's first bytes whether the kernel could run it.
///
/// The runtime finds out only when it has replaced itself, and then nobody hears of it but the
/// task's own output.
struct ProgramFile {
    let tree: RootTree

    /// How much of a file is looked at: what the kernel reads of a script's first line.
    private static let headSizeBytes = 256
    private static let interpretersMax = 5

    /// What is wrong with a program, in words; `nil` when nothing is, as far as can be seen.
    func problem(of path: String, mounts: [String]) -> String? {
        var program = path
        for _ in 0..<ProgramFile.interpretersMax {
            guard let head = tree.read(program, limit: ProgramFile.headSizeBytes) else {
                return nil
            }
            if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) { return elfProblem(of: program, head) }
            guard head.starts(with: Array("#!".utf8)) else {
                return Self.kernelKnowsMore
                    ? nil : "\(program): not a program for this machine (exec format error)"
            }
            let line = head.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
            let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard let interpreter = words.first.map(String.init) else {
                return "\(program): names no interpreter behind #! (exec format error)"
            }
            guard let entry = tree.entry(interpreter) else {
                // A link may lead into what is mounted: only the runtime can tell.
                return !mounts.isEmpty
                    ? nil : "\(program): its interpreter \(interpreter) is not in the container"
            }
            guard entry.isFile, entry.mode & 0o111 != 0 else {
                return "\(program): its interpreter \(interpreter) can't be executed"
            }
            program = interpreter
        }
        return "\(path): its interpreters name each other"
    }

    /// Other formats may be known to the kernel by way of `binfmt_misc`.
    private static var kernelKnowsMore: Bool {
        !Files.names(in: "/proc/sys/fs/binfmt_misc").filter {
            !["register", "status"].contains($0)
        }
        .isEmpty
    }

    private func elfProblem(of program: String, _ head: [UInt8]) -> String? {
        guard head.count >= 20, !Self.kernelKnowsMore else { return nil }
        let machine = UInt16(head[18]) | UInt16(head[19]) << 8
        return Self.machines.contains(machine)
            ? nil : "\(program): made for another processor (exec format error)"
    }

    #if arch(arm64)
        private static let machines: Set<UInt16> = [183, 40]
    #else
        private static let machines: Set<UInt16> = [62, 3]
    #endif
}
