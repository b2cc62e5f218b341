import Foundation
import Subprocess
import SystemPackage
import Testing

/// The command line, from outside: what it prints, what it refuses, what it leaves behind.
@Suite struct CommandTests {
    private struct Result {
        var code: Int32
        var output: String
        var errors: String
    }

    /// The folder in which the build put the executables: the one that holds the tests.
    private static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    /// A study that is there in every checkout.
    private static let studyFile = StudyCatalog.files[0].path

    private func simulate(_ arguments: [String]) async throws -> Result {
        try await run(CommandTests.folder.appendingPathComponent("simulate").path, arguments)
    }

    private func run(_ program: String, _ arguments: [String]) async throws -> Result {
        let result = try await Subprocess.run(
            .path(FilePath(program)), arguments: Arguments(arguments),
            output: .string(limit: 256 << 20), error: .string(limit: 1 << 20))
        var code: Int32 = -1
        if case .exited(let exit) = result.terminationStatus { code = Int32(exit) }
        return Result(code: code, output: result.standardOutput, errors: result.standardError)
    }

    private func summary(_ output: String) -> Substring? {
        output.split(separator: "\n").last { $0.hasPrefix("seed ") }
    }

    @Test func `one seed gives one trace, whichever process runs it`() async throws {
        let arguments = ["run", "--nodes", "3", "--tasks", "20", "--seed", "7"]
        let first = try await simulate(arguments)
        let second = try await simulate(arguments)
        #expect(first.code == 0)
        #expect(first.output == second.output)
        #expect(summary(first.output)?.contains("trace ") == true)
    }

    @Test func `a failing seed prints the command that replays it`() async throws {
        let options = [
            "--nodes", "4", "--tasks", "25", "--faults", "crash,drift", "--span", "20",
            "--long-tasks", "0.25", "--profile", "lan", "--signatures", "ed25519", "--mutation",
            "repeatsToken", "--unguarded",
        ]
        let help = try await simulate(["run", "--help"]).output
        let isOfWord = { (letter: Character) in letter.isLetter || letter == "-" }
        for word in help.split(whereSeparator: { !isOfWord($0) }) where word.hasPrefix("--") {
            // An option that changes the run must be part of this test, and so of the command.
            let isOfTheRun = !["--seed", "--seeds", "--trace", "--help"].contains(word)
            #expect(!isOfTheRun || options.contains(String(word)), "\(word) is not replayed")
        }
        let many = try await simulate(["run"] + options + ["--seed", "3", "--seeds", "2"])
        #expect(many.code == 1)
        let replays = many.output.split(separator: "\n").compactMap { line -> [String]? in
            guard let mark = line.range(of: "replay: ") else { return nil }
            return line[mark.upperBound...].split(separator: " ").map(String.init)
        }
        let words = try #require(replays.first)
        let replay = try await run(words[0], Array(words.dropFirst()))
        #expect(replay.code == 1)
        #expect(replay.output.contains(" ← "))
        let line = try #require(summary(replay.output))
        #expect(many.output.contains(line))
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var reason: String
        var testDescription: String { arguments.joined(separator: " ") }
    }

