import ArgumentParser
import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// `client nodes`: the membership view.
struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "Show the members of the cluster.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions

    func run() async throws {
        let nodes = try await reporting {
            try await Connection(common.node).ask(.GET, APIPaths.nodes, as: [NodeView].self)
        }
        switch list.output {
        case .json: Output.line(try json(nodes))
        case .name: for node in nodes { Output.line(node.name) }
        case .table, .wide:
            for line in NodesCommand.table(nodes, isWide: list.output == .wide).lines {
                Output.line(line)
            }
        }
    }

    static func table(_ nodes: [NodeView], isWide: Bool) -> Table {
        var table = Table(
            header: ["NAME", "STATE", "ADDRESS", "LOCK", "TASKS", "LOAD", "CPUS", "MEMORY"]
                + (isWide ? ["ELIGIBLE", "INCARNATION", "VERSION", "LABELS", "ID"] : []))
        for node in nodes.sorted(by: { $0.name < $1.name }) {
            var row = [
                node.name, node.state, node.address,
                node.leader ? "leader" : node.voter ? "voter" : "-", "\(node.running)",
                "\(Int((node.load * 100).rounded())) %", plain(node.cpus), size(node.memory),
            ]
            if isWide {
                row += [
                    node.eligible ? "yes" : "no", "\(node.incarnation)", node.version,
                    node.labels.isEmpty ? "-" : node.labels.joined(separator: ","), node.id,
                ]
            }
            table.rows.append(row)
        }
        return table
    }
}

/// `client list`: all tasks.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the tasks.", aliases: ["ps"])

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions

    func run() async throws {
        let tasks = try await reporting {
            try await Connection(common.node).ask(.GET, APIPaths.tasks, as: [TaskView].self)
        }
        switch list.output {
        case .json: Output.line(try json(tasks))
        case .name: for task in tasks { Output.line(task.id) }
        case .table, .wide:
            for line in ListCommand.table(tasks, isWide: list.output == .wide).lines {
                Output.line(line)
            }
        }
    }

    static func table(_ tasks: [TaskView], isWide: Bool) -> Table {
        var table = Table(
            header: ["ID", "STATE", "EXIT", "NODE", "ATTEMPT", "SUBMITTED", "COMMAND"]
                + (isWide ? ["TOKEN", "STARTED", "ENDED", "REASON"] : []))
        for task in tasks {
            let command = task.command.joined(separator: " ").replacing("\n", with: " ")
            var row = [
                task.id, task.state + (task.unconfirmed ? " (unconfirmed)" : ""),
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
            try await Connection(common.node).ask(.GET, APIPaths.task(id), as: TaskView.self)
        }
        switch list.output {
        case .json: Output.line(try json(task))
        case .name: Output.line(task.id)
        case .table, .wide:
            for line in ListCommand.table([task], isWide: list.output == .wide).lines {
                Output.line(line)
            }
            if !task.reason.isEmpty { Output.line(task.reason) }
        }
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
            if follow {
                _ = try await Attachment(
                    connection: connection, task: id, showsStdout: isBoth || stdout,
                    showsStderr: isBoth || stderr, passesSignals: false
                ).follow()
                return
            }
            let body = try await connection.stream(
                "\(APIPaths.task(id))/logs", accept: APIPaths.frames)
            var lines = FrameLines()
            for try await chunk in body {
                for frame in try lines.take(Array(chunk.readableBytesView)) {
                    guard let data = frame.data else { continue }
                    let isError = frame.stream == "stderr"
                    guard isBoth || isError == stderr else { continue }
                    Output.write(data, to: isError ? 2 : 1)
                }
            }
        }
    }
}

/// Splits a stream of bytes into log frames.
struct FrameLines {
    private var rest: [UInt8] = []

    mutating func take(_ bytes: [UInt8]) throws -> [LogFrame] {
        rest += bytes
        var frames: [LogFrame] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = Data(rest[..<end])
            rest.removeFirst(end + 1)
            if !line.isEmpty { frames.append(try JSONDecoder().decode(LogFrame.self, from: line)) }
        }
        return frames
    }
}

/// `client cancel`: ends tasks.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End tasks: SIGTERM, the grace, then SIGKILL.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.") var ids: [String]

    func run() async throws {
        let connection = try Connection(common.node)
        for id in ids {
            try await reporting {
                _ = try await connection.ask(.POST, "\(APIPaths.task(id))/cancel")
            }
        }
    }
}

/// `client wait`: stays until tasks have ended.
struct WaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until tasks have ended; exit with the code of the first that failed.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.") var ids: [String]

    func run() async throws {
        let connection = try Connection(common.node)
        var code: Int32 = 0
        for id in ids {
            let task = try await reporting(code: 125) { try await end(of: id, connection) }
            Output.line(ids.count > 1 ? "\(task.id) \(task.state)" : task.state)
            let own = Attachment.code(of: task)
            if code == 0 { code = own }
        }
        throw ExitCode(code)
    }

    private func end(of id: String, _ connection: Connection) async throws -> TaskView {
        let clock = ContinuousClock()
        var lastSign = clock.now
        while true {
            do {
                let task = try await connection.ask(
                    .GET, "\(APIPaths.task(id))?wait=30", as: TaskView.self)
                if task.isTerminal { return task }
                lastSign = clock.now
            } catch let error as Unreachable {
                guard clock.now - lastSign < Attachment.absenceMax,
                    !error.cause.contains("connect")
                else { throw error }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
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
                .GET, "\(APIPaths.task(id))/why", as: [WhyView].self)
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

/// JSON for people and programs alike.
func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

private func plain(_ number: Double) -> String {
    number == number.rounded() ? "\(Int(number))" : "\(number)"
}

/// A size in the largest unit that leaves a whole number, or one decimal.
private func size(_ bytes: UInt64) -> String {
    for (unit, factor) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] as [(String, UInt64)]
    where bytes >= factor {
        let tenths = bytes * 10 / factor
        return tenths % 10 == 0 ? "\(tenths / 10)\(unit)" : "\(tenths / 10).\(tenths % 10)\(unit)"
    }
    return "\(bytes)"
}
