import Foundation
import Glibc
import Subprocess
import SystemPackage

/// A real daemon, started and ended by a test.
actor TestNode {
    nonisolated let name: String
    nonisolated let address: String
    nonisolated let dataDirectory: URL
    private let options: [String]
    /// What stands before the daemon's own command.
    private let entrance: [String]
    /// Who runs the daemon when it is not root; stands before all commands of the node.
    nonisolated let user: TestUser?
    private var process: (id: pid_t, run: Task<Int32, any Error>)?

    init(
        name: String, address: String, dataDirectory: URL, options: [String], entrance: [String],
        user: TestUser? = nil
    ) {
        self.name = name
        self.address = address
        self.dataDirectory = dataDirectory
        self.options = options
        self.entrance = entrance
        self.user = user
    }

    /// Starts the daemon, and waits for its `ready` line.
    ///
    /// - Parameter command: `start`, or `join SEED --token …`.
    /// - Throws: `NeverHappened` when the daemon ends before it is ready.
    func start(_ command: [String]) async throws {
        let arguments =
            entrance + (user?.entrance ?? []) + [Program.path("daemon").string] + command + [
                "--name", name, "--data-dir", dataDirectory.path, "--bind", address,
                "--profile", "local", "--cpus", "2", "--memory", "2G",
            ] + options
        let (ready, announce) = AsyncThrowingStream<pid_t, any Error>.makeStream()
        let logPath = FilePath(dataDirectory.path + ".log")
        let log = try FileDescriptor.open(
            logPath, .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
        let run = Task {
            defer { announce.finish(throwing: NeverHappened(description: "daemon ended early")) }
            return try await Subprocess.run(
                .path(FilePath(arguments[0])), arguments: Arguments(Array(arguments.dropFirst())),
                input: .none,
                output: .sequence,
                error: .fileDescriptor(log, closeAfterSpawningProcess: true)
            ) { execution in
                for try await line in execution.standardOutput.strings()
                where line.hasPrefix("ready ") {
                    announce.yield(pid_t(execution.processIdentifier.value))
                }
            }.terminationStatus.shellCode
        }
        for try await id in ready {
            process = (id, run)
            return
        }
        // The test was canceled while the daemon started: nothing of it may stay.
        run.cancel()
        _ = try? await run.value
        throw CancellationError()
    }

    /// Sends SIGKILL to the daemon; its containers live on.
    func kill() async {
        await end(with: SIGKILL)
    }

    /// Sends SIGTERM, or another signal, to the daemon; its containers live on.
    ///
    /// - Returns: The daemon's exit code; `nil` when it did not run.
    @discardableResult
    func stop(_ signal: Int32 = SIGTERM) async -> Int32? {
        await end(with: signal)
    }

    /// How many descriptors the daemon has open.
    func descriptorCount() throws -> Int {
        guard let process else { return 0 }
        return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.id)/fd").count
    }

    /// Sends a signal that does not end the daemon.
    func signal(_ signal: Int32) {
        if let process { Glibc.kill(process.id, signal) }
    }

    /// Waits until the daemon has ended by itself.
    func waitForEnd() async {
        guard let process else { return }
        _ = try? await process.run.value
        self.process = nil
    }

    @discardableResult
    private func end(with signal: Int32) async -> Int32? {
        guard let process else { return nil }
        Glibc.kill(process.id, signal)
        // A daemon that a failed test left standing still hears nothing else.
        Glibc.kill(process.id, SIGCONT)
        let code = try? await process.run.value
        self.process = nil
        return code
    }

    /// Removes every container that the ended daemon left behind.
    func purge() async throws {
        let result = try await Program.run(
            "daemon", ["purge", "--data-dir", dataDirectory.path], as: user)
        guard result.code == 0 else { throw NeverHappened(description: result.errors) }
    }

    /// Runs the client against this node.
    nonisolated func client(_ arguments: String...) async throws -> ProgramResult {
        try await client(arguments)
    }

    /// Where this node's client finds it.
    nonisolated var environment: [String: String] {
        ["MAGPIE_NODE": "unix:\(dataDirectory.path)/api.sock"]
    }

    /// Runs the client against this node.
    nonisolated func client(_ arguments: [String]) async throws -> ProgramResult {
        try await Program.run(
            "client", arguments, as: user, environment: environment)
    }
}