    @Test(arguments: [
        Refused(arguments: ["run", "--faults", "meteor"], reason: "does not know 'meteor'"),
        Refused(arguments: ["run", "--faults", "crash,,loss"], reason: "does not know ''"),
        Refused(arguments: ["run", "--faults", ""], reason: "--faults names none"),
        Refused(arguments: ["run", "--nodes", "0"], reason: "--nodes must lie between"),
        Refused(arguments: ["run", "--nodes", "201"], reason: "--nodes must lie between"),
        Refused(arguments: ["run", "--tasks=-1"], reason: "--tasks must lie between"),
        Refused(arguments: ["run", "--span", "0"], reason: "--span must lie between"),
        Refused(arguments: ["run", "--long-tasks", "2"], reason: "--long-tasks must lie"),
        Refused(arguments: ["run", "--seeds", "0"], reason: "--seeds must lie between"),
        Refused(arguments: ["run", "--seed", "x"], reason: "--seed"),
        Refused(arguments: ["run", "--profile", "moon"], reason: "local"),
        Refused(arguments: ["run", "--mutation", "moon"], reason: "repeatsToken"),
        Refused(arguments: ["run", "--trace", "--seeds", "2"], reason: "--trace shows one"),
        Refused(arguments: ["fairness", "--policy", "best"], reason: "'best' is neither a policy"),
        Refused(arguments: ["fairness", "--policy", ""], reason: "names nobody"),
        Refused(arguments: ["fairness", "--policy", "none,none"], reason: "twice"),
        Refused(arguments: ["fairness", "--nodes", "0"], reason: "--nodes must lie between"),
        Refused(arguments: ["fairness", "--load", "1"], reason: "--load must lie between"),
        Refused(arguments: ["fairness", "--tasks", "0"], reason: "--tasks must lie between"),
        Refused(arguments: ["fairness", "--output", "/no/where"], reason: "nothing can be"),
        Refused(arguments: ["fairness", "--seeds", "0"], reason: "--seeds must lie between"),
        Refused(arguments: ["study", "/no/where"], reason: "/no/where: the file can't be read"),
        Refused(arguments: ["study", studyFile, "--jobs", "0"], reason: "--jobs must lie between"),
        Refused(arguments: ["study", studyFile, "--seeds", "1001"], reason: "--seeds must lie"),
        Refused(arguments: ["study", studyFile, "--set", "tasks"], reason: "form name=value"),
        Refused(arguments: ["study", studyFile, "--set", "tasks=0"], reason: "--set tasks: "),
        Refused(arguments: ["study", studyFile, "--set", "knots=1"], reason: "no such parameter"),
        Refused(arguments: ["validate", "--only", "queues"], reason: "does not know 'queues'"),
        Refused(arguments: ["validate", "--scale", "vast"], reason: "small"),
        Refused(arguments: ["validate", "--json", "/no/where"], reason: "nothing can be"),
        Refused(arguments: ["juggle"], reason: "juggle"),
    ])
    func `bad input gets a reason and exit code 64`(row: Refused) async throws {
        let result = try await simulate(row.arguments)
        #expect(result.code == 64)
        #expect(result.errors.contains(row.reason), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test func `validate prints each figure with its verdict, and ends with 1 when one is missed`()
        async throws
    {
        let good = try await simulate(["validate", "--only", "claims,rumours"])
        #expect(good.code == 0, "\(good.output)")
        #expect(good.output.contains("interval") && good.output.contains("production: StealPolicy"))
        #expect(good.output.contains("published figures met"))
        let wrong = try await simulate([
            "validate", "--only", "claims", "--mutation", "seesLate", "--json", "-",
        ])
        #expect(wrong.code == 1)
        let json = try JSONSerialization.jsonObject(with: Data(wrong.output.utf8))
        let rows = try #require((json as? [String: Any])?["rows"] as? [[String: Any]])
        #expect(rows.allSatisfy { $0["case"] as? String == "claims" })
        #expect(rows.contains { $0["verdict"] as? String == "missed" })
    }

    @Test func `fairness prints its figures, and leaves a CSV and a page`() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-fairness-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = folder.appendingPathComponent("study").path
        let result = try await simulate([
            "fairness", "--nodes", "3", "--tasks", "40", "--policy", "proportional,none,random",
            "--output", output,
        ])
        #expect(result.code == 0)
        for word in [
            "Jain's index", "Wait, p99", "Slowdown, mean", "Lock requests per task", "proportional",
        ] {
            #expect(result.output.contains(word), "\(result.output)")
        }
        let csv = try String(contentsOfFile: output + ".csv", encoding: .utf8)
        #expect(csv.split(separator: "\n").count == 4)
        let page = try String(contentsOfFile: output + ".html", encoding: .utf8)
        #expect(page.hasPrefix("<!doctype html>"))
    }
}
