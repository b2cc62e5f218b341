import ArgumentParser
import AsyncHTTPClient
import ControlAPI
import Foundation
import Glibc
import NIOCore
import NIOHTTP1

/// `client exec`: runs another program in a running task's container.
struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run another program beside a running task's own.",
        usage: "client exec [<options>] <id> <command> …",
        discussion: """
            It runs as the task's user, sees what the task sees, and shares its limits. It ends \
            with this client, with the task, and with the daemon of the task's node; so does what \
            it has started. Options end at the ID.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(name: [.customShort("i"), .long], help: "It reads what comes in here.")
    var stdin = false
    @Flag(name: [.customShort("t"), .long], help: "It has a terminal; with -i this one.")
    var tty = false
    @Option(
        name: [.customShort("u"), .long],
        help: "USER[:GROUP], as the task's root file system knows them (default: the task's own).")
    var user: String?
    @Option(name: [.customShort("e"), .long], help: "KEY=VALUE, or KEY to take it from here.")
    var env: [String] = []
    @Option(
        name: [.customShort("w"), .long], help: "Where it starts (default: where the task did).")
    var workdir: String?
    @Argument(parsing: .captureForPassthrough, help: "The task, the program and its arguments.")
    var words: [String] = []

    func run() async throws {
        if let first = words.first, ["-h", "--help"].contains(first) {
            throw CleanExit.helpRequest(self)
        }
        try await reporting(code: 125) {
            let connection = try Connection(common.node)
            let terminal = tty ? try Terminal(isRead: stdin, command: "exec") : nil
            let (task, request) = try request(terminal)
            defer { terminal?.restore() }
            let body = try await connection.stream(
                "\(try Connection.task(task))/exec", method: .POST, request,
                accept: APIPaths.frames)
            let end = try await follow(body, connection, terminal)
            terminal?.restore()
            if let failure = end.failure { Output.error("client: \(failure)") }
            throw ExitCode(end.exitCode ?? 125)
        }
    }

    /// Passes on input and output until the program has ended.
    private func follow(
        _ body: HTTPClientResponse.Body, _ connection: Connection, _ terminal: Terminal?
    ) async throws -> CallFrame {
        var lines = FrameLines<CallFrame>()
        let link = InputLink(connection: connection, sendsInput: stdin, terminal: terminal)
        defer { link.end() }
        do {
            for try await chunk in body {
                for frame in try lines.take(chunk.readableBytesView) {
                    if let call = frame.call {
                        link.begin(.call(call, inputAt: frame.inputAt ?? 0))
                        if stdin { terminal?.makeRaw() }
                    }
                    if let data = frame.data { try show(data, of: frame.stream) }
                    if frame.exitCode != nil { return frame }
                }
            }
        } catch let error as HTTPClientError {
            throw Unreachable(node: connection.name, error)
        }
        throw ClientFailure(
            "lost the node at \(connection.name), and with it the program", code: 125)
    }

    private func show(_ data: Data, of stream: String?) throws {
        guard Output.write(data, to: stream == "stderr" ? 2 : 1) else {
            throw ClientFailure("nobody reads the output any more", code: 128 + SIGPIPE)
        }
    }

    private func request(_ terminal: Terminal?) throws -> (task: String, ExecRequest) {
        if let first = words.first, first.hasPrefix("-"), first != "--" {
            throw ClientFailure("exec: there is no option \(first)", code: 125)
        }
        let words = RunCommand.withoutSeparator(words)
        guard let task = words.first, words.count > 1 else {
            throw ClientFailure(
                "exec: give a task and a command, such as: client exec ID ls -l", code: 125)
        }
        var request = ExecRequest(command: Array(words.dropFirst()))
        var settings = Settings.taken(from: env)
        if terminal != nil {
            request.terminal = Terminal.sizeHere ?? TerminalView(rows: 24, columns: 80)
            let own = ProcessInfo.processInfo.environment["TERM"]
            if let own, !settings.contains(where: { $0.hasPrefix("TERM=") }) {
                settings.append("TERM=\(own)")
            }
        }
        if !settings.isEmpty { request.environment = settings }
        request.workdir = workdir
        request.user = user
        if stdin { request.stdin = true }
        do {
            _ = try request.program()
        } catch {
            let subject = error.field.map(RunCommand.option) ?? "the command"
            throw ClientFailure("exec: \(subject): \(error.cause)", code: 125)
        }
        return (task, request)
    }
}

/// Settings of programs as command lines give them.
enum Settings {
    /// `KEY=VALUE` as it is, `KEY` with the value that it has here, if it has one.
    static func taken(from words: [String]) -> [String] {
        let own = ProcessInfo.processInfo.environment
        return words.compactMap { word in
            word.contains("=") ? word : own[word].map { "\(word)=\($0)" }
        }
    }
}
