import ArgumentParser
import Glibc

/// The client's command line.
@main
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Runs commands on a Magpie cluster, by way of any of its nodes.",
        discussion: """
            The node is chosen by --node, else by MAGPIE_NODE, else it is the socket of this \
            machine's daemon. Exit codes: of 'run' and 'wait' the task's own (128 + signal, 126 \
            not executable, 127 not found, 137 also when out of memory), 125 for an error of \
            Magpie; of the others 0, or 1 for an error.
            """,
        subcommands: [
            RunCommand.self, NodesCommand.self, ListCommand.self, StatusCommand.self,
            LogsCommand.self, CancelCommand.self, WaitCommand.self, WhyCommand.self,
        ])

    static func main() async {
        // A reader that went away (`client list | head`) is no reason to die by a signal.
        signal(SIGPIPE, SIG_IGN)
        do {
            let words = withNodeBehindCommand(Array(CommandLine.arguments.dropFirst()))
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
            let isRun = CommandLine.arguments.dropFirst().first == "run"
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
        if first.hasPrefix("--node="), words.count > 1 {
            return [words[1], first] + words.dropFirst(2)
        }
        guard ["-N", "--node"].contains(first), words.count > 2 else { return words }
        return [words[2]] + words.prefix(2) + words.dropFirst(3)
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
