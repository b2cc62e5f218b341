import ArgumentParser
import SimulationHarness

/// `simulate swim`: the production membership of many nodes beside SWIM's theory.
struct SwimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swim",
        abstract: "Compare detection, spreading, load and false alarms with what theory says.",
        discussion: """
            All nodes run the production core (profile lan) in virtual time. Ends with 1 when a figure \
            is off by more than a tenth, and not by chance.
            """)

    @Option(help: "How many nodes, 8 to 10,000.")
    var nodes = 1_000

    @Option(help: "The seed; the same seed prints the same table.")
    var seed: UInt64 = 1

    @Option(help: "How many nodes join, leave and fail, of each kind; 2 to 1,000.")
    var events = 5

    @Option(help: "Only these parts, separated by commas: \(SwimCommand.names).")
    var only: String?

    @Option(name: .shortAndLong, help: "table or json.")
    var output = SwimFormat.table

    private static let names = SwimStudy.Part.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        guard (8...10_000).contains(nodes) else {
            throw ValidationError("--nodes must lie between 8 and 10,000")
        }
        guard (2...1_000).contains(events), events < nodes / 2 else {
            throw ValidationError(
                "--events must lie between 2 and 1,000, and below half of the nodes")
        }
        _ = try parts()
    }

    func run() async throws {
        var study = SwimStudy(nodeCount: nodes, seed: seed)
        study.eventCount = events
        let fixed = study
        let parts = try parts()
        var rows: [SwimStudy.Part: [SwimRow]] = [:]
        await Crew.perform(parts, { ($0, fixed.rows(of: $0)) }) { rows[$0.0] = $0.1 }
        let report = SwimReport(
            nodeCount: nodes, seed: seed, rows: parts.flatMap { rows[$0] ?? [] })
        print(output == .json ? report.json : report.text, terminator: output == .json ? "" : "\n")
        if !report.misses.isEmpty { throw ExitCode.failure }
    }

    private func parts() throws -> [SwimStudy.Part] {
        guard let only else { return SwimStudy.Part.allCases }
        return try only.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let part = SwimStudy.Part(rawValue: String(word)) else {
                throw ValidationError(
                    "--only does not know '\(word)'; it knows \(SwimCommand.names)")
            }
            return part
        }
    }
}

/// How a study is shown.
enum SwimFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}
