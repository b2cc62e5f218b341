import Foundation
import Glibc
import Subprocess
import SystemPackage

/// A real daemon for the time of a benchmark; ended with SIGTERM.
struct BenchNode: Sendable {
    let name: String
    let address: String
    let directory: String
    /// The daemon's process.
    let process: Int32
    private let run: Task<Void, any Error>

    static func path(_ program: String) -> FilePath {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return FilePath(own.deletingLastPathComponent().appendingPathComponent(program).path)
    }

    /// Starts a daemon and waits for its `ready` line.
    static func start(
        _ number: Int, in folder: String, _ command: [String]
    ) async throws -> BenchNode {
        let name = "bench\(number)"
        let address = "127.0.0.\(100 + number):17946"
        let directory = "\(folder)/\(name)"
        let arguments =
            command + [
                "--name", name, "--data-dir", directory, "--bind", address, "--cpus", "4",
                "--memory", "8G", "--log-level", "error",
            ]
        let (ready, announce) = AsyncStream<Int32>.makeStream()
        let run = Task {
            defer { announce.finish() }
            _ = try await Subprocess.run(
                .path(path("daemon")), arguments: Arguments(arguments), input: .none,
                output: .sequence, error: .discarded
            ) { execution in
                try await withTaskCancellationHandler {
                    for try await line in execution.standardOutput.strings()
                    where line.hasPrefix("ready ") {
                        announce.yield(execution.processIdentifier.value)
                    }
                } onCancel: {
                    try? execution.send(signal: .terminate)
                }
            }
        }
        for await process in ready {
            return BenchNode(
                name: name, address: address, directory: directory, process: process, run: run)
        }
        throw BenchFailure("node \(name) does not start: is the port free, and are you root?")
    }

    /// How much memory the daemon has, in MiB.
    var residentSizeMiB: Double {
        let pages = (try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8))?
            .split(separator: " ").dropFirst().first.flatMap { Double($0) }
        return tenth((pages ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) / Double(1 << 20))
    }

    /// An address of the node's API, over its local socket.
    func url(_ path: String) -> String { BenchNode.url(path, of: directory) }

    static func url(_ path: String, of directory: String) -> String {
        let socket =
            "\(directory)/api.sock".addingPercentEncoding(withAllowedCharacters: .alphanumerics)
            ?? ""
        return "http+unix://\(socket)\(path)"
    }

    func stop() async {
        run.cancel()
        _ = try? await run.value
        _ = try? await Program.run("daemon", ["purge", "--data-dir", directory])
    }

    @discardableResult
    func client(_ arguments: [String]) async throws -> String {
        try await Program.run(
            "client", ["-N", "unix:\(directory)/api.sock"].inserted(after: arguments))
    }
}

enum Program {
    static func run(_ name: String, _ arguments: [String]) async throws -> String {
        let result = try await Subprocess.run(
            .path(BenchNode.path(name)), arguments: Arguments(arguments),
            output: .string(limit: 64 << 20), error: .string(limit: 1 << 20))
        guard result.terminationStatus.isSuccess else {
            throw BenchFailure("\(name) \(arguments): \(result.standardError)")
        }
        return result.standardOutput
    }
}

struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension [String] {
    /// The subcommand, then these options, then the rest.
    fileprivate func inserted(after command: [String]) -> [String] {
        Array(command.prefix(1)) + self + command.dropFirst()
    }
}
