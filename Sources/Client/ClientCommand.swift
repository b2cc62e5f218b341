import ArgumentParser
import Glibc
import Model

/// The client's command line.
@main
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Runs commands on a Magpie cluster, by way of any of its nodes.",
        discussion: """
            The node is chosen by --node, else by MAGPIE_NODE, else it is the socket of this \
            machine's daemon. Exit codes: of 'run', 'wait' and 'exec' the program's own (128 + signal, 126 \
            not executable, 127 not found, 137 also when out of memory), 125 for an error of \
            Magpie; of the others 0, 1 for an error, or 64 for a command line that makes no sense. \
            IDs may be shortened to a beginning or an end that only one task has.
            """,
        version: SoftwareVersion.text,
        subcommands: [
            RunCommand.self, NodesCommand.self, ListCommand.self, StatusCommand.self,
            LogsCommand.self, EventsCommand.self, CancelCommand.self, WaitCommand.self,
            WhyCommand.self, KillCommand.self, StatsCommand.self, ExecCommand.self,
            ImageCommand.self, LoginCommand.self, LogoutCommand.self,
        ])

    static func main() async {
        // A reader that went away (`client list | head`) is no reason to die by a signal.
        signal(SIGPIPE, SIG_IGN)
        let words = withNodeBehindCommand(Array(CommandLine.arguments.dropFirst()))
        do {
            var command = try parseAsRoot(words)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as ClientFailure {
            Output.error("client: \(failure.message)")
            Glibc.exit(failure.code)
        } catch {
            // Bad usage of 'run' is an error of ours, as with docker.
            let isRun = ["run", "exec"].contains(words.first)
            let code = exitCode(for: error)
            if isRun, !code.isSuccess, !(error is ExitCode) {
                Output.error(fullMessage(for: error))
                Glibc.exit(125)
            }
            exit(withError: error)
        }
    }
}

extension ClientCommand {
    /// Lets `client -N NODE run …` mean `client run -N NODE …`.
    static func withNodeBehindCommand(_ words: [String]) -> [String] {
        guard let first = words.first else { return words }
        let count = first.hasPrefix("--node=") ? 1 : ["-N", "--node"].contains(first) ? 2 : 0
        guard count > 0, words.count > count else { return words }
        let rest = words.dropFirst(count)
        // `nodes` and `image` have commands of their own, which the option must follow too.
        let isNested =
            rest.first == "nodes" && ["forget", "evict"].contains(rest.dropFirst().first)
            || rest.first == "image" && rest.dropFirst().first?.hasPrefix("-") == false
        let names = isNested ? 2 : 1
        return Array(rest.prefix(names)) + words.prefix(count) + rest.dropFirst(names)
    }
}

/// An error that ends the client: what to say, and the exit code.
struct ClientFailure: Error {
    var code: Int32
    var message: String

    init(_ message: String, code: Int32 = 1) {
        self.message = message
        self.code = code
    }
}

/// Options that every command takes.
struct CommonOptions: ParsableArguments {
    @Option(
        name: [.customShort("N"), .long],
        help: "The node to ask: HOST:PORT or unix:PATH (default: MAGPIE_NODE, else this machine's)."
    )
    var node: String?
}

/// How lists are shown.
enum Format: String, ExpressibleByArgument, CaseIterable {
    case table
    case wide
    case json
    case name
}

/// Options of commands that list.
struct ListOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .long], help: "table, wide, json or name.")
    var output: Format = .table
}
