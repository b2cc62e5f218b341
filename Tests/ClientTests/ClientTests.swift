import ArgumentParser
import ControlAPI
import Foundation
import Glibc
import NIOHTTP1
import Testing

@testable import Client

@Suite struct RunCommandTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let words: [String]
        let command: [String]
        var testDescription: String { words.joined(separator: " ") }
    }

    @Test(arguments: [
        Row(words: ["ls", "-l"], command: ["ls", "-l"]),
        Row(words: ["ls", "--", "-l"], command: ["ls", "-l"]),
        Row(words: ["--", "ls", "-l"], command: ["ls", "-l"]),
        Row(words: ["-d", "--cpus", "2", "sh", "-c", "x -d"], command: ["sh", "-c", "x -d"]),
        Row(words: ["git", "log", "--", "f"], command: ["git", "log", "--", "f"]),
        Row(words: ["ls", "--help"], command: ["ls", "--help"]),
        Row(words: ["echo", "-N", "x"], command: ["echo", "-N", "x"]),
        Row(words: ["--", "-x", "y"], command: ["-x", "y"]),
        Row(words: ["echo", "", ""], command: ["echo", "", ""]),
    ])
    func `options end at the command`(row: Row) throws {
        let parsed = try RunCommand.parse(row.words)
        #expect(try parsed.spec().command == row.command)
    }

    @Test func `options become the spec`() throws {
        let command = try RunCommand.parse([
            "-e", "A=1", "-w", "/tmp", "--memory", "64M", "--restart", "on-failure:2", "-v",
            "/a:/b:ro", "--timeout", "1m", "true",
        ])
        let spec = try command.spec()
        #expect(spec.environment == ["A=1"])
        #expect(spec.workdir == "/tmp")
        #expect(spec.memory == 64 << 20)
        #expect(spec.restart == "on-failure:2")
        #expect(spec.volumes == ["/a:/b:ro"])
        #expect(spec.timeoutSeconds == 60)
    }

    @Test(arguments: [
        ["--memory", "lots", "true"], ["-v", "a:b", "true"], ["--restart", "sometimes", "true"],
        ["--timeout", "soon", "true"], ["--cpus", "0", "true"], [], ["--bogus", "true"], ["-x"],
        [""], ["-e", "=1", "true"], ["-w", "here", "true"],
    ])
    func `bad input is refused before anything is sent`(words: [String]) throws {
        let command = try RunCommand.parse(words)
        #expect(throws: (any Error).self) { try command.spec() }
    }

    struct BadInput: CustomTestStringConvertible, Sendable {
        let words: [String]
        /// The option with its value, as the message begins.
        let subject: String
        var testDescription: String { words.joined(separator: " ") }
    }

    @Test(arguments: [
        BadInput(words: ["--memory", "much"], subject: "--memory: much"),
        BadInput(words: ["--memory", "1K"], subject: "--memory: 1024"),
        BadInput(words: ["--timeout", "soon"], subject: "--timeout: soon"),
        BadInput(words: ["--timeout", "0"], subject: "--timeout: 0"),
        BadInput(words: ["--retain", "3651d"], subject: "--retain: "),
        BadInput(words: ["--grace", "2d"], subject: "--grace: "),
        BadInput(words: ["--restart", "maybe"], subject: "--restart: maybe"),
        BadInput(words: ["--max-attempts", "0"], subject: "--max-attempts: 0"),
        BadInput(words: ["--on-partition", "stop"], subject: "--on-partition: stop"),
        BadInput(words: ["--constraint", "zone"], subject: "--constraint: zone"),
        BadInput(words: ["-e", "=1"], subject: "--env: =1"),
        BadInput(words: ["-v", "a:b"], subject: "--volume: a:b"),
        BadInput(words: ["-w", "here"], subject: "--workdir: here"),
        BadInput(words: ["--ack", "zero"], subject: "--ack: zero"),
        BadInput(words: ["--pids", "1"], subject: "--pids: 1"),
        BadInput(words: ["--cpus", "0"], subject: "--cpus: 0"),
    ])
    func `bad input is named with its option`(row: BadInput) throws {
        let command = try RunCommand.parse(row.words + ["true"])
        let failure = #expect(throws: ClientFailure.self) { try command.spec() }
        #expect(failure?.message.hasPrefix("run: \(row.subject)") == true, "\(failure as Any)")
        #expect(failure?.code == 125)
    }
}

@Suite struct NodeOptionTests {
    @Test func `the node may be named before the command`() {
        let moved = ClientCommand.withNodeBehindCommand(["-N", "unix:/x", "run", "ls", "-l"])
        #expect(moved == ["run", "-N", "unix:/x", "ls", "-l"])
        #expect(
            ClientCommand.withNodeBehindCommand(["--node=h:1", "nodes", "-o", "json"])
                == ["nodes", "--node=h:1", "-o", "json"])
        #expect(
            ClientCommand.withNodeBehindCommand(["-N", "h:1", "nodes", "forget", "x"])
                == ["nodes", "forget", "-N", "h:1", "x"])
        #expect(ClientCommand.withNodeBehindCommand(["-N", "h:1"]) == ["-N", "h:1"])
        #expect(ClientCommand.withNodeBehindCommand(["run", "ls"]) == ["run", "ls"])
        #expect(ClientCommand.withNodeBehindCommand([]) == [])
    }
}

