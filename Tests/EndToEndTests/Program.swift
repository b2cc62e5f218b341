import Foundation
import Glibc
import Subprocess
import SystemPackage

/// What a program left behind.
struct ProgramResult: Sendable {
    let code: Int32
    let output: String
    let errors: String
}

/// Runs the programs of this package, and others, for tests.
enum Program {
    /// The folder in which the build put the executables: the one that holds the tests.
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    static func path(_ name: String) -> FilePath {
        FilePath(folder.appendingPathComponent(name).path)
    }

    /// The longest output that a test reads, in bytes.
    static let outputSizeBytesMax = 4 << 20

    /// Runs a program of this package to its end as somebody who is not root.
    static func run(
        _ name: String, _ arguments: [String], as user: TestUser?,
        environment: [String: String] = [:]
    ) async throws -> ProgramResult {
        let words = (user?.entrance ?? []) + [path(name).string] + arguments
        return try await run(words[0], Array(words.dropFirst()), environment: environment)
    }

    /// Runs a program to its end.
    static func run(
        _ name: String, _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> ProgramResult {
        let overrides = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0), $1) })
        let result = try await Subprocess.run(
            name.hasPrefix("/") ? .path(FilePath(name)) : .path(path(name)),
            arguments: Arguments(arguments),
            environment: .inherit.updating(overrides.mapValues { Optional($0) }),
            output: .string(limit: outputSizeBytesMax), error: .string(limit: outputSizeBytesMax))
        return ProgramResult(
            code: result.terminationStatus.shellCode, output: result.standardOutput,
            errors: result.standardError)
    }
}

extension Program {
    /// Runs the client, and calls back for each line that it prints, with its process ID.
    static func watchClient(
        _ arguments: [String], of node: TestNode, errors: URL,
        onLine: @escaping @Sendable (String, pid_t) async throws -> Void
    ) async throws -> ProgramResult {
        let overrides = Dictionary(
            uniqueKeysWithValues: node.environment.map {
                (Environment.Key(stringLiteral: $0), Optional($1))
            })
        let file = try FileDescriptor.open(
            FilePath(errors.path), .writeOnly, options: [.create, .truncate],
            permissions: .ownerReadWrite)
        let result = try await Subprocess.run(
            .path(path("client")), arguments: Arguments(arguments),
            environment: .inherit.updating(overrides), input: .none, output: .sequence,
            error: .fileDescriptor(file, closeAfterSpawningProcess: true)
        ) { execution in
            var lines = ""
            for try await line in execution.standardOutput.strings() {
                lines += line.hasSuffix("\n") ? line : line + "\n"
                try await onLine(
                    line.trimmingCharacters(in: .newlines),
                    pid_t(execution.processIdentifier.value))
            }
            return lines
        }
        return ProgramResult(
            code: result.terminationStatus.shellCode, output: result.closureResult,
            errors: (try? String(contentsOf: errors, encoding: .utf8)) ?? "")
    }
}

extension TerminationStatus {
    /// The code as a shell shows it.
    var shellCode: Int32 {
        switch self {
        case .exited(let code): Int32(code)
        case .signaled(let signal): 128 + Int32(signal)
        }
    }
}

/// A condition did not come true in time.
struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Waits until a condition holds; the time-out only bounds a failing test.
func eventually(
    _ what: String, within limit: Duration = .seconds(60),
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while try await !condition() {
        guard clock.now < end else { throw NeverHappened(description: "never: \(what)") }
        try await Task.sleep(for: .milliseconds(30))
    }
}
