package import Model

/// A submission as the API takes it.
package struct SubmitRequest: Codable, Hashable, Sendable {
    /// An ID (UUID of version 7) that the client chose, so that it may repeat itself safely.
    package var id: String?
    /// What to run.
    package var spec: SpecView
    /// How many disks must hold the task: a number, or `majority`; 2 when absent.
    package var ack: String?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case id, spec, ack
    }

    /// Makes a request.
    package init(id: String? = nil, spec: SpecView, ack: String? = nil) {
        self.id = id
        self.spec = spec
        self.ack = ack
    }
}

/// Fields of a request that no version of the API so far knows.
///
/// They are refused: a limit whose name is misspelt must not silently be no limit.
package struct UnknownFields: Decodable, Sendable {
    /// The fields, with the path to them, sorted.
    package var names: [String]
    private let all: [String]

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Looks at the fields of a submission; never fails on what it does not know.
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: AnyKey.self)
        let known = Set(SubmitRequest.CodingKeys.allCases.map(\.rawValue))
        all = fields.allKeys.map(\.stringValue)
        names = all.filter { !known.contains($0) }
        if let key = fields.allKeys.first(where: { $0.stringValue == "spec" }) {
            let spec = try fields.nestedContainer(keyedBy: AnyKey.self, forKey: key)
            let known = Set(SpecView.CodingKeys.allCases.map(\.rawValue))
            names += spec.allKeys.map(\.stringValue).filter { !known.contains($0) }
                .map { "spec.\($0)" }
        }
        names.sort()
    }

    /// Those of a request to start a program, sorted.
    package var namesInExec: [String] {
        all.filter { !ExecRequest.fieldNames.contains($0) }.sorted()
    }
}

/// The answer to a submission.
package struct SubmitReply: Codable, Hashable, Sendable {
    /// The task.
    package var task: TaskView
    /// How many disks hold it.
    package var copies: Int
    /// What a person should know: too few disks, no lock quorum; absent when all is well.
    package var notice: String?

    /// Makes a reply.
    package init(task: TaskView, copies: Int, notice: String? = nil) {
        self.task = task
        self.copies = copies
        self.notice = notice
    }
}

