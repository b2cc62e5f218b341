import ArgumentParser
import Foundation
import SimulationHarness

/// `simulate validate`: the simulator's own proof.
struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Reproduce published figures of queues, epidemics and failure detection.",
        discussion: """
            Prints each figure with ours and the interval that must hold it; ends with 1 when one does \
            not. Seeds are fixed: the same version prints the same table.
            """)

    @Option(help: "How much is spent: small takes seconds, full takes minutes.")
    var scale = ValidationScale.small

    @Option(help: "Only these cases, separated by commas: \(ValidateCommand.names).")
    var only: String?

    @Option(
        name: .customLong("json"), help: "Where all numbers go, as JSON; - for standard output.")
    var path: String?

    @Option(help: "Make a model wrong on purpose, to see that it is noticed: \(mutations).")
    var mutation: ModelMutation?

    private static let mutations = ModelMutation.allCases.map(\.rawValue).joined(separator: ", ")
    private static let names = Validation.cases.map(\.name).joined(separator: ", ")

    func validate() throws {
        _ = try cases()
        guard let path, path != "-" else { return }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw ValidationError("--json: nothing can be written to \(folder)")
        }
    }

    func run() async throws {
        let chosen = try cases()
        let scale = scale
        let mutation = mutation
        var parts: [ValidationReport.Part] = []
        await Crew.perform(
            chosen, { ValidationReport.Part($0, rows: $0.run(scale, mutation)) }
        ) { parts.append($0) }
        let order = chosen.map(\.name)
        parts.sort {
            (order.firstIndex(of: $0.name) ?? 0) < (order.firstIndex(of: $1.name) ?? 0)
        }
        let report = ValidationReport(scale: scale, parts: parts)
        if path == "-" {
            print(report.json, terminator: "")
        } else {
            print(report.text)
            if let path { try Data(report.json.utf8).write(to: URL(fileURLWithPath: path)) }
        }
        if !report.misses.isEmpty { throw ExitCode.failure }
    }

    private func cases() throws -> [ValidationCase] {
        guard let only else { return Validation.cases }
        return try only.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let known = Validation.cases.first(where: { $0.name == word }) else {
                throw ValidationError(
                    "--only does not know '\(word)'; it knows \(ValidateCommand.names)")
            }
            return known
        }
    }
}

extension ValidationScale: ExpressibleByArgument {}
extension ModelMutation: ExpressibleByArgument {}
