import Foundation
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
