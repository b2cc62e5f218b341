import Model

/// What a runner needs to know about its machine and its operator's wishes.
package struct RunnerConfiguration: Sendable {
    /// The node's data directory; logs and writable layers live below it.
    package var dataDirectory: String
    /// Where bundles, sockets and exit files live; gone after a reboot.
    package var runDirectory: String
    /// The OCI runtime.
    package var runtime: String
    /// Whether it is runc, which differs from crun here and there.
    var isRunc: Bool { runtime.hasSuffix("runc") }
    /// The container monitor.
    package var conmon: String
    /// The launcher that gives the monitor a mount namespace.
    package var launcher: String
    /// The process that ends containers when the node's lease ends.
    package var guardProgram: String
    /// The seccomp profile, in the format of containers-common.
    package var seccompProfile: String
    /// A directory that takes the place of the host's root file system.
    package var rootfs: String?
    /// Directories below which volumes may be mounted.
    package var volumesAllowed: [String]
    /// Capabilities beyond the usual ones that tasks may have, or `ALL`.
    package var capabilitiesAllowed: [String] = []
    /// Whether tasks may have the node's own network.
    package var allowsHostNetwork = false
    /// The node's name, shown to tasks.
    package var nodeName: String
    /// How much of each task's output is kept, in bytes of its log; older output goes first.
    package var logSizeBytesMax = RunnerConfiguration.logSizeBytesUsual

    /// Whose node it is, when it is not root's.
    package var ordinaryUser = OrdinaryUser.current

    /// How long nobody may ask for anything before a call ends by itself.
    var callSilenceMax = CallCommand.silenceMax

    /// Where the seccomp profile is.
    static let seccompProfileUsual = "/usr/share/containers/seccomp.json"
    /// How many containers are made at a time.
    package static let createsMax = 4
    /// How many segments a log is divided into; the oldest one goes when a new one begins.
    package static let logSegmentsMax = 4
    /// How large the log of one task grows unless the operator says otherwise, in bytes.
    package static let logSizeBytesUsual: UInt64 = 40 << 20
    /// The smallest bound that an operator can set for a log, in bytes.
    package static let logSizeBytesMin: UInt64 = 256 << 10

    /// Finds the programs on the PATH, and picks the usual directories.
    ///
    /// - Throws: `RunnerError` naming the program that is missing and the package that has it.
    package init(
        dataDirectory: String, nodeName: String, runtime: String? = nil, rootfs: String? = nil,
        volumesAllowed: [String] = []
    ) throws(RunnerError) {
        self.dataDirectory = dataDirectory
        self.nodeName = nodeName
        self.rootfs = rootfs
        self.volumesAllowed = volumesAllowed
        self.runtime = try Programs.runtime(runtime)
        conmon = try Programs.find("conmon", package: "conmon")
        launcher = try Programs.own("magpie-launch")
        guardProgram = try Programs.own("magpie-guard")
        seccompProfile = RunnerConfiguration.seccompProfileUsual
        guard Files.exists(seccompProfile) else {
            throw RunnerError(
                "the seccomp profile \(seccompProfile) is missing, and containers don't run without "
                    + "one; install it with: apt-get install golang-github-containers-common")
        }
        runDirectory = RunnerConfiguration.runDirectory(for: dataDirectory)
    }

    /// How large one segment of a log grows before it is rotated, in bytes.
    var logSegmentSizeBytesMax: UInt64 {
        max(logSizeBytesMax, RunnerConfiguration.logSizeBytesMin)
            / UInt64(RunnerConfiguration.logSegmentsMax)
    }

    /// Where the containers of a data directory keep what a reboot may wipe out.
    package static func runDirectory(for dataDirectory: String) -> String {
        OrdinaryUser.current == nil
            ? "/run/magpie/\(hash(Files.realPath(dataDirectory)))"
            : ordinaryRunDirectory(for: dataDirectory)
    }

    /// The same for an ordinary user, who has no `/run`: named by the boot of the machine.
    ///
    /// Not below `$XDG_RUNTIME_DIR`, which goes when the user logs out while containers run on, and
    /// which a daemon that is started another way does not find.
    package static func ordinaryRunDirectory(for dataDirectory: String) -> String {
        "\(Files.realPath(dataDirectory))/run/\(hash(ImageCatalog.bootID))"
    }

    private static func hash(_ text: String) -> String {
        let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { hash, byte in
            (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        return String(hash, radix: 16)
    }

    /// The name of the node's control group; for root's node that of its directory below `/run`, too.
    var groupName: String {
        guard ordinaryUser == nil else {
            return RunnerConfiguration.hash(Files.realPath(dataDirectory))
        }
        return runDirectory.split(separator: "/").last.map(String.init) ?? "node"
    }

    /// The node's control group.
    var nodeGroup: String { "/magpie-\(groupName)" }
}

/// Why the runner could not do something: subject, operation and cause, for people.
package struct RunnerError: Error, Sendable, CustomStringConvertible {
    /// The whole sentence.
    package var description: String

    /// Makes an error.
    package init(_ description: String) {
        self.description = description
    }
}