/// What a user asked to be run; absent fields take their defaults.
package struct SpecView: Codable, Hashable, Sendable {
    /// The program and its arguments.
    package var command: [String]
    /// `KEY=VALUE` settings.
    package var environment: [String]?
    /// Where the program starts.
    package var workdir: String?
    /// A directory that takes the place of the host's root file system.
    package var rootfs: String?
    /// The name of an image of the cluster.
    package var image: String?
    /// Cores, such as `0.5`.
    package var cpus: Double?
    /// Bytes of memory.
    package var memory: UInt64?
    /// How many processes it may have.
    package var pids: UInt32?
    /// `HOST:CONTAINER[:ro]`.
    package var volumes: [String]?
    /// `never`, `on-node-loss`, `on-failure[:N]` or `always`.
    package var restart: String?
    /// How many attempts it has at most, whatever ends them.
    package var maxAttempts: UInt32?
    /// `rerun` or `wait`.
    package var onPartition: String?
    /// Seconds that it is kept once it has ended.
    package var retainSeconds: Double?
    /// Seconds that it may run.
    package var timeoutSeconds: Double?
    /// Seconds between SIGTERM and SIGKILL.
    package var graceSeconds: Double?
    /// Labels that a node must carry.
    package var constraints: [String]?
    /// `USER[:GROUP]`, names or numbers.
    package var user: String?
    /// The name of the machine that it sees.
    package var hostname: String?
    /// Takes the place of the image's entrypoint; `[]` for none.
    package var entrypoint: [String]?
    /// The signal that asks it to end, by name or number.
    package var stopSignal: String?
    /// `none` or `host`.
    package var network: String?
    /// `PATH[:size=SIZE]`.
    package var tmpfs: [String]?
    /// Whether it can't write to its root file system.
    package var readOnly: Bool?
    /// Capabilities that it has on top, or `ALL`.
    package var capAdd: [String]?
    /// Capabilities that it goes without, or `ALL`.
    package var capDrop: [String]?
    /// `NAME=SOFT[:HARD]`.
    package var ulimits: [String]?
    /// Bytes of shared memory.
    package var shmSize: UInt64?
    /// Bytes that it may write to its root file system.
    package var disk: UInt64?
    /// Whether it runs where a limit can't be enforced.
    package var bestEffort: Bool?
    /// Whether it reads what its client sends by way of `/attach`.
    package var stdin: Bool?
    /// Whether its users are its own: root in it is nobody outside.
    package var userns: Bool?
    /// The size of its terminal; without one it has no terminal.
    package var terminal: TerminalView?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case command, environment, workdir, rootfs, image, cpus, memory, pids, volumes, restart
        case constraints
        case entrypoint, user, hostname, network, tmpfs, ulimits, disk, stdin, terminal, userns
        case stopSignal = "stop_signal"
        case readOnly = "read_only"
        case capAdd = "cap_add"
        case capDrop = "cap_drop"
        case shmSize = "shm_size"
        case bestEffort = "best_effort"
        case maxAttempts = "max_attempts"
        case onPartition = "on_partition"
        case retainSeconds = "retain_seconds"
        case timeoutSeconds = "timeout_seconds"
        case graceSeconds = "grace_seconds"
    }

    /// The names of all fields, as they are written.
    package static var fieldNames: Set<String> { Set(CodingKeys.allCases.map(\.rawValue)) }

    /// Makes the view of a task that runs `command` with defaults.
    package init(command: [String]) {
        self.command = command
    }

    /// The spec that this means.
    ///
    /// - Throws: `InvalidInput` naming the field and what it takes.
    package func spec() throws(InvalidInput) -> TaskSpec {
        guard command.first?.isEmpty == false || command.isEmpty && image != nil else {
            throw InvalidInput(field: "command", "give a program to run")
        }
        var spec = TaskSpec(command: command)
        spec.environment = environment ?? []
        for setting in spec.environment where !setting.dropFirst().contains("=") {
            throw InvalidInput(field: "environment", "\(setting) is not KEY=VALUE")
        }
        if let workdir {
            guard workdir.hasPrefix("/") else {
                throw InvalidInput(field: "workdir", "\(workdir) is not an absolute path")
            }
            spec.workingDirectory = workdir
        }
        if let rootfs {
            guard rootfs.hasPrefix("/") else {
                throw InvalidInput(field: "rootfs", "\(rootfs) is not an absolute path")
            }
            spec.rootfs = .directory(rootfs)
        }
        if let image {
            guard rootfs == nil else {
                throw InvalidInput(field: "image", "a task has either an image or a rootfs")
            }
            guard let name = ImageName(image) else {
                throw InvalidInput(
                    field: "image",
                    "\(image) is no name of an image; write NAME or NAME:TAG, in lower case")
            }
            spec.rootfs = .image(name, nil)
        }
        try readLimits(into: &spec)
        for volume in volumes ?? [] { spec.volumes.append(try Quantities.volume(volume)) }
        if let restart { spec.restart = try Quantities.restart(restart) }
        if let maxAttempts {
            guard (1...Quantities.restartsMax).contains(maxAttempts) else {
                throw InvalidInput(
                    field: "max_attempts",
                    "\(maxAttempts) does not lie between 1 and "
                        + "\(Quantities.restartsMax)")
            }
            spec.attemptsMax = maxAttempts
        }
        switch onPartition {
        case nil, "rerun"?: spec.onPartition = .rerun
        case "wait"?: spec.onPartition = .wait
        case let other?:
            throw InvalidInput(field: "on_partition", "\(other) is neither rerun nor wait")
        }
        for constraint in constraints ?? [] where !constraint.dropFirst().contains("=") {
            throw InvalidInput(field: "constraints", "\(constraint) is not LABEL=VALUE")
        }
        spec.constraints = constraints ?? []
        try readOptions(into: &spec.options)
        guard !spec.options.hasInput || [nil, "never"].contains(restart) else {
            throw InvalidInput(
                field: "stdin",
                "input is there once, so that such a task can't run again; take it without "
                    + "restart, or with never")
        }
        if spec.options.hasInput { spec.restart = .never }
        return spec
    }

    private func readLimits(into spec: inout TaskSpec) throws(InvalidInput) {
        if let cpus {
            guard cpus >= 0.001, cpus <= 4_096 else {
                throw InvalidInput(field: "cpus", "\(cpus) does not lie between 0.001 and 4096")
            }
            spec.resources.cpuMillis = UInt32((cpus * 1_000).rounded())
        }
        if let memory {
            guard memory >= 4 << 20 else {
                throw InvalidInput(field: "memory", "\(memory) bytes is less than 4M")
            }
            spec.resources.memoryBytes = memory
        }
        if let pids {
            guard pids >= 4, pids <= 4_194_304 else {
                throw InvalidInput(field: "pids", "\(pids) does not lie between 4 and 4194304")
            }
            spec.pidsMax = pids
        }
        if let timeoutSeconds {
            guard timeoutSeconds >= 0.001, timeoutSeconds < 1e9 else {
                throw InvalidInput(
                    field: "timeout_seconds",
                    "\(timeoutSeconds) does not lie between a millisecond and thirty years")
            }
            spec.timeout = .milliseconds(Int64(timeoutSeconds * 1_000))
        }
        if let retainSeconds {
            guard retainSeconds >= 0, retainSeconds <= Quantities.retainSecondsMax else {
                throw InvalidInput(
                    field: "retain_seconds",
                    "\(retainSeconds) does not lie between 0 and ten years")
            }
            spec.retention = .milliseconds(Int64(retainSeconds * 1_000))
        }
        if let graceSeconds {
            guard graceSeconds >= 0, graceSeconds <= 86_400 else {
                throw InvalidInput(
                    field: "grace_seconds", "\(graceSeconds) does not lie between 0 and a day")
            }
            spec.grace = .milliseconds(Int64(graceSeconds * 1_000))
        }
    }
}

/// Input that can't be understood: the field, the value and what it takes.
package struct InvalidInput: Error, Hashable, Sendable, CustomStringConvertible {
    /// The field of a submission that holds it; `nil` when it stands elsewhere.
    package var field: String?
    /// The value, and what is wrong with it.
    package var cause: String

    /// The whole sentence.
    package var description: String { field.map { "\($0): \(cause)" } ?? cause }

    /// Makes an error about no field of a submission.
    package init(_ cause: String) {
        self.cause = cause
    }

    /// Makes an error about a field of a submission.
    package init(field: String, _ cause: String) {
        self.field = field
        self.cause = cause
    }
}
