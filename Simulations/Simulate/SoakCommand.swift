import ArgumentParser
import Foundation
import SimulationHarness

/// `simulate soak`: thousands of seeds, for a night.
struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Run thousands of seeds on all cores; a summary at the end, as JSON when asked.",
        discussion: """
            Prints each failing seed with the command that plays it again, and now and then how far it
            is. To go on after an interruption, begin with the seed that the last line of progress
            names.
            """)

    @OptionGroup var options: ScenarioOptions

    @Option(help: "How many seeds.")
    var seeds = 10_000

    @Option(name: .customLong("from"), help: "The first seed.")
    var first: UInt64 = 1

    @Flag(name: .customLong("stop"), help: "Stop at the first failure.")
    var stopsAtFailure = false

    @Option(name: .customLong("json"), help: "Where the summary goes, as JSON.")
    var path: String?

    func validate() throws {
        guard (1...100_000_000).contains(seeds) else {
            throw ValidationError("--seeds must lie between 1 and 100,000,000")
        }
        let folder = path.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        guard folder.map(FileManager.default.isWritableFile(atPath:)) ?? true else {
            throw ValidationError("--json: nothing can be written to \(folder ?? "")")
        }
    }

    func run() async throws {
        var soak = Soak(options: options, first: first, count: seeds)
        soak.stopsAtFailure = stopsAtFailure
        let total = seeds
        var told = 0
        soak.progress = { tally in
            guard tally.seeds * 20 / total > told else {
                return
            }
            told = tally.seeds * 20 / total
            let next = tally.firstSeed &+ UInt64(tally.seeds)
            print("\(tally.text); next: --from \(next) --seeds \(total - tally.seeds)")
            fflush(nil)
        }
        let tally = try await soak.run()
        for (name, count) in tally.faults.sorted(by: { $0.key < $1.key }) {
            print("  \(name): \(count.incidents) times in \(count.runs) runs")
        }
        print(
            "  a minority stayed away in \(tally.minorities) runs; \(tally.entriesCompared) "
                + "committed entries compared")
        print(tally.text)
        if let path { try Data(tally.json.utf8).write(to: URL(fileURLWithPath: path)) }
        if !tally.failures.isEmpty { throw ExitCode.failure }
    }
}
