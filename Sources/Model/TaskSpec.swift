/// What a user asked to be run; written once at submission and never changed.
package struct TaskSpec: Hashable, Sendable {
    /// The program and its arguments; without any, the image says what is run.
    package var command: [String]
    /// `KEY=VALUE` settings of the task's environment, in the user's order.
    package var environment: [String] = []
    /// The directory in which the program starts, inside the container; `nil` for the image's own,
    /// else `/`.
    package var workingDirectory: String?
    /// Where the container's root file system comes from.
    package var rootfs: RootFilesystem = .host
    /// What is reserved for the task, and enforced as its limit.
    package var resources: Resources = .defaultRequest
    /// How many processes and threads the task may have, 1 or more.
    package var pidsMax: UInt32 = 512
    /// Directories of the node that the task sees.
    package var volumes: [VolumeMount] = []
    /// When the task is run again.
    package var restart: RestartPolicy = .onNodeLoss
    /// How many attempts the task has at most, whatever ends them, 1 or more; `nil` for no limit
    /// but that of its policy.
    package var attemptsMax: UInt32?
    /// What happens when the task's node is cut off from the lock.
    package var onPartition: PartitionPolicy = .rerun
    /// How long the task may run; `nil` for as long as it likes.
    package var timeout: Duration?
    /// How long a task may take to end after SIGTERM before it is killed.
    package var grace: Duration = .seconds(10)
    /// Labels `K=V` that a node must carry to take the task.
    package var constraints: [String] = []
    /// How long the ended task is kept before it may be collected; `nil` for the node's own setting.
    package var retention: Duration?
    /// How its process is set up and how far it is shut in.
    package var options = ContainerOptions()
    /// Fields written by a newer version, kept as they came so that they are passed on.
    package var unknownFields: [UInt8] = []

    /// Whether it has other limits of memory, processors or processes than those that every task has.
    ///
    /// Who asks for just what is usual asks for nothing.
    package var asksForLimits: Bool {
        let usual = TaskSpec(command: [])
        return resources != usual.resources || pidsMax != usual.pidsMax
    }

    /// Whether it is said what to run: by the task, or by its image.
    package var hasProgram: Bool {
        if case .image = rootfs, command.isEmpty { return true }
        return command.first?.isEmpty == false
    }

    /// Makes the spec of a task that runs `command` with every other setting at its default.
    package init(command: [String]) {
        self.command = command
    }
}

extension Resources {
    /// What a task is given that asks for nothing: a tenth of a core and 64 MiB.
    package static let defaultRequest = Resources(cpuMillis: 100, memoryBytes: 64 << 20)
}

/// Where a container's root file system comes from.
package enum RootFilesystem: Hashable, Sendable {
    /// The node's own `/usr` and the harmless parts of `/etc`, read-only.
    case host
    /// A directory that exists on every node that takes the task.
    case directory(String)
    /// An image that any node can get from the others; the digest is found from the name when the
    /// task is taken in, so that all its attempts run the same.
    case image(ImageName, ImageDigest?)

    /// The image that is needed, once it is known which.
    package var imageDigest: ImageDigest? {
        if case .image(_, let digest) = self { digest } else { nil }
    }
}

/// A directory of the node that a task sees.
package struct VolumeMount: Hashable, Sendable {
    /// The absolute path on the node; below a directory that its operator allowed.
    package var source: String
    /// The absolute path in the container.
    package var target: String
    /// Whether the task can't write to it.
    package var isReadOnly: Bool

    /// Makes a mount.
    package init(source: String, target: String, isReadOnly: Bool) {
        self.source = source
        self.target = target
        self.isReadOnly = isReadOnly
    }
}
