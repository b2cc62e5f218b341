import ArgumentParser
import Glibc
import Model
import NodeIO

/// The daemon's command line.
@main
struct DaemonCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daemon",
        abstract: "One node of a Magpie cluster.",
        discussion: """
            Every option may also stand in the file that --config names, as 'data-dir = /srv/magpie', \
            or in an environment variable, as MAGPIE_DATA_DIR; several labels there are parted by \
            commas. The command line outranks the environment, and that the file.

            Exit codes: 0 after SIGTERM, SIGINT or 'leave' (tasks run on after the first two), 1 for \
            an error, 64 for a command line that makes no sense.
            """,
        version: SoftwareVersion.text,
        subcommands: [
            StartCommand.self, JoinCommand.self, TokenCommand.self, APITokenCommand.self,
            LeaveCommand.self, RotateKeyCommand.self, RecoverLockCommand.self, PurgeCommand.self,
            DoctorCommand.self,
        ])

    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as StartFailure {
            StandardError.line("daemon: \(failure.message)")
            Glibc.exit(1)
        } catch {
            exit(withError: error)
        }
    }
}

/// `daemon start`: founds a cluster in an empty data directory, else goes on as the member that it is.
struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Found a cluster, or go on as a member.",
        discussion: """
            With an empty data directory this founds a cluster of one and prints how other machines \
            join it; else the node goes on as the member that its directory describes. When ready \
            it prints one line: ready name=… id=… gossip=… api=… \
            fingerprint=… (the last with --api, for 'client login')
            """)

    @OptionGroup var options: DaemonOptions

    func run() async throws {
        try await Daemon.run(try options.settings(), joining: nil)
    }
}

/// `daemon join`: enters a cluster with a token.
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Join the cluster of a token, by way of its members.",
        discussion: """
            Seeds are asked one after the other until one answers; any member will do. A node whose \
            directory belongs to the cluster already just goes on, and needs no token.
            """)

    @OptionGroup var options: DaemonOptions
    @Option(help: "A join token, from `daemon token` on a member (or MAGPIE_TOKEN).")
    var token: String?
    @Argument(help: "Members to ask: HOST[:PORT], 7946 being the usual port.") var seeds: [String]

    func run() async throws {
        let settings = try options.settings()
        let token = token ?? settings.value(of: "token")
        try await Daemon.run(settings, joining: Daemon.Join(seeds: seeds, token: token))
    }
}

/// `daemon leave`: hands tasks back, leaves the cluster and ends the daemon.
struct LeaveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave", abstract: "Hand back all tasks, leave the cluster, end the daemon.")

    @Option(help: "The data directory of the running daemon.") var dataDir: String?

    func run() throws {
        try LocalAPI(dataDirectory: DaemonOptions.dataDirectory(dataDir)).leave()
    }
}

/// `daemon rotate-key`: renews the node's key without a restart.
struct RotateKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key",
        abstract: "Give the node a new key; the one before is worth nothing any more.",
        discussion: """
            The node stays who it is: its tasks, its tokens and its vote. The lock's voters must agree; where \
            most of them are out of reach this waits for them. Whoever has stolen the key before may have \
            done the same first: then this daemon ends, and says so; evict the node ('client nodes evict').
            """)

    @Option(help: "The data directory of the running daemon.") var dataDir: String?

    func run() throws {
        try LocalAPI(dataDirectory: DaemonOptions.dataDirectory(dataDir)).rotateKey()
    }
}

/// `daemon recover-lock`: begins the lock anew when a majority of its voters is lost for good.
struct RecoverLockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover-lock",
        abstract: "Begin the lock anew: a majority of its voters is lost for good.",
        discussion: """
            Run this on one member, and only when the lost machines will not come back as they were. \
            It is refused while a majority is in reach. Nothing is claimed before the longest lease \
            is over; tasks that wait for their node, or may not run again, stay queued until it is \
            back or forgotten ('client nodes forget'). Lost voters that come back join the new lock.
            """)

    @Option(help: "The data directory of the running daemon.") var dataDir: String?

    func run() throws {
        try LocalAPI(dataDirectory: DaemonOptions.dataDirectory(dataDir)).recoverLock()
    }
}

/// `daemon purge`: ends what a stopped daemon left running.
struct PurgeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "End and remove every container of a daemon that does not run any more.")

    @Option(help: "The data directory of the stopped daemon.") var dataDir: String?

    func run() throws {
        try Daemon.purge(DaemonOptions.dataDirectory(dataDir))
    }
}

/// Writes lines to standard output at once: scripts wait for them.
enum StandardOutput {
    static func line(_ text: String) { Stream.write(text + "\n", to: 1) }
}

/// Writes lines to standard error.
enum StandardError {
    static func line(_ text: String) { Stream.write(text + "\n", to: 2) }
}

private enum Stream {
    static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
