import ArgumentParser
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// The states of a task.
enum TaskState: String, ExpressibleByArgument, CaseIterable {
    case queued, claimed, running, complete, failed, canceled, lost
}

/// `client list`: all tasks.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the tasks.", aliases: ["ps"])

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions
    @Option(help: "Only tasks in this state, such as running or queued; may be repeated.")
    var state: [TaskState] = []

    func run() async throws {
        let all = try await reporting {
            try await Connection(common.node).ask(.GET, APIPaths.tasks, as: [TaskView].self)
        }
        let wanted = Set(state.map(\.rawValue))
        let tasks = wanted.isEmpty ? all : all.filter { wanted.contains($0.state) }
        switch list.output {
        case .json: Output.line(try json(tasks))
        case .name: for task in tasks { Output.line(task.id) }
        case .table, .wide:
            for line in ListCommand.table(tasks, isWide: list.output == .wide).lines {
                Output.line(line)
            }
        }
    }

    /// The state, with what it does not say: a wish that waits, an end that is not confirmed.
    static func shownState(of task: TaskView) -> String {
        if task.unconfirmed { return "\(task.state) (unconfirmed)" }
        return task.cancelRequested && !task.isTerminal ? "\(task.state) (canceling)" : task.state
    }

    static func table(_ tasks: [TaskView], isWide: Bool) -> Table {
        var table = Table(
            header: ["ID", "STATE", "EXIT", "NODE", "ATTEMPT", "SUBMITTED", "COMMAND"]
                + (isWide ? ["TOKEN", "STARTED", "ENDED", "REASON"] : []))
        for task in tasks {
            let command = task.command.joined(separator: " ").replacing("\n", with: " ")
            var row = [
                task.id, shownState(of: task),
                task.exitCode.map { "\($0)" } ?? "-", task.node ?? "-", "\(task.attempt)",
                String(task.submitted.dropLast(5)), isWide ? command : String(command.prefix(48)),
            ]
            if isWide {
                row += [
                    task.token ?? "-", task.started ?? "-", task.ended ?? "-",
                    task.reason.isEmpty ? "-" : task.reason,
                ]
            }
            table.rows.append(row)
        }
        return table
    }
}

/// `client status`: one task.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show one task.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions
    @Argument(help: "The task's ID, or a beginning or end that only it has.") var id: String

    func run() async throws {
        let task = try await reporting {
            try await Connection(common.node).ask(
                .GET, try Connection.task(id), as: TaskView.self)
        }
        switch list.output {
        case .json: Output.line(try json(task))
        case .name: Output.line(task.id)
        case .table, .wide:
            for line in ListCommand.table([task], isWide: list.output == .wide).lines {
                Output.line(line)
            }
            if !task.reason.isEmpty { Output.line(task.reason) }
            if let waitsFor = task.waitsFor { Output.line(waitsFor) }
            guard !task.attempts.isEmpty else { return }
            Output.line("")
            for line in StatusCommand.table(of: task.attempts).lines { Output.line(line) }
        }
    }
}

extension StatusCommand {
    /// The history: who tried when, under which token, and what came of it.
    static func table(of attempts: [AttemptView]) -> Table {
        var table = Table(
            header: [
                "ATTEMPT", "STATE", "EXIT", "NODE", "TOKEN", "CLAIMED", "STARTED", "ENDED",
                "REASON",
            ])
        for attempt in attempts {
            let times = [attempt.claimed, attempt.started, attempt.ended].map {
                $0.map { String($0.dropLast(5)) } ?? "-"
            }
            table.rows.append(
                [
                    "\(attempt.attempt)", attempt.state, attempt.exitCode.map { "\($0)" } ?? "-",
                    attempt.node, attempt.token,
                ] + times + [attempt.reason.isEmpty ? "-" : attempt.reason])
        }
        return table
    }
}

