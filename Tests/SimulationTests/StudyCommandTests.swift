import Foundation
import Glibc
import Subprocess
import SystemPackage
import Testing

/// `simulate study` from outside: what it leaves behind, and how it goes on.
@Suite final class StudyCommandTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-study-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = """
            title: Small
            question: Does it go on?
            parameters: {nodes: 3, tasks: 40}
            sweeps: {load: [0.4, 0.7]}
            policies: [proportional, none]
            baseline: none
            seeds: 3
            plots: [{plot: lines, x: load, y: jain}, {plot: distribution, of: wait, at: {load: 0.7}}]

            """
        try Data(file.utf8).write(to: folder.appendingPathComponent("small.yaml"))
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("simulate").path

    /// Runs the study; hands over each line of progress with the process' ID.
    private func study(
        _ arguments: [String], onLine: (String, pid_t) -> Void = { _, _ in }
    ) async throws -> (code: Int32, said: String) {
        let all = ["study", folder.appendingPathComponent("small.yaml").path] + arguments
        let result = try await Subprocess.run(
            .path(FilePath(StudyCommandTests.program)), arguments: Arguments(all), input: .none,
            output: .discarded, error: .sequence
        ) { execution in
            var said = ""
            for try await line in execution.standardError.strings() {
                said += line.hasSuffix("\n") ? line : line + "\n"
                onLine(line, pid_t(execution.processIdentifier.value))
            }
            return said
        }
        var code: Int32 = -1
        if case .exited(let exit) = result.terminationStatus { code = Int32(exit) }
        return (code, result.closureResult)
    }

    private func out(_ name: String) -> String { folder.appendingPathComponent(name).path }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test func `a study leaves numbers, plots and a page, and does nothing twice`() async throws {
        let first = try await study(["--out", out("a"), "--seeds", "1", "--jobs", "1"])
        #expect(first.code == 0, "\(first.said)")
        #expect(first.said.contains("4/4  load 0.7, none, seed 1"))
        #expect(try text(out("a") + "/report.html").hasPrefix("<!doctype html>"))
        #expect(try text(out("a") + "/results.csv").split(separator: "\n").count == 5)
        #expect(try text(out("a") + "/results.json").contains("\"baseline\" : \"none\""))
        #expect(
            try text(out("a") + "/plots/1-jain-s-index-against-load.svg").hasPrefix("<svg xmlns"))
        // Two seeds more: what was run is not run again.
        let second = try await study(["--out", out("a")])
        #expect(second.code == 0)
        #expect(second.said.hasPrefix("4 of 12 runs are in \(out("a"))/runs.jsonl already\n"))
        #expect(!second.said.contains("seed 1\n"))
        #expect(try text(out("a") + "/runs.jsonl").split(separator: "\n").count == 12)
        // Other parameters are other runs.
        let third = try await study(["--out", out("a"), "--set", "tasks=30", "--seeds", "1"])
        #expect(third.said.hasPrefix("12 runs in"))
        #expect(try text(out("a") + "/results.csv").split(separator: "\n").count == 5)
    }

    @Test func `interrupted, it says how to go on, and then comes to the same`() async throws {
        let whole = try await study(["--out", out("whole")])
        #expect(whole.code == 0, "\(whole.said)")
        var isInterrupted = false
        let cut = try await study(["--out", out("cut"), "--jobs", "1"]) { line, process in
            guard !isInterrupted, line.hasPrefix("2/12") else { return }
            isInterrupted = true
            kill(process, SIGINT)
        }
        #expect(cut.code == 128 + SIGINT, "\(cut.said)")
        #expect(cut.said.contains("the same command goes on from there"))
        #expect(!FileManager.default.fileExists(atPath: out("cut") + "/report.html"))
        // A power cut might have left half a line.
        let runs = try text(out("cut") + "/runs.jsonl")
        #expect(runs.hasSuffix("\n") && (2...11).contains(runs.split(separator: "\n").count))
        try Data((runs + runs.prefix(100)).utf8)
            .write(to: URL(fileURLWithPath: out("cut") + "/runs.jsonl"))
        let rest = try await study(["--out", out("cut")])
        #expect(rest.code == 0, "\(rest.said)")
        #expect(!rest.said.contains("\n1/12"))
        for name in ["results.csv", "results.json"] {
            #expect(try text(out("cut") + "/\(name)") == text(out("whole") + "/\(name)"))
        }
    }
}
