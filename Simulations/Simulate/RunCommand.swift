import ArgumentParser
import Cluster
import Model
import SimulationHarness

/// `simulate run`: faults, then recovery, with checks at every step.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a cluster under faults and check every promise.")

    @OptionGroup var options: ScenarioOptions

    @Option(help: "The seed; every step follows from it.")
    var seed: UInt64 = 1

    @Option(help: "How many seeds, counted up from --seed, on all cores.")
    var seeds = 1

    @Flag(help: "Print every event and effect, one per line.")
    var trace = false

    func validate() throws {
        guard (1...1_000_000).contains(seeds) else {
            throw ValidationError("--seeds must lie between 1 and 1,000,000")
        }
        guard seeds == 1 || !trace else {
            throw ValidationError("--trace shows one seed: leave out --seeds")
        }
    }

    func run() async throws {
        if seeds > 1 { return try await runMany() }
        let report = World.run(
            try options.scenario(seed), sink: trace ? { print($0) } : nil)
        print(Summary.line(report))
        if report.violation == nil { return }
        printViolation(report)
        if !trace { try printTrail(report) }
        throw ExitCode.failure
    }

    private func runMany() async throws {
        let tally = try await Soak(options: options, first: seed, count: seeds).run()
        print(tally.text)
        if !tally.failures.isEmpty { throw ExitCode.failure }
    }

    private func printViolation(_ report: RunReport) {
        print(Summary.violation(report, options))
    }

    /// Runs the seed again, and prints the last of what led to the violation.
    private func printTrail(_ report: RunReport) throws {
        var trail = Trail()
        let replayed = World.run(try options.scenario(seed), sink: { trail.append($0) })
        print("  the last \(trail.lines.count) lines of the trace:")
        for line in trail.lines { print("    \(line)") }
        if replayed.traceHash != report.traceHash {
            print("  THE REPLAY DIFFERS: trace \(String(replayed.traceHash, radix: 16))")
        }
    }
}

/// The last lines of a trace.
private struct Trail {
    private var ring: [String] = []
    private var next = 0

    private static let countMax = 40

    mutating func append(_ line: String) {
        if ring.count < Trail.countMax {
            ring.append(line)
        } else {
            ring[next] = line
            next = (next + 1) % Trail.countMax
        }
    }

    var lines: [String] { Array(ring[next...] + ring[..<next]) }
}
