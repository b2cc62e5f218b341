import ArgumentParser
import Foundation
import Model
import SimulationHarness

/// `simulate fairness`: how evenly, how soon and at what price policies spread tasks.
struct FairnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fairness",
        abstract: "Compare steal policies without faults; writes a CSV and a page with plots.")

    @Option(help: "How many nodes, 1 to 2,000.")
    var nodes = 50

    @Option(help: "The policies: some of \(Contender.policyNames), with commas.")
    var policy = "proportional,none,random"

    @Option(help: "The share of all cores that the tasks keep busy, above 0 and below 1.")
    var load = 0.8

    @Option(help: "How many tasks; 20 per node unless given.")
    var tasks: Int?

    @Option(help: "The mean run time of a task in seconds.")
    var service = 8.0

    @Option(help: "How many cores a node has.")
    var cores = 4

    @Flag(help: "Give every second node twice as many cores.")
    var uneven = false

    @Option(help: "The seed; tasks and their times follow from it.")
    var seed: UInt64 = 1

    @Option(help: "Where the files go: this path with .csv and .html appended.")
    var output = "fairness"

    func validate() throws {
        guard (1...2_000).contains(nodes), (1...1_024).contains(cores) else {
            throw ValidationError("--nodes must lie between 1 and 2,000, --cores below 1,025")
        }
        guard load > 0, load < 1, service > 0, service <= 3_600 else {
            throw ValidationError("--load must lie between 0 and 1, --service below 3,601 s")
        }
        guard (1...1_000_000).contains(tasks ?? 1) else {
            throw ValidationError("--tasks must lie between 1 and 1,000,000")
        }
        let folder = URL(fileURLWithPath: output + ".csv").deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw ValidationError("--output: nothing can be written to \(folder)")
        }
        _ = try policies()
    }

    func run() async throws {
        var study = FairnessStudy(
            seed: seed, nodeCount: nodes, taskCount: tasks ?? 20 * nodes, load: load)
        study.meanService = .nanoseconds(Int64(service * 1e9))
        study.coresPerNode = cores
        if uneven { study.sizes = [1, 2] }
        let studies = try policies().map { policy in
            var own = study
            own.policy = policy
            return own
        }
        var results: [FairnessResult] = []
        await Crew.perform(
            studies, { World.study($0) }
        ) { results.append($0) }
        let order = studies.map(\.policy.text)
        results.sort {
            (order.firstIndex(of: $0.name) ?? 0) < (order.firstIndex(of: $1.name) ?? 0)
        }
        let report = FairnessReport(study: study, results: results)
        try Data(report.csv.utf8).write(to: URL(fileURLWithPath: output + ".csv"))
        try Data(report.html.utf8).write(to: URL(fileURLWithPath: output + ".html"))
        print(report.text)
        print("\nwritten: \(output).csv, \(output).html")
        if results.contains(where: { $0.violation != nil }) { throw ExitCode.failure }
    }

    private func policies() throws -> [Contender] {
        var seen: Set<String> = []
        let contenders: [Contender]
        do { contenders = try [Contender](text: policy) } catch {
            throw ValidationError("--policy: \(error)")
        }
        guard !contenders.isEmpty else { throw ValidationError("--policy names nobody") }
        for contender in contenders where !seen.insert(contender.text).inserted {
            throw ValidationError("--policy names \(contender.text) twice")
        }
        return contenders
    }
}
