/// How a task's process is set up and how far it is shut in, beyond what every task has.
///
/// Each of these changes what the task means: a node that does not know one of them must not run
/// it. See `TaskSpec.fieldsNotUnderstood`.
package struct ContainerOptions: Hashable, Sendable {
    /// `USER[:GROUP]`, names or numbers, as the task's root file system knows them; `nil` for root.
    package var user: String?
    /// The name of the machine that the task sees, 1…64 characters; `nil` for `magpie`.
    package var hostname: String?
    /// Takes the place of the image's entrypoint, empty for none; `nil` for the image's own.
    package var entrypoint: [String]?
    /// The signal that asks the program to end, 1…64; `nil` for the image's own, else SIGTERM.
    package var stopSignal: Int32?
    /// Which network the task has.
    package var network: NetworkMode = .none
    /// Empty file systems in memory.
    package var tmpfs: [TmpfsMount] = []
    /// Whether the task can't write to its root file system.
    package var isRootReadOnly = false
    /// Capabilities that the task goes without: `CAP_…` names, or `ALL` alone.
    package var capabilitiesDropped: [String] = []
    /// Capabilities that the task has on top: `CAP_…` names, or `ALL` alone.
    package var capabilitiesAdded: [String] = []
    /// Limits of the process's own.
    package var ulimits: [Ulimit] = []
    /// The size of `/dev/shm` in bytes; `nil` for 64 MiB.
    package var shmSizeBytes: UInt64?
    /// How many bytes the task may write to its root file system; `nil` for no limit.
    package var diskBytes: UInt64?
    /// Whether the task runs where a limit can't be enforced; it is said then.
    package var isBestEffort = false

    /// Whether the program reads what its client sends; else it finds nothing to read.
    package var hasInput = false
    /// The size of the program's terminal, at which its client sits; `nil` when it has none.
    package var terminal: TerminalSize?

    /// Whether its users are its own: root in the container is nobody outside of it.
    package var hasUserNamespace = false

    /// How many mounts, capabilities or limits a task may ask for, of each.
    package static let listCountMax = 64
    /// The longest user, host name or path among them, in bytes.
    package static let textSizeBytesMax = 4_096
    /// The longest host name that the kernel takes, in bytes.
    package static let hostnameSizeBytesMax = 64

    /// Makes options that ask for nothing.
    package init() {}

    /// Whether a file system may be mounted there: absolute, without `..`, and not where the kernel
    /// shows itself.
    package static func isMountTarget(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), let first = parts.first else { return false }
        return !parts.contains("..") && !parts.contains(".") && first != "proc" && first != "sys"
    }
}

/// Which network a task has.
package enum NetworkMode: UInt8, Hashable, Sendable {
    /// Its own, with loopback alone.
    case none = 0
    /// The node's, where its operator allows it.
    case host = 1
}

/// An empty file system in memory, gone with its task.
package struct TmpfsMount: Hashable, Sendable {
    /// The absolute path in the container.
    package var target: String
    /// Its size in bytes, 1 or more; `nil` for as much as the task's memory takes.
    package var sizeBytes: UInt64?

    /// Makes a mount.
    package init(target: String, sizeBytes: UInt64? = nil) {
        self.target = target
        self.sizeBytes = sizeBytes
    }
}

/// A limit of a process's own, as `setrlimit` takes it.
package struct Ulimit: Hashable, Sendable {
    /// What is limited.
    package var kind: Kind
    /// What holds unless the process asks for more; `UInt64.max` for no limit.
    package var soft: UInt64
    /// What the process may ask for; `UInt64.max` for no limit.
    package var hard: UInt64

    /// What can be limited, by the numbers of Linux.
    package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        case cpu = 0
        case fsize = 1
        case data = 2
        case stack = 3
        case core = 4
        case rss = 5
        case nproc = 6
        case nofile = 7
        case memlock = 8
        case `as` = 9
        case locks = 10
        case sigpending = 11
        case msgqueue = 12
        case nice = 13
        case rtprio = 14
        case rttime = 15

        /// The name on command lines, such as `nofile`.
        package var name: String { "\(self)" }

        /// Finds what a name means; `nil` when it means nothing.
        package init?(name: some StringProtocol) {
            let found = Kind.allCases.first { $0.name == name }
            guard let found else { return nil }
            self = found
        }
    }

    /// Makes a limit.
    package init(kind: Kind, soft: UInt64, hard: UInt64) {
        self.kind = kind
        self.soft = soft
        self.hard = hard
    }
}
