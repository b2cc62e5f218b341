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
        try BundleWriter.checkUser(user, configuration.ordinaryUser)
        let ids = [user.user, user.group] + user.otherGroups
        if spec.options.hasUserNamespace, let highest = ids.max(), highest >= Self.usersCount {
            throw RunnerError(
                "the user or group \(highest) does not exist among users of the task's own "
                    + "(--userns), which are \(Self.usersCount)")
        }
        // Below a mount only the runtime can tell.
        let mounts = spec.volumes.map(\.target) + spec.options.tmpfs.map(\.target)
        try BundleWriter.find(
            program, in: tree, by: user, at: spec.workingDirectory ?? "/", path: searchPath(spec),
            mounts: mounts)
    }

    /// Makes sure that a program is there, and can be executed.
    static func find(
        _ program: String, in tree: RootTree, by user: ProcessUser, at directory: String,
        path: [String], mounts: [String] = []
    ) throws(ContainerFailure) {
        let candidates =
            program.contains("/")
            ? [program.hasPrefix("/") ? program : "\(directory)/\(program)"]
            : path.map { "\($0)/\(program)" }
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

    /// Makes sure that a user and his groups are somebody on this node.
    static func checkUser(
        _ user: ProcessUser, _ node: OrdinaryUser?
    ) throws(RunnerError) {
        guard let node, !node.has(user) else { return }
        throw RunnerError(
            "the user \(user.user):\(user.group) or one of his groups is nobody on this node, which an "
                + "ordinary user runs with \(node.users.count) users and \(node.groups.count) groups "
                + "for tasks; `daemon doctor` says how he gets more")
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
        guard !options.hasUserNamespace || configuration.ordinaryUser == nil else {
            throw RunnerError(
                "this node is an ordinary user's, and has no users to give that are a task's own "
                    + "(--userns); root in a task is that user here, and nobody more")
        }
        guard !options.hasUserNamespace || options.network == .none else {
            throw RunnerError(
                "users of its own (--userns) and the node's network do not go together")
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

    /// How many users and groups a task has that has some of its own; the guard makes as many.
    static let usersCount: UInt32 = 65_536

    private static func isPath(_ path: String, below mounts: [String]) -> Bool {
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
