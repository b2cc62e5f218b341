import ArgumentParser
import Foundation
import Model
import SimulationHarness

/// `simulate fairness`: how evenly, how soon and at what price policies spread tasks.
struct FairnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fairness",
        abstract: "Compare steal policies without faults; writes a CSV and a page with plots.",
        discussion: "A study without a file: 'simulate study' varies parameters and goes on after "
            + "interruptions.")

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

    @Option(help: "How many seeds, from this one on: with several, intervals are known.")
    var seeds = 1

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
        guard (1...StudyPlan.seedsMax).contains(seeds) else {
            throw ValidationError("--seeds must lie between 1 and \(StudyPlan.seedsMax)")
        }
        let folder = URL(fileURLWithPath: output + ".csv").deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw ValidationError("--output: nothing can be written to \(folder)")
        }
        _ = try policies()
    }

    func run() async throws {
        let plan = try plan()
        let behaviour = StudyTrial.behaviour
        var records: [(cell: Int, record: StudyRecord)] = []
        var violations: [Violation] = []
        let first = seed
        await Crew.perform(try plan.trials()) { trial in
            (trial.cell, trial.run(behaviour: behaviour, withSpans: trial.study.seed == first))
        } _: { cell, made in
            switch made {
            case .success(let record): records.append((cell, record))
            case .failure(let violation): violations.append(violation)
            }
        }
        let report = StudyReport(
            StudyOutcome(plan: plan, behaviour: behaviour, records: records))
        try Data(report.csv.utf8).write(to: URL(fileURLWithPath: output + ".csv"))
        try Data(report.html.utf8).write(to: URL(fileURLWithPath: output + ".html"))
        print(report.text)
        print("\nwritten: \(output).csv, \(output).html")
        for violation in violations { print("VIOLATION: \(violation)") }
        if !violations.isEmpty { throw ExitCode.failure }
    }

    // MARK: The study

    private func plan() throws -> StudyPlan {
        var study = FairnessStudy(
            seed: seed, nodeCount: nodes, taskCount: tasks ?? 20 * nodes, load: load)
        study.meanService = .nanoseconds(Int64(service * 1e9))
        study.coresPerNode = cores
        if uneven { study.sizes = [1, 2] }
        var plan = StudyPlan(
            title: "How fairly do magpies steal?", question: question(study),
            policies: try policies().map { StudyPlan.Setting(name: $0.text, value: $0.text) },
            measures: StudyFile.usualMeasures, command: command(study))
        plan.parameters = FairnessStudy.parameters.compactMap { parameter in
            let value = parameter.text(study)
            guard !["policy", "seed"].contains(parameter.name), value != parameter.usual else {
                return nil
            }
            return StudyPlan.Setting(name: parameter.name, value: value)
        }
        plan.firstSeed = seed
        plan.seedCount = seeds
        let all: [StudyFigure.Kind] = [
            .distribution(.wait), .distribution(.slowdown), .nodes, .imbalance,
        ]
        plan.figures = all.map { StudyFigure($0, series: StudyPlan.policyName) }
        var timeline = StudyFigure(.timeline(from: 0, to: 60), series: nil)
        timeline.only = [
            StudyPlan.Sweep(name: StudyPlan.policyName, values: [plan.policies[0].name])
        ]
        plan.figures.append(timeline)
        return plan
    }

    private func question(_ study: FairnessStudy) -> String {
        """
        \(Format.count(study.nodeCount)) nodes with \(Format.count(study.coreCount)) cores \
        together, kept busy to \(Format.fixed(100 * load, 0)) % by \
        \(Format.count(study.taskCount)) tasks of \(Format.seconds(service)) on average, submitted \
        at random nodes. All policies see the same tasks. One line before all cores \
        (M/M/\(study.coreCount)) would wait \(Format.seconds(study.idealWaitSeconds)) on average.
        """
    }

    /// The command that makes this report again.
    private func command(_ study: FairnessStudy) -> String {
        let words = [
            "simulate fairness --nodes \(nodes) --policy \(policy) --load \(load)",
            "--tasks \(study.taskCount) --service \(service) --cores \(cores)",
        ]
        return (words + (uneven ? ["--uneven"] : []) + ["--seed \(seed) --seeds \(seeds)"])
            .joined(separator: " ")
    }

    private func policies() throws -> [Contender] {
        var seen: Set<String> = []
        let contenders: [Contender]
        do { contenders = try [Contender](text: policy) } catch {
            throw ValidationError("--policy: \(error)")
        }
        guard !contenders.isEmpty else { throw ValidationError("--policy names nobody") }
        guard contenders.count <= StudyFile.policiesMax else {
            throw ValidationError("--policy names more than \(StudyFile.policiesMax)")
        }
        for contender in contenders where !seen.insert(contender.text).inserted {
            throw ValidationError("--policy names \(contender.text) twice")
        }
        return contenders
    }
}
