import CShims
import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Programs that clients start in running tasks, and what they type.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct CallTests {
    /// A task that runs until it is ended.
    private static func sleeper(_ settings: (inout TaskSpec) -> Void = { _ in }) -> TaskSpec {
        var spec = TaskSpec(command: ["sleep", "1000"])
        settings(&spec)
        return spec
    }

    @Test func `a program runs as the task's user, in its namespaces and group`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(
                id,
                Self.sleeper {
                    $0.options.user = "nobody"
                    $0.options.hostname = "box"
                    $0.environment = ["COLOUR=blue"]
                    $0.workingDirectory = "/tmp"
                })
            let look = """
                id -u; uname -n; echo $COLOUR $PWD $HOME; readlink /proc/self/ns/pid
                grep -E 'NoNewPrivs|Seccomp:|CapBnd|CapEff' /proc/self/status
                grep pids /proc/self/cgroup | cut -d: -f3; ulimit -c
                """
            let result = try await bench.exec(id, CallProgram(command: ["sh", "-c", look]))
            let process = try #require(bench.runner.program(of: bench.paths(id)))
            let ours = Files.text("/proc/\(process)/status") ?? ""
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(result.end == .exited(0), "\(result.errors)")
            #expect(lines.prefix(3) == ["65534", "box", "blue /tmp /nonexistent"])
            var status = stat()
            stat("/proc/\(process)/ns/pid", &status)
            #expect(lines.dropFirst(3).first == "pid:[\(status.st_ino)]")
            for line in lines where line.contains(":\t") {
                #expect(ours.contains(line), "\(line)")
            }
            #expect(lines.filter { $0.contains(":\t") }.count == 4)
            let showsGroup = RunnerBench.hasGroups && !bench.runner.cgroups.isUnified
            #expect(lines.contains(bench.paths(id).group) || !showsGroup)
            #expect(lines.last == "0")
        }
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let program: [String]
        var change: @Sendable (inout CallProgram) -> Void = { _ in }
        var output = ""
        var errors = ""
        let end: CallEnd?
        /// For failures: the code, and what the message must say.
        var code: Int32 = 0
        var words = ""
        var testDescription: String { program.joined(separator: " ") }
    }

    private static let rows = [
        Row(
            program: ["sh", "-c", "echo out; echo err >&2; exit 7"], output: "out\n",
            errors: "err\n", end: .exited(7)),
        Row(program: ["sh", "-c", "kill -9 $$"], end: .exited(137)),
        Row(program: ["sh", "-c", "kill -TERM $$"], end: .exited(143)),
        Row(
            program: ["id", "-un"], change: { $0.user = "nobody" }, output: "nobody\n",
            end: .exited(0)),
        Row(
            program: ["sh", "-c", "grep CapEff /proc/self/status; echo $HOME"],
            change: { $0.user = "nobody" }, output: "CapEff:\t0000000000000000\n/nonexistent\n",
            end: .exited(0)),
        Row(
            program: ["sh", "-c", "echo $PWD $A $HOME"],
            change: {
                $0.workingDirectory = "/usr"
                $0.environment = ["A=b", "HOME=/h"]
            }, output: "/usr b /h\n", end: .exited(0)),
        Row(program: ["cat"], end: .exited(0)),
        Row(program: ["no-such-program"], end: nil, code: 127, words: "no-such-program"),
        Row(program: ["/etc/passwd"], end: nil, code: 126, words: "/etc/passwd"),
        Row(program: ["/usr"], end: nil, code: 126, words: "/usr"),
        Row(
            program: ["true"], change: { $0.user = "no-such-user" }, end: nil, code: 125,
            words: "no-such-user"),
        Row(
            program: ["true"], change: { $0.workingDirectory = "/no-such-place" }, end: nil,
            code: 125, words: "/no-such-place"),
    ]

    @Test func `output, errors, codes and failures are told apart`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper())
            for row in Self.rows {
                var program = CallProgram(command: row.program)
                row.change(&program)
                let result = try await bench.exec(id, program)
                #expect(result.output == row.output, "\(row.testDescription)")
                #expect(result.errors == row.errors, "\(row.testDescription)")
                if let end = row.end {
                    #expect(result.end == end, "\(row.testDescription)")
                } else if case .failed(let failure) = result.end {
                    #expect(failure.code == row.code && failure.message.contains(row.words))
                } else {
                    Issue.record("\(row.testDescription): \(result.end)")
                }
            }
            try await bench.eventually("nothing is left of them") {
                Files.names(in: bench.callsDirectory).isEmpty
                    && bench.processes(id).count == 1
            }
        }
    }

    @Test func `input arrives whole, in its order, and ends`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper())
            var program = CallProgram(command: ["cat"])
            program.hasInput = true
            let key = try await bench.open(id, .program(program))
            let sent = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            async let received = bench.output(of: id, key)
            try await bench.send(sent, to: id, key)
            let result = try await received
            #expect(result.bytes == sent)
            #expect(result.end == .exited(0))
        }
    }

    @Test
    func `a program that is not listened to waits, and one that does not listen is waited for`()
        async throws
    {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper())
            var program = CallProgram(command: ["sh", "-c", "yes; cat"])
            program.hasInput = true
            let key = try await bench.open(id, .program(program))
            // The pipe to it holds 64 KiB, and so does the buffer before it.
            let chunk = Array(repeating: UInt8(0), count: CallCommand.chunkSizeBytesMax)
            var place: UInt64 = 0
            for _ in 0..<4 {
                let answer = await bench.runner.call(
                    id, key, .write(chunk, at: place, isEnd: false))
                guard case .taken(let taken) = answer else { break }
                if taken == place { break }
                place = taken
            }
            #expect(place > 0 && place <= UInt64(3 * chunk.count))
            // What was not fetched is bounded, whatever the program would write.
            let read = UInt64(CallCommand.chunkSizeBytesMax)
            var isFull = false
            while !isFull {
                let command = CallCommand.read(from: 0, waitAtMost: .seconds(10))
                guard case .output(_, let next, nil) = await bench.runner.call(id, key, command)
                else { break }
                isFull = next == read
            }
            #expect(isFull)
            let again = await bench.runner.call(id, key, .read(from: read, waitAtMost: .zero))
            guard case .output = again else {
                Issue.record("\(again)")
                return
            }
            let late = await bench.runner.call(id, key, .read(from: 0, waitAtMost: .zero))
            guard case .refused(.invalid, _) = late else {
                Issue.record("\(late)")
                return
            }
            #expect(await bench.runner.call(id, key, .close) == .done)
            try await bench.eventually("it is gone") {
                bench.processes(id).count == 1
            }
        }
    }

    @Test func `a terminal has its size, follows it, and passes on keys`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper { $0.options.user = "nobody" })
            let script = """
                until stty size | grep -v '0 0'; do :; done
                echo $TERM; tty >&2; echo ready
                while read line; do echo "got $line"; stty size; done
                """
            var program = CallProgram(command: ["sh", "-c", script])
            program.hasInput = true
            program.terminal = TerminalSize(rows: 33, columns: 77)
            let key = try await bench.open(id, .program(program))
            guard !bench.runner.configuration.isRunc else {
                guard case .failed(let failure) = try await bench.output(of: id, key).end else {
                    Issue.record("runc has given a further program a terminal")
                    return
                }
                #expect(failure.message.contains("runc"))
                return
            }
            var heard = try await bench.listen(id, key) { $0.contains("ready") }
            #expect(heard.text.hasPrefix("33 77\r\nxterm\r\n/dev/pts/"))
            let size = TerminalSize(rows: 44, columns: 88)
            #expect(await bench.runner.call(id, key, .resize(size)) == .done)
            let line = Array("hello\n".utf8)
            _ = await bench.runner.call(id, key, .write(line, at: 0, isEnd: false))
            heard = try await bench.listen(id, key, from: heard.next) {
                $0.contains("got hello") && $0.contains("44 88")
            }
            // Ctrl-C and the end of input, as keys.
            let keys: [UInt8] = [4]
            _ = await bench.runner.call(id, key, .write(keys, at: 6, isEnd: false))
            let result = try await bench.output(of: id, key, from: heard.next)
            #expect(result.end == .exited(0))
        }
    }

    @Test func `what a program has started ends with it, and with its call`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper())
            let started = "sleep 100 & setsid sleep 100 & (setsid sleep 100 &) ; echo ready"
            // It ends by itself.
            let result = try await bench.exec(
                id, CallProgram(command: ["sh", "-c", started + "; exit 3"]))
            #expect(result.end == .exited(3) && result.output == "ready\n")
            try await bench.eventually("they are gone") {
                bench.processes(id).count == 1
            }
            // Its client goes.
            let key = try await bench.open(
                id, .program(CallProgram(command: ["sh", "-c", started + "; sleep 100"])))
            _ = try await bench.listen(id, key) { $0.contains("ready") }
            try await bench.eventually("all run") {
                bench.processes(id).count == 6
            }
            #expect(await bench.runner.call(id, key, .close) == .done)
            try await bench.eventually("they are gone") {
                bench.processes(id).count == 1
                    && Files.names(in: bench.callsDirectory).isEmpty
                    && bench.runner.callCount == 0
            }
            let late = await bench.runner.call(id, key, .read(from: 0, waitAtMost: .zero))
            guard case .refused(.gone, _) = late else {
                Issue.record("\(late)")
                return
            }
        }
    }

    @Test func `programs end with their task, and with the daemon, whenever it comes back`()
        async throws
    {
        try await RunnerBench.run { bench in
            let (id, other) = (bench.newID(), bench.newID())
            try await bench.start(id, Self.sleeper())
            try await bench.start(other, Self.sleeper())
            let script = "setsid sleep 100 & echo ready; sleep 100"
            let program = CallTarget.program(CallProgram(command: ["sh", "-c", script]))
            let key = try await bench.open(id, program)
            _ = try await bench.listen(id, key) { $0.contains("ready") }
            bench.runner.perform(id, .kill)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            let result = try await bench.output(of: id, key, from: 6)
            #expect(result.end == .exited(137))
            // A daemon that is killed can end nothing; one that begins does.
            let second = try await bench.open(other, program)
            _ = try await bench.listen(other, second) { $0.contains("ready") }
            try await bench.eventually("all run") {
                bench.processes(other).count == 4
            }
            try bench.restart()
            _ = bench.runner.recover()
            try await bench.eventually("they are dead") {
                bench.processes(other).count == 1
            }
            #expect(Files.names(in: bench.callsDirectory).isEmpty)
            let late = await bench.runner.call(other, second, .read(from: 0, waitAtMost: .zero))
            guard case .refused(.gone, _) = late else {
                Issue.record("\(late)")
                return
            }
        }
    }

    @Test func `programs are started up to their bound, and not one more`() async throws {
        try await RunnerBench.run {
            $0.callSilenceMax = .seconds(3_600)
        } _: { bench in
            let id = bench.newID()
            try await bench.start(
                id,
                Self.sleeper {
                    $0.resources.memoryBytes = 512 << 20
                    $0.options.isBestEffort = true
                })
            let program = CallTarget.program(CallProgram(command: ["sleep", "100"]))
            var keys: [CallKey] = []
            for _ in 0..<ContainerRunner.callsMax {
                keys.append(try await bench.open(id, program))
            }
            let more = await bench.runner.call(id, bench.newKey(), .open(program))
            guard case .refused(.overloaded, _) = more else {
                Issue.record("\(more)")
                return
            }
            for key in keys { #expect(await bench.runner.call(id, key, .close) == .done) }
            try await bench.eventually("there is room again") { bench.runner.callCount == 0 }
            #expect(Files.names(in: bench.callsDirectory).isEmpty)
            #expect(try await bench.exec(id, CallProgram(command: ["true"])).end == .exited(0))
        }
    }

    @Test func `a call that nobody asks about any more ends by itself`() async throws {
        try await RunnerBench.run {
            $0.callSilenceMax = .milliseconds(500)
        } _: { bench in
            let id = bench.newID()
            var spec = TaskSpec(command: ["sh", "-c", "cat; echo over; sleep 100"])
            spec.options.hasInput = true
            try await bench.start(id, spec)
            _ = try await bench.open(id, .program(CallProgram(command: ["sleep", "100"])))
            try await bench.eventually("its program has ended") {
                bench.runner.callCount == 0
                    && bench.processes(id).count == 2
            }
            // Nor does a task wait for input that nobody will send.
            try await bench.wrote(id)
            #expect(Files.names(in: bench.callsDirectory).isEmpty)
        }
    }

    // MARK: A task's own input

    @Test func `a task's input arrives whole, and its end too`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            var spec = TaskSpec(command: ["cat"])
            spec.options.hasInput = true
            try await bench.start(id, spec)
            let key = try await bench.open(id, .input)
            let sent = (0..<300_000).map { UInt8(ascii: "a") + UInt8($0 % 24) }
            try await bench.send(sent, to: id, key)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 0)))
            let bytes = await bench.log(id).flatMap(\.bytes)
            #expect(bytes == sent)
        }
    }

    @Test func `input that a restart has cut off is said to be so`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            var spec = TaskSpec(command: ["sh", "-c", "cat; sleep 100"])
            spec.options.hasInput = true
            try await bench.start(id, spec)
            let key = try await bench.open(id, .input)
            _ = await bench.runner.call(id, key, .write(Array("one\n".utf8), at: 0, isEnd: false))
            try await bench.wrote(id)
            bench.runner.shutdown()
            try bench.restart()
            _ = bench.runner.recover()
            let answer = await bench.runner.call(id, bench.newKey(), .open(.input))
            guard case .refused(.gone, let reason) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(reason.contains("daemon"))
        }
    }

    @Test func `a task's terminal is one, and outlives the daemon`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            let script = """
                stty size; tty; while read line; do echo "got $line"; stty size; done
                """
            var spec = TaskSpec(command: ["sh", "-c", script])
            spec.options.hasInput = true
            spec.options.terminal = TerminalSize(rows: 33, columns: 77)
            try await bench.start(id, spec)
            let key = try await bench.open(id, .input)
            // What is typed sooner is shown before it.
            try await bench.wrote(id, "/dev/pts/0\r\n")
            let size = TerminalSize(rows: 44, columns: 88)
            #expect(await bench.runner.call(id, key, .resize(size)) == .done)
            let program = try #require(bench.runner.program(of: bench.paths(id)))
            try await bench.eventually("the size has changed") {
                bench.terminalSize(of: program) == size
            }
            _ = await bench.runner.call(id, key, .write(Array("one\n".utf8), at: 0, isEnd: false))
            // What the daemon has taken and not passed on is gone with it.
            try await bench.wrote(id, "one\r\n44 88")
            bench.runner.shutdown()
            try bench.restart()
            _ = bench.runner.recover()
            let second = try await bench.open(id, .input)
            let keys = Array("two\n".utf8) + [4]
            _ = await bench.runner.call(id, second, .write(keys, at: 0, isEnd: false))
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 0)))
            let text = String(decoding: await bench.log(id).flatMap(\.bytes), as: UTF8.self)
            #expect(text.hasPrefix("33 77\r\n/dev/pts/0\r\n"), "\(text)")
            #expect(text.contains("got one\r\n44 88\r\n"), "\(text)")
            #expect(text.contains("got two\r\n44 88\r\n"), "\(text)")
        }
    }

    @Test func `a task that takes no input can't be given any`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.sleeper())
            let answer = await bench.runner.call(id, bench.newKey(), .open(.input))
            guard case .refused(.gone, let reason) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(reason.contains("--stdin"))
            let gone = await bench.runner.call(bench.newID(), bench.newKey(), .open(.input))
            guard case .refused(.gone, _) = gone else {
                Issue.record("\(gone)")
                return
            }
        }
    }
}
