import ControlAPI
import Dispatch
import Foundation
import Glibc
import NIOHTTP1

/// What Ctrl-C means to somebody who waits for a task.
///
/// The first press is passed on to the program, a second within a second cancels the task. Before
/// the cluster has taken the task in, it ends the client.
final class Interrupts: @unchecked Sendable {
    private let task: String
    private let lock = NSLock()
    private var connection: Connection?
    private var last: ContinuousClock.Instant?
    private var source: (any DispatchSourceSignal)?

    /// How soon after another one a press means more than the first.
    static let pairWithin: Duration = .seconds(1)

    /// Listens from now on.
    init(task: String) {
        self.task = task
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [self] in pressed() }
        source.resume()
        self.source = source
    }

    /// The task was taken in.
    func attach(to connection: Connection) {
        lock.withLock { self.connection = connection }
    }

    /// Listens no more.
    func end() {
        source?.cancel()
        source = nil
    }

    private func pressed() {
        let (connection, isSecond) = lock.withLock {
            defer { last = .now }
            return (self.connection, last.map { .now - $0 < Interrupts.pairWithin } ?? false)
        }
        guard let connection else {
            Output.error(
                "client: interrupted before the node has answered; if it took the task, it runs: "
                    + "client status \(task)")
            exit(128 + SIGINT)
        }
        Task { [self] in
            if isSecond { await cancel(connection) } else { await passOn(connection) }
        }
    }

    private func passOn(_ connection: Connection) async {
        do {
            try await connection.ask(
                .POST, "\(APIPaths.task(task))/signal", SignalRequest(signal: SIGINT))
        } catch let error as ServerError {
            Output.error("client: \(error.message); Ctrl-C twice within a second cancels it")
        } catch {
            Output.error("client: the node can't be reached; Ctrl-C again leaves the task alone")
        }
    }

    private func cancel(_ connection: Connection) async {
        do {
            Output.error("client: canceling the task")
            try await connection.ask(.POST, "\(APIPaths.task(task))/cancel")
        } catch let error as ServerError {
            Output.error("client: \(error.message)")
        } catch {
            Output.error(
                "client: the node can't be reached; the task goes on: client status \(task)")
            exit(128 + SIGINT)
        }
    }
}
