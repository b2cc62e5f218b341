import ArgumentParser
import Model
import SimulationHarness

/// The options that say what a run consists of.
struct ScenarioOptions: ParsableArguments {
    @Option(help: "How many nodes, 1 to 200.")
    var nodes = 5

    @Option(help: "How many tasks.")
    var tasks = 200

    @Option(help: "Which faults: all, none, or some of \(Names.faults), separated by commas.")
    var faults = "all"

    @Option(help: "How many virtual seconds faults happen for; 30, or six leases if that is more.")
    var span: Int?

    @Option(
        name: .customLong("long-tasks"),
        help: "The share of tasks that may outlive a lease, 0 to 1; drawn from the seed.")
    var longTaskShare: Double?

    @Option(help: "Timing of the nodes: \(Names.profiles).")
    var profile: TimingProfile = .local

    @Option(help: "What packets are signed with: \(Names.signatures).")
    var signatures: Scenario.Signatures = .simulated

    @Option(help: "Break one rule on purpose: \(Names.mutations).")
    var mutation: Mutation?

    @Flag(help: "Let containers outlive their guard, another rule broken on purpose.")
    var unguarded = false

    func validate() throws {
        guard (1...200).contains(nodes) else {
            throw ValidationError("--nodes must lie between 1 and 200")
        }
        guard (0...100_000).contains(tasks) else {
            throw ValidationError("--tasks must lie between 0 and 100,000")
        }
        guard (1...86_400).contains(span ?? 1) else {
            throw ValidationError("--span must lie between 1 and 86,400")
        }
        guard (0...1).contains(longTaskShare ?? 0) else {
            throw ValidationError("--long-tasks must lie between 0 and 1")
        }
        _ = try faultKinds()
    }

    func scenario(_ seed: UInt64) throws -> Scenario {
        var scenario = Scenario(seed: seed, nodeCount: nodes, taskCount: tasks)
        scenario.faultKinds = try faultKinds()
        scenario.isSwarm = faults == "all"
        scenario.profile = profile
        scenario.safetyPhase = span.map { .seconds($0) } ?? .seconds(30) * scenario.absenceScale
        if profile != .local { scenario.livenessLimit = .seconds(900) }
        scenario.longTaskShare = longTaskShare
        scenario.signatures = signatures
        scenario.mutation = mutation
        scenario.hasGuard = !unguarded
        return scenario
    }

    /// The options as they were given, to be typed again; ends with a space.
    var text: String {
        var words = ["--nodes \(nodes)", "--tasks \(tasks)", "--faults \(faults)"]
        if let span { words.append("--span \(span)") }
        if let longTaskShare { words.append("--long-tasks \(longTaskShare)") }
        if profile != .local { words.append("--profile \(profile.rawValue)") }
        if signatures != .simulated { words.append("--signatures \(signatures.rawValue)") }
        if let mutation { words.append("--mutation \(mutation.name)") }
        if unguarded { words.append("--unguarded") }
        return words.joined(separator: " ") + " "
    }

    private func faultKinds() throws -> [FaultKind] {
        switch faults {
        case "all": return Faults.standardKinds
        case "none": return []
        default:
            guard !faults.isEmpty else { throw ValidationError("--faults names none: say 'none'") }
            return try faults.split(separator: ",", omittingEmptySubsequences: false).map { name in
                guard let kind = FaultKind(rawValue: String(name)) else {
                    throw ValidationError(
                        "--faults does not know '\(name)'; it knows all, none, \(Names.faults)")
                }
                return kind
            }
        }
    }
}

/// The words that options know.
enum Names {
    static let faults = list(FaultKind.self)
    static let profiles = list(TimingProfile.self)
    static let signatures = list(Scenario.Signatures.self)
    static let mutations = Mutation.all.map(\.name).joined(separator: ", ")

    private static func list<Word: CaseIterable & RawRepresentable>(_ type: Word.Type) -> String
    where Word.RawValue == String {
        type.allCases.map(\.rawValue).joined(separator: ", ")
    }
}

extension TimingProfile: ExpressibleByArgument {}
extension Scenario.Signatures: ExpressibleByArgument {}

extension Mutation: ExpressibleByArgument {
    /// The mutation of that name.
    public init?(argument: String) {
        self.init(name: argument)
    }
}