@Suite struct ExitCodeTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let state: String
        let exit: Int32?
        let code: Int32
        var testDescription: String { "\(state) \(exit.map(String.init) ?? "-")" }
    }

    @Test(arguments: [
        Row(state: "complete", exit: 0, code: 0), Row(state: "failed", exit: 3, code: 3),
        Row(state: "failed", exit: 137, code: 137), Row(state: "failed", exit: 127, code: 127),
        Row(state: "failed", exit: nil, code: 1), Row(state: "canceled", exit: 143, code: 143),
        Row(state: "canceled", exit: nil, code: 143), Row(state: "canceled", exit: 0, code: 143),
        Row(state: "lost", exit: nil, code: 125),
    ])
    func `a task's end has the code that a shell would show`(row: Row) {
        var task = TaskView(id: "x", state: row.state, command: ["a"], submitted: "t")
        task.exitCode = row.exit
        #expect(Attachment.code(of: task) == row.code)
    }
}

@Suite struct TableTests {
    @Test func `columns are as wide as their widest cell, without blanks at the end`() {
        var table = Table(header: ["A", "LONG"])
        table.rows.append(["wide cell", "x"])
        #expect(table.lines == ["A          LONG", "wide cell  x"])
    }

    @Test func `a state shows the wish that waits and the end that is not confirmed`() {
        var task = TaskView(id: "x", state: "queued", command: ["a"], submitted: "t")
        #expect(ListCommand.shownState(of: task) == "queued")
        task.cancelRequested = true
        #expect(ListCommand.shownState(of: task) == "queued (canceling)")
        task.state = "canceled"
        #expect(ListCommand.shownState(of: task) == "canceled")
        task.unconfirmed = true
        #expect(ListCommand.shownState(of: task) == "canceled (unconfirmed)")
    }

    @Test func `frames are cut at line ends, however they arrive`() throws {
        let frame = LogFrame(stream: "stdout", data: Data("hi\n".utf8), cursor: "1.2-0-3")
        let bytes = Array(try JSONEncoder().encode(frame)) + [10]
        var lines = FrameLines<LogFrame>()
        var found: [LogFrame] = []
        for byte in bytes + bytes { found += try lines.take([byte]) }
        #expect(found == [frame, frame])
    }
}

@Suite struct ConnectionTests {
    @Test(arguments: [
        "unix:", "host", "host:port", "a:b:c", "", "http://x:1", ":80", "h/p:1", "u@h:1", "h:70000",
        "unix:/" + String(repeating: "x", count: 107),
    ])
    func `a node that can't be one is refused`(name: String) {
        #expect(throws: InvalidInput.self) { try Connection(name, environment: [:]) }
    }

    @Test func `the node is the option's, else the variable's, else this machine's`() throws {
        let set = ["MAGPIE_NODE": "localhost:2", "MAGPIE_DATA_DIR": "/d"]
        #expect(try Connection("127.0.0.1:1", environment: set).name == "127.0.0.1:1")
        #expect(try Connection(nil, environment: set).name == "localhost:2")
        #expect(
            try Connection(nil, environment: ["MAGPIE_NODE": "", "MAGPIE_DATA_DIR": "/d"]).name
                == "unix:/d/api.sock")
        #expect(try Connection("[::1]:80", environment: [:]).name == "[::1]:80")
        #expect(throws: InvalidInput.self) { try Connection("", environment: set) }
    }

    @Test(arguments: ["10.0.0.1:80", "h:1", "127.0.0.1.evil.example:1", "[fd00::1]:80"])
    func `another machine is not spoken to without a login`(name: String) {
        let error = #expect(throws: InvalidInput.self) {
            try Connection(name, environment: ["HOME": "/nonexistent"])
        }
        #expect(error?.description.contains("client login \(name)") == true)
    }

    @Test(arguments: ["", "a/b", "a?b", "../x", "zz"])
    func `what can be no task's ID is not sent`(fragment: String) {
        #expect(throws: InvalidInput.self) { try Connection.task(fragment) }
    }

    @Test func `an ID may be written large`() throws {
        #expect(try Connection.task("01A2-F") == "/v1/tasks/01A2-F")
    }

    @Test func `a node without a daemon says how to start one`() async {
        do {
            _ = try await Connection("unix:/nonexistent/api.sock")
                .ask(.GET, "/v1/nodes", as: [NodeView].self)
            Issue.record("there is no daemon")
        } catch let error as Unreachable {
            #expect(error.message.contains("daemon start"))
            #expect(error.cause == "No such file or directory")
            #expect(error.isRefused)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test func `a login where nobody listens says so`() async {
        let error = await #expect(throws: Unreachable.self) {
            try await CertificateProbe.look(at: "127.0.0.1", port: 1, name: "127.0.0.1:1")
        }
        #expect(error?.cause == "Connection refused")
        #expect(error?.isRefused == true)
    }
}

@Suite struct LoginBookTests {
    @Test func `logins are kept where nobody else can read them, and not read from elsewhere`()
        throws
    {
        let folder = FileManager.default.temporaryDirectory.path + "/magpie-logins-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let book = LoginBook(["XDG_CONFIG_HOME": folder])
        #expect(try book["a:1"] == nil)
        try book.set(Login(token: "t", certificate: Data([1]), authorities: nil), for: "a:1")
        try book.set(Login(token: "u", certificate: nil, authorities: ""), for: "b:2")
        #expect(try book["a:1"]?.token == "t")
        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try mode(book.file) == 0o600)
        #expect(try mode("\(folder)/magpie") == 0o700)
        try book.set(nil, for: "a:1")
        #expect(try book["a:1"] == nil)
        #expect(try book["b:2"]?.token == "u")
        chmod(book.file, 0o640)
        let error = #expect(throws: InvalidInput.self) { try book["b:2"] }
        #expect(error?.description.contains("chmod 600") == true)
    }
}
