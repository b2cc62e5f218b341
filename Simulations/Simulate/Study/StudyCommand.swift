import ArgumentParser
import Foundation
import Glibc
import SimulationHarness

/// `simulate study`: answers a question that a file asks.
struct StudyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "Run a study that a file describes; writes numbers, plots and a page.",
        discussion: StudyCommand.manual)

    @Argument(help: "The study, in YAML.")
    var file: String

    @Option(help: "The folder for results; 'study-' and the file's name unless given.")
    var out: String?

    @Option(help: "How many runs at a time; as many as there are cores unless given.")
    var jobs: Int?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Give a parameter another value than the file does, to try it out small.",
            valueName: "name=value"))
    var settings: [String] = []

    @Option(help: "How many seeds, whatever the file says.")
    var seeds: Int?

    func validate() throws {
        guard (1...1_024).contains(jobs ?? 1) else {
            throw ValidationError("--jobs must lie between 1 and 1,024")
        }
        guard (1...StudyPlan.seedsMax).contains(seeds ?? 1) else {
            throw ValidationError("--seeds must lie between 1 and \(StudyPlan.seedsMax)")
        }
        _ = try plan()
    }

    func run() async throws {
        let plan = try plan()
        let folder = URL(fileURLWithPath: out ?? "study-\(name)")
        let outcome: StudyOutcome
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            outcome = try await StudyRunner(
                plan: plan, folder: folder, jobs: jobs ?? .max
            ).run()
            try StudyFiles(folder: folder).write(StudyReport(outcome))
        } catch let error as StudyFileError {
            throw ValidationError(error.description)
        }
        print("written: \(folder.relativePath)/report.html, results.json, results.csv, plots/")
    }

    private var name: String {
        URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
    }

    /// What the file asks for, with the changes of the command line.
    private func plan() throws -> StudyPlan {
        do {
            var plan = try StudyFile(path: file).plan()
            for setting in settings {
                guard let equals = setting.firstIndex(of: "=") else {
                    throw ValidationError("--set '\(setting)' is not of the form name=value")
                }
                let name = String(setting[..<equals])
                do throws(StudyError) {
                    try plan.replace(
                        name, by: String(setting[setting.index(after: equals)...]))
                } catch { throw ValidationError("--set \(name): \(error)") }
                plan.command += " --set \(setting)"
            }
            if let seeds {
                plan.seedCount = seeds
                plan.command += " --seeds \(seeds)"
            }
            return plan
        } catch let error as StudyFileError {
            throw ValidationError(error.description)
        }
    }
}
