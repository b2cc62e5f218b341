import ArgumentParser
import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// `client events`: what has happened to a task, or what happens in the cluster from now on.
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show the history of a task, or follow the cluster.",
        discussion: """
            With an ID: submission, each attempt with its node and fencing token, and the end; with \
            -f also what comes, until the task has ended. Times are those of the nodes' own clocks. \
            Without an ID: changes of all tasks and members as they come, until interrupted.
            """)

    @OptionGroup var common: CommonOptions
    @Option(name: [.customShort("o"), .long], help: "table or json (one object a line).")
    var output: EventFormat = .table
    @Flag(name: [.customShort("f"), .long], help: "Stay until the task has ended.")
    var follow = false
    @Argument(help: "The task's ID, or a beginning or end that only it has.") var id: String?

    func run() async throws {
        try await reporting {
            let connection = try Connection(common.node)
            guard let id else { return try await followCluster(connection) }
            let task = try await connection.ask(
                .GET, try Connection.task(id), as: TaskView.self)
            var shown: Set<TaskEvent> = []
            try show(TaskEvent.history(of: task), except: &shown)
            guard follow, !(task.isTerminal && !task.unconfirmed) else { return }
            for try await event in try await stream(connection, APIPaths.task(task.id) + "/events")
            {
                guard let task = try? JSONDecoder().decode(TaskView.self, from: event) else {
                    continue
                }
                try show(TaskEvent.history(of: task), except: &shown)
                if task.isTerminal, !task.unconfirmed { return }
            }
        }
    }

    /// Shows those that were not shown yet; a late report may come between earlier ones.
    private func show(_ events: [TaskEvent], except shown: inout Set<TaskEvent>) throws {
        for event in events where shown.insert(event).inserted { try show(event) }
    }

    private func show(_ event: TaskEvent) throws {
        switch output {
        case .table: Output.line(event.line)
        case .json: Output.line(try EventsCommand.line(event))
        }
    }

    private func followCluster(_ connection: Connection) async throws {
        for try await data in try await stream(connection, APIPaths.events) {
            switch output {
            case .json: Output.line(String(decoding: data, as: UTF8.self))
            case .table:
                if let task = try? JSONDecoder().decode(TaskView.self, from: data) {
                    let last = TaskEvent.history(of: task).last
                    Output.line("\(task.id)  \(last?.line ?? task.state)")
                } else if let node = try? JSONDecoder().decode(NodeView.self, from: data) {
                    Output.line("node \(node.name) is \(node.state)")
                }
            }
        }
    }

    /// The data of server-sent events.
    private func stream(
        _ connection: Connection, _ path: String
    ) async throws -> AsyncThrowingStream<Data, any Error> {
        let body = try await connection.stream(path, accept: "text/event-stream")
        return AsyncThrowingStream { continuation in
            let reader = Task {
                var lines = EventLines()
                do {
                    for try await chunk in body {
                        for event in try lines.take(chunk.readableBytesView) {
                            continuation.yield(event)
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: Unreachable(node: connection.name, error))
                }
            }
            continuation.onTermination = { _ in reader.cancel() }
        }
    }

    static func line(_ event: TaskEvent) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(event), as: UTF8.self)
    }
}

/// How events are shown.
enum EventFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// Something that has happened to a task.
struct TaskEvent: Codable, Hashable {
    /// When, if that is known.
    var time: String?
    /// `submitted`, `claimed`, `started`, how the attempt ended, or `ended` for the task itself.
    var event: String
    var attempt: Int?
    var node: String?
    var token: String?
    var exitCode: Int32?
    var reason: String?

    enum CodingKeys: String, CodingKey {
        case time, event, attempt, node, token, reason
        case exitCode = "exit_code"
    }

    /// For people.
    var line: String {
        var words = [time ?? "-", event]
        if let attempt { words.append("attempt=\(attempt)") }
        if let node { words.append("node=\(node)") }
        if let token { words.append("token=\(token)") }
        if let exitCode { words.append("exit=\(exitCode)") }
        if let reason, !reason.isEmpty { words.append("(\(reason))") }
        return words.joined(separator: "  ")
    }

    /// All that is known to have happened, attempt by attempt.
    static func history(of task: TaskView) -> [TaskEvent] {
        var events = [TaskEvent(time: task.submitted, event: "submitted")]
        for attempt in task.attempts {
            func event(_ name: String, at time: String?) -> TaskEvent {
                TaskEvent(
                    time: time, event: name, attempt: attempt.attempt, node: attempt.node,
                    token: attempt.token)
            }
            events.append(event("claimed", at: attempt.claimed))
            if let started = attempt.started { events.append(event("started", at: started)) }
            guard ["lost", "canceled", "failed", "complete"].contains(attempt.state) else {
                continue
            }
            var end = event(attempt.state, at: attempt.ended)
            end.exitCode = attempt.exitCode
            end.reason = attempt.reason.isEmpty ? nil : attempt.reason
            events.append(end)
        }
        if task.isTerminal {
            var end = TaskEvent(time: task.ended, event: "ended")
            end.reason = task.unconfirmed ? "\(task.state), unconfirmed" : task.state
            events.append(end)
        }
        return events
    }
}
