import CShims
import Foundation
import Glibc
import Model

/// Another program in a running task's container: the far end of `client exec`.
///
/// The runtime's own process stays this process's child and hands on the exit code. The program gets
/// a mark in its environment, by which whatever it has started is found and ended with it; a later
/// daemon finds by it what an earlier one could not end.
final class ProgramCall: CallEndpoint {
    /// The setting that marks the processes of calls.
    static let mark = "MAGPIE_CALL"
    /// How long the runtime may take to start a program.
    private static let startTimeMax: Duration = .seconds(10)

    private let runner: ContainerRunner
    private let paths: ContainerPaths
    private let program: CallProgram
    private let number: UInt64
    private var runtime: pid_t?
    private var session: pid_t?

    init(
        _ runner: ContainerRunner, _ paths: ContainerPaths, _ program: CallProgram,
        number: UInt64
    ) {
        self.runner = runner
        self.paths = paths
        self.program = program
        self.number = number
    }

    private func file(_ ending: String) -> String {
        "\(runner.configuration.runDirectory)/calls/\(number).\(ending)"
    }

    // MARK: Start

    func open() throws(ContainerFailure) -> CallPump.Ends {
        do {
            guard let process = runner.program(of: paths) else {
                throw RunnerError("the task does not run any more")
            }
            let specification = try ProgramSpecification(
                program, in: paths, beside: process, mark: "\(ProgramCall.mark)=\(number)",
                on: runner.configuration.ordinaryUser)
            try Files.write(Array(specification.json), to: file("json"))
            return try spawn()
        } catch let failure as ContainerFailure {
            throw failure
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
    }

    private func spawn() throws(RunnerError) -> CallPump.Ends {
        var ends = CallPump.Ends()
        var theirs: [Int32] = []
        defer { for descriptor in theirs { Glibc.close(descriptor) } }
        var arguments =
            runner.runtimeOptions + ["--log", file("log"), "exec"]
            + ["--process", file("json"), "--pid-file", file("pid")]
        guard program.terminal == nil else {
            arguments += ["--console-socket", file("sock"), "\(paths.id)"]
            return try spawnWithTerminal(arguments)
        }
        let output = try Spawner.pipe()
        theirs.append(output.writer)
        ends.outputs.append((output.reader, .stdout))
        do {
            let errors = try Spawner.pipe()
            theirs.append(errors.writer)
            ends.outputs.append((errors.reader, .stderr))
            var source: Int32 = -1
            if program.hasInput {
                let input = try Spawner.pipe()
                theirs.append(input.reader)
                (source, ends.input) = (input.reader, input.writer)
            }
            ends.witness = try spawn(
                arguments + ["\(paths.id)"], source, output.writer, errors.writer)
            return ends
        } catch {
            for end in ends.outputs { Glibc.close(end.descriptor) }
            if ends.input >= 0 { Glibc.close(ends.input) }
            throw error
        }
    }

    private func spawnWithTerminal(_ arguments: [String]) throws(RunnerError) -> CallPump.Ends {
        // runc hands a terminal over only when it does not wait for the program's end.
        guard !runner.configuration.isRunc else {
            throw RunnerError(
                "the task's node runs containers by runc, which gives further programs no terminal; "
                    + "take it without -t, or have its daemon use crun (--runtime)")
        }
        let listener = magpie_listen(file("sock"))
        guard listener >= 0 else { throw Files.failure("listen at", file("sock")) }
        defer { Glibc.close(listener) }
        let errors = Glibc.open(file("err"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard errors >= 0 else { throw Files.failure("write", file("err")) }
        defer { Glibc.close(errors) }
        var ends = CallPump.Ends()
        ends.witness = try spawn(arguments, -1, errors, errors)
        let limit = Int32(ProgramCall.startTimeMax / .milliseconds(1))
        let terminal = magpie_receive_descriptor(listener, ends.witness, limit)
        // Without one, the runtime is about to end and to say why.
        guard terminal >= 0 else { return ends }
        ends.outputs = [(terminal, .stdout)]
        ends.inputKind = .terminal
        if program.hasInput { ends.input = terminal }
        self.terminal = terminal
        return ends
    }

    /// The pump's; good for as long as the program runs.
    private var terminal: Int32 = -1

    private func spawn(
        _ arguments: [String], _ input: Int32, _ output: Int32, _ errors: Int32
    ) throws(RunnerError) -> Int32 {
        let process = try Spawner.spawn(
            runner.configuration.runtime, arguments, directory: nil, input: input, output: output,
            errors: errors, inherited: -1, environment: [])
        runtime = process
        let witness = magpie_pidfd_open(process)
        guard witness >= 0 else {
            Glibc.kill(process, SIGKILL)
            throw Files.failure("watch", runner.configuration.runtime)
        }
        return witness
    }

    // MARK: End

    func ended() -> CallEnd {
        guard let runtime else { return .exited(255) }
        let code = Spawner.wait(for: runtime)
        self.runtime = nil
        endProcesses()
        if !Files.exists(file("pid")), code != 0 {
            let message = Files.text(file("log")) ?? "the runtime ended with \(code)"
            return .failed(ContainerRunner.runtimeFailure(message, "start the program in"))
        }
        return .exited(code)
    }

    func close() {
        if let runtime {
            // Who kills the runtime too early does not learn what it was about to start.
            let limit = ContinuousClock.now + ProgramCall.startTimeMax
            while !Files.exists(file("pid")), ProgramCall.isRunning(runtime), limit > .now {
                usleep(2_000)
            }
            endProcesses()
            Glibc.kill(runtime, SIGKILL)
            _ = Spawner.wait(for: runtime)
            self.runtime = nil
            endProcesses()
        }
        for ending in ["json", "pid", "log", "sock", "err"] { Files.remove(file(ending)) }
        // What runc leaves when it is killed while it writes the process ID.
        Files.remove("\(runner.configuration.runDirectory)/calls/.\(number).pid")
    }

    func resize(_ size: TerminalSize) {
        guard terminal >= 0, runtime != nil else { return }
        _ = magpie_set_terminal_size(terminal, size.rows, size.columns)
    }

    private static func isRunning(_ process: pid_t) -> Bool {
        var information = siginfo_t()
        return waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0
            && information.si_signo == 0
    }

    /// Ends the program and what it has started.
    private func endProcesses() {
        let leader = Files.text(file("pid")).flatMap { pid_t($0) }
        if session == nil, let leader, runner.sandbox(of: paths)?.contains(leader) == true {
            session = CallProcess(leader)?.session
        }
        let mark = "\(ProgramCall.mark)=\(number)"
        runner.endProcesses(of: paths) { [session] process in
            process.id == leader || process.session == session || process.hasSetting(mark)
        }
    }
}

/// A process of a container, as the host sees it.
struct CallProcess {
    let id: pid_t
    let session: pid_t
    private let isZombie: Bool

    init?(_ id: pid_t) {
        // What follows the name in parentheses: state, parent, group, session.
        guard let text = Files.text("/proc/\(id)/stat"), let name = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 3, let session = pid_t(fields[3]) else { return nil }
        self.id = id
        self.session = session
        isZombie = fields[0] == "Z"
    }

    /// Whether it can still do something.
    var isAlive: Bool { !isZombie }

    /// Whether its environment began with this setting somewhere in it.
    func hasSetting(_ setting: String) -> Bool {
        let settings = Files.read("/proc/\(id)/environ")?.split(separator: 0) ?? []
        return settings.contains { $0.elementsEqual(setting.utf8) }
    }

    /// Whether it belongs to a call of whatever number.
    var isOfCall: Bool {
        let settings = Files.read("/proc/\(id)/environ")?.split(separator: 0) ?? []
        return settings.contains { $0.starts(with: "\(ProgramCall.mark)=".utf8) }
    }
}

extension ContainerRunner {
    /// How often a container is searched for processes that are to end.
    private static let endRoundsMax = 200

    /// Ends those processes of a container of which this is true, until there are none.
    func endProcesses(of paths: ContainerPaths, where isMeant: (CallProcess) -> Bool) {
        for _ in 0..<ContainerRunner.endRoundsMax {
            let found = processes(of: paths).compactMap { CallProcess($0) }
                .filter { $0.isAlive && isMeant($0) }
            if found.isEmpty { return }
            let sandbox = sandbox(of: paths)
            for process in found where sandbox?.contains(process.id) == true {
                Glibc.kill(process.id, SIGKILL)
            }
            usleep(1_000)
        }
    }
}
