import ArgumentParser
import Cluster
import Dispatch
import Lock
import Model
import SimulationHarness

/// `simulate run`: faults, then recovery, with checks at every step.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a cluster under faults and check every promise.")

    @Option(help: "How many nodes, 1 to 200.")
    var nodes = 5

    @Option(help: "How many tasks.")
    var tasks = 200

    @Option(help: "The seed; every step follows from it.")
    var seed: UInt64 = 1

    @Option(help: "How many seeds, counted up from --seed, on all cores.")
    var seeds = 1

    @Option(help: "Which faults: all, none, or some of loss,crashes,partitions,freezes,drift.")
    var faults = "all"

    @Option(help: "Break one rule of the lock on purpose: \(LockMutation.names).")
    var mutation: String?

    @Flag(help: "Sign packets with Ed25519 instead of a cheap stand-in.")
    var realSignatures = false

    @Flag(help: "Print the last events.")
    var trace = false

    func validate() throws {
        guard (1...200).contains(nodes) else {
            throw ValidationError("--nodes must lie between 1 and 200")
        }
        guard tasks >= 0, seeds >= 1 else {
            throw ValidationError("--tasks and --seeds must not be negative")
        }
        guard try chosenFaults() != nil else {
            throw ValidationError(
                "--faults knows all, none, loss, crashes, partitions, freezes, drift")
        }
        if let mutation, LockMutation(rawValue: mutation) == nil {
            throw ValidationError("--mutation knows \(LockMutation.names)")
        }
    }

    func run() throws {
        if seeds == 1 {
            let report = World.run(try scenario(seed))
            if trace { for line in report.trail { print(line) } }
            print(summary(report))
            if report.violation != nil { throw ExitCode.failure }
            return
        }
        try runMany()
    }

    private func runMany() throws {
        let first = seed
        let scenarios = try (0..<UInt64(seeds)).map { try scenario(first + $0) }
        let reports = Reports(count: seeds)
        DispatchQueue.concurrentPerform(iterations: seeds) { index in
            reports.set(World.run(scenarios[index]), at: index)
        }
        let failed = reports.all.filter { $0.violation != nil }
        for report in failed.prefix(20) { print(summary(report)) }
        let events = reports.all.reduce(0) { $0 + $1.counts.events }
        print("\(seeds) seeds, \(events) events, \(failed.count) violations")
        if !failed.isEmpty { throw ExitCode.failure }
    }

    private func scenario(_ seed: UInt64) throws -> Scenario {
        var scenario = Scenario(seed: seed, nodeCount: nodes, taskCount: tasks)
        scenario.faults = try chosenFaults() ?? .none
        scenario.mutation = mutation.flatMap(LockMutation.init)
        scenario.usesRealSignatures = realSignatures
        scenario.keepsTrail = trace
        return scenario
    }

    private func chosenFaults() throws -> Faults? {
        if faults == "all" { return .all }
        if faults == "none" { return Faults.none }
        var chosen = Faults.none
        for name in faults.split(separator: ",") {
            switch name {
            case "loss":
                chosen.loss = Faults.all.loss
                chosen.duplication = Faults.all.duplication
                chosen.delayMax = Faults.all.delayMax
            case "crashes": chosen.crashes = true
            case "partitions": chosen.partitions = true
            case "freezes": chosen.freezes = true
            case "drift": chosen.drift = Faults.all.drift
            default: return nil
            }
        }
        return chosen
    }

    private func summary(_ report: RunReport) -> String {
        let states = TaskState.allCases.compactMap { state in
            report.states[state].map { "\($0) \(state.rawValue)" }
        }.joined(separator: ", ")
        var text =
            "seed \(report.seed): \(states); \(report.counts.events) events in "
            + "\((report.seconds * 10).rounded() / 10) s, \(report.counts.crashes) crashes, "
            + "\(report.counts.starts) starts, trace \(String(report.traceHash, radix: 16))"
        if let violation = report.violation {
            text += "\n  VIOLATION: \(violation)\n  replay: \(replay(report.seed))"
        }
        return text
    }

    private func replay(_ seed: UInt64) -> String {
        var command = "simulate run --nodes \(nodes) --tasks \(tasks) --faults \(faults)"
        if let mutation { command += " --mutation \(mutation)" }
        if realSignatures { command += " --real-signatures" }
        return command + " --seed \(seed) --trace"
    }
}

extension LockMutation {
    fileprivate static var names: String {
        allCases.map(\.rawValue).joined(separator: ", ")
    }
}

/// Reports that several threads fill in, each at its own place.
final class Reports: @unchecked Sendable {
    private let queue = DispatchQueue(label: "reports")
    private var reports: [RunReport?]

    init(count: Int) {
        reports = Array(repeating: nil, count: count)
    }

    func set(_ report: RunReport, at index: Int) {
        queue.sync { reports[index] = report }
    }

    var all: [RunReport] { queue.sync { reports.compactMap { $0 } } }
}
