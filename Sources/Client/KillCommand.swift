import ArgumentParser
import ControlAPI
import NIOHTTP1

/// `client kill`: sends a signal to running tasks.
struct KillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill", abstract: "Send a signal to running tasks, wherever they run.",
        discussion: """
            The signal goes to the program alone. To end a task with all that belongs to it, and \
            not to have it run again, there is 'client cancel'.
            """)

    @OptionGroup var common: CommonOptions
    @Option(
        name: [.customShort("s"), .long],
        help: "The signal, such as INT, SIGUSR1, RTMIN+1 or 10 (default: KILL).")
    var signal = "KILL"
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.") var ids: [String]

    func run() async throws {
        let (connection, number) = try await reporting {
            (try Connection(common.node), try Quantities.signal(signal))
        }
        var isRefused = false
        for id in ids {
            do {
                try await reporting {
                    _ = try await connection.ask(
                        .POST, "\(try Connection.task(id))/signal", SignalRequest(signal: number))
                }
            } catch let failure as ClientFailure where ids.count > 1 {
                Output.error("client: \(failure.message)")
                isRefused = true
            }
        }
        if isRefused { throw ExitCode(1) }
    }
}
