import ArgumentParser
import ControlAPI
import Foundation
import Model
import NIOHTTP1

/// `client run`: submits a task, and unless told otherwise stays with it to its end.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a command somewhere in the cluster.",
        discussion: """
            Options end at the command: 'run ls -l', 'run ls -- -l' and 'run -- ls -l' are the \
            same task. The first Ctrl-C is passed on, a second within a second cancels the task. \
            A lost connection never ends a task.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(name: [.customShort("d"), .long], help: "Print the task's ID and leave.")
    var detach = false
    @Flag(
        name: [.customShort("i"), .long],
        help: "It reads what comes in here, wherever it runs; once, so that it never runs again.")
    var stdin = false
    @Flag(name: [.customShort("t"), .long], help: "It has a terminal; with -i this one.")
    var tty = false
    @Option(help: "Cores, such as 0.5 or 2 (default: 0.1).")
    var cpus: Double?
    @Option(help: "Memory, such as 512M (default: 64M).")
    var memory: String?
    @Option(help: "How many processes and threads it may have (default: 512).")
    var pids: UInt32?
    @Option(name: [.customShort("e"), .long], help: "KEY=VALUE, or KEY to take it from here.")
    var env: [String] = []
    @Option(help: "A file of KEY=VALUE lines.")
    var envFile: String?
    @Option(name: [.customShort("w"), .long], help: "Where the program starts.")
    var workdir: String?
    @Option(help: "A directory on the nodes to use as the root file system.")
    var rootfs: String?
    @Option(help: "An image of the cluster to run in: NAME or NAME:TAG; see: client image.")
    var image: String?
    @Option(name: [.customShort("v"), .long], help: "HOST:CONTAINER[:ro].")
    var volume: [String] = []
    @Option(
        help: """
            never, on-node-loss (default), on-failure[:N] (N restarts at most) or always, until it \
            is canceled; all but 'never' run it again when its node is lost.
            """)
    var restart: String?
    @Option(help: "How many attempts it has at most, whatever ends them.")
    var maxAttempts: UInt32?
    @Option(
        help: """
            When its node is cut off: rerun (default; it is ended there and runs elsewhere) or \
            wait (it goes on there, and runs nowhere else until that node is back or forgotten).
            """)
    var onPartition: String?
    @Option(help: "How long it is kept once it has ended, such as 30m or 7d.")
    var retain: String?
    @Option(help: "How long an attempt may run, such as 30s or 1h30m; then it has failed.")
    var timeout: String?
    @Option(help: "How long it may take to end after SIGTERM (default: 10s).")
    var grace: String?
    @Option(help: "A label KEY=VALUE that the node must carry.")
    var constraint: [String] = []
    @OptionGroup(title: "Container") var container: ContainerArguments
    @Option(help: "How many disks must hold the task: 1, 2 (default), … or majority.")
    var ack: String?

    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.")
    var command: [String] = []

    func run() async throws {
        // What follows no known option counts as the command, a wish for help too.
        if let first = command.first, ["-h", "--help"].contains(first) {
            throw CleanExit.helpRequest(self)
        }
        try await reporting(code: 125) {
            let connection = try Connection(common.node)
            let id = newID()
            let request = SubmitRequest(id: id, spec: try spec(), ack: ack)
            let terminal = try terminal()
            let interrupts = detach ? nil : Interrupts(task: id)
            let reply = try await Submission(connection: connection, request: request).submit()
            if let notice = reply.notice { Output.error("client: \(notice)") }
            guard let interrupts else { return Output.line(reply.task.id) }
            interrupts.attach(to: connection)
            let typing = try beginTyping(to: id, connection, terminal)
            defer { terminal?.restore() }
            let ending = try await Attachment(connection: connection, task: id).follow()
            terminal?.restore()
            interrupts.end()
            typing?.end()
            if let loss = typing?.loss { throw ClientFailure(loss, code: 125) }
            if let gap = ending.gap { Output.error("client: \(gap)") }
            guard let task = ending.task else { return }
            throw ExitCode(Attachment.code(of: task))
        }
    }

    /// The terminal at which the user sits, if the task is to have it.
    private func terminal() throws -> Terminal? {
        guard !(stdin && detach) else {
            throw ClientFailure(
                "run: --stdin needs somebody who stays; take it without --detach", code: 125)
        }
        return tty && !detach ? try Terminal(isRead: stdin, command: "run") : nil
    }

    private func beginTyping(
        to id: String, _ connection: Connection, _ terminal: Terminal?
    ) throws -> InputLink? {
        guard !detach, stdin || tty else { return nil }
        let link = InputLink(connection: connection, sendsInput: stdin, terminal: terminal)
        link.begin(.task(id))
        if stdin { terminal?.makeRaw() }
        return link
    }

    private func newID() -> String {
        var generator = SystemRandomNumberGenerator()
        let now = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
        return TaskID(at: now, using: &generator).description
    }

    /// The command without the `--` that only told where options end.
    static func withoutSeparator(_ words: [String]) -> [String] {
        guard let position = words.prefix(2).firstIndex(of: "--") else { return words }
        return Array(words[..<position] + words[(position + 1)...])
    }

    func spec() throws -> SpecView {
        // The parser takes what it does not know for the command.
        if let first = command.first, first.hasPrefix("-"), first != "--" {
            throw ClientFailure(
                "run: there is no option \(first); for a program of that name write: client run -- "
                    + "\(first)", code: 125)
        }
        var spec = SpecView(command: RunCommand.withoutSeparator(command))
        guard !spec.command.isEmpty || image != nil else {
            throw ClientFailure("run: give a command, such as: client run ls -l", code: 125)
        }
        spec.cpus = cpus
        spec.memory = try Self.reading("--memory", memory, Quantities.bytes)
        spec.pids = pids
        spec.environment = try environment()
        spec.workdir = workdir
        spec.rootfs = rootfs
        spec.image = image
        spec.volumes = volume
        spec.restart = restart
        spec.maxAttempts = maxAttempts
        spec.onPartition = onPartition
        spec.retainSeconds = try Self.reading("--retain", retain, Quantities.seconds)
        spec.timeoutSeconds = try Self.reading("--timeout", timeout, Quantities.seconds)
        spec.graceSeconds = try Self.reading("--grace", grace, Quantities.seconds)
        spec.constraints = constraint
        if stdin { spec.stdin = true }
        if tty { spec.terminal = Terminal.sizeHere ?? TerminalView(rows: 24, columns: 80) }
        try container.read(into: &spec)
        // Checked here as well as by the node: the error comes sooner, and without a network.
        _ = try Self.reading("--ack", ack, Quantities.ack)
        do {
            _ = try spec.spec()
        } catch {
            let subject = error.field.map(RunCommand.option) ?? "the task"
            throw ClientFailure("run: \(subject): \(error.cause)", code: 125)
        }
        return spec
    }

    /// Reads an option's value, when there is one; an error names the option.
    static func reading<Value>(
        _ option: String, _ text: String?, _ read: (String) throws(InvalidInput) -> Value
    ) throws -> Value? {
        guard let text else { return nil }
        do {
            return try read(text)
        } catch {
            throw ClientFailure("run: \(option): \(error.cause)", code: 125)
        }
    }

    /// The option with which people set a field of a submission.
    static func option(of field: String) -> String {
        switch field {
        case "command": "the command"
        case "environment": "--env"
        case "volumes": "--volume"
        case "constraints": "--constraint"
        case "ulimits": "--ulimit"
        default:
            "--" + field.replacing("_seconds", with: "").replacing("_", with: "-")
        }
    }

    private func environment() throws -> [String] {
        var settings: [String] = []
        if let envFile {
            guard let text = try? String(contentsOfFile: envFile, encoding: .utf8) else {
                throw ClientFailure(
                    "run: --env-file: the file \(envFile) can't be read", code: 125)
            }
            settings += text.split(separator: "\n").map(String.init).filter {
                !$0.hasPrefix("#") && !$0.allSatisfy(\.isWhitespace)
            }
        }
        return settings + Settings.taken(from: env)
    }
}

/// A submission that is repeated until a node has answered; the ID makes repetition harmless.
struct Submission {
    let connection: Connection
    let request: SubmitRequest

    /// How often a submission is tried before the client gives up.
    static let triesMax = 5

    func submit() async throws -> SubmitReply {
        var tries = 1
        while true {
            do {
                return try await connection.ask(
                    .POST, APIPaths.tasks, request, as: SubmitReply.self)
            } catch let error as Unreachable {
                // A daemon that does not listen at all will not do so in a second either.
                guard tries < Submission.triesMax, !error.isRefused else { throw error }
                tries += 1
                try await Task.sleep(for: .milliseconds(200 * tries))
            }
        }
    }
}