/// `client logs`: a task's output.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show a task's output.")

    @OptionGroup var common: CommonOptions
    @Flag(name: [.customShort("f"), .long], help: "Stay until the task has ended.")
    var follow = false
    @Flag(help: "Standard output alone.") var stdout = false
    @Flag(help: "Standard error alone.") var stderr = false
    @Argument(help: "The task's ID, or a beginning or end that only it has.") var id: String

    func run() async throws {
        try await reporting {
            let connection = try Connection(common.node)
            let isBoth = stdout == stderr
            // The whole ID: a part of it may fit more tasks by and by.
            let task = try await connection.ask(
                .GET, try Connection.task(id), as: TaskView.self)
            let attachment = Attachment(
                connection: connection, task: task.id, showsStdout: isBoth || stdout,
                showsStderr: isBoth || stderr, isInteractive: false)
            guard follow else { return try await attachment.showOnce() }
            if let gap = try await attachment.follow().gap { throw ClientFailure(gap) }
        }
    }
}

/// `client cancel`: ends tasks.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End tasks: SIGTERM, the grace, then SIGKILL.",
        discussion: "One that has been canceled already is no error; one that ended otherwise is.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.") var ids: [String]

    func run() async throws {
        let connection = try await reporting { try Connection(common.node) }
        var isRefused = false
        for id in ids {
            do {
                try await reporting {
                    _ = try await connection.ask(.POST, "\(try Connection.task(id))/cancel")
                }
            } catch let failure as ClientFailure where ids.count > 1 {
                Output.error("client: \(failure.message)")
                isRefused = true
            }
        }
        if isRefused { throw ExitCode(1) }
    }
}

/// `client wait`: stays until tasks have ended.
struct WaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until tasks have ended; exit with the code of the first that failed.",
        discussion: "Prints how each ended. With several, each line begins with the ID.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.") var ids: [String]

    func run() async throws {
        try await reporting(code: 125) {
            let connection = try Connection(common.node)
            var tasks: [String] = []
            // All are looked up first: a mistyped ID must not come out after hours.
            for id in ids {
                tasks.append(
                    try await connection.ask(
                        .GET, try Connection.task(id), as: TaskView.self
                    ).id)
            }
            var code: Int32 = 0
            for task in tasks {
                let end = try await end(of: task, connection)
                Output.line(tasks.count > 1 ? "\(task) \(end.state)" : end.state)
                let own = Attachment.code(of: end, name: tasks.count > 1 ? task : nil)
                if code == 0 { code = own }
            }
            throw ExitCode(code)
        }
    }

    private func end(of task: String, _ connection: Connection) async throws -> TaskView {
        let clock = ContinuousClock()
        var lastSign = clock.now
        while true {
            do {
                let view = try await connection.ask(
                    .GET, "\(APIPaths.task(task))?wait=30", as: TaskView.self,
                    timeout: .seconds(60))
                if view.isTerminal { return view }
                lastSign = clock.now
            } catch let error where error is Unreachable || isGoingDown(error) {
                // A daemon that is restarted comes back.
                guard clock.now - lastSign < Attachment.absenceMax else { throw error }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
    }

    private func isGoingDown(_ error: any Error) -> Bool {
        (error as? ServerError)?.code == "unavailable"
    }
}

/// `client why`: why no node has taken a task.
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Show for each node why it has not taken a task.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions
    @Argument(help: "The task's ID, or a beginning or end that only it has.") var id: String

    func run() async throws {
        let reasons = try await reporting {
            try await Connection(common.node).ask(
                .GET, "\(try Connection.task(id))/why", as: [WhyView].self
            ).sorted { $0.node < $1.node }
        }
        switch list.output {
        case .json: Output.line(try json(reasons))
        case .name: for reason in reasons { Output.line(reason.node) }
        case .table, .wide:
            var table = Table(header: ["NODE", "REASON"])
            table.rows += reasons.map { [$0.node, $0.reason] }
            for line in table.lines { Output.line(line) }
        }
    }
}
