import ArgumentParser
import Lock
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

    @Option(help: "How many virtual seconds faults happen for.")
    var span = 30

    @Option(help: "Timing of the nodes: \(Names.profiles).")
    var profile: TimingProfile = .local

    @Option(help: "What packets are signed with: \(Names.signatures).")
    var signatures: Scenario.Signatures = .simulated

    @Option(help: "Break one rule of the lock on purpose: \(Names.mutations).")
    var mutation: LockMutation?

    @Flag(help: "Let containers outlive their guard, another rule broken on purpose.")
    var unguarded = false

    func validate() throws {
        guard (1...200).contains(nodes) else {
            throw ValidationError("--nodes must lie between 1 and 200")
        }
        guard (0...100_000).contains(tasks), (1...86_400).contains(span) else {
            throw ValidationError("--tasks must lie below 100,000, --span between 1 and 86,400")
        }
        _ = try faultKinds()
    }

    func scenario(_ seed: UInt64) throws -> Scenario {
        var scenario = Scenario(seed: seed, nodeCount: nodes, taskCount: tasks)
        scenario.faultKinds = try faultKinds()
        scenario.isSwarm = faults == "all"
        scenario.safetyPhase = .seconds(span)
        scenario.profile = profile
        if profile != .local { scenario.livenessLimit = .seconds(900) }
        scenario.signatures = signatures
        scenario.mutation = mutation
        scenario.hasGuard = !unguarded
        return scenario
    }

    /// The options as they were given, to be typed again; ends with a space.
    var text: String {
        var words = ["--nodes \(nodes)", "--tasks \(tasks)", "--faults \(faults)"]
        if span != 30 { words.append("--span \(span)") }
        if profile != .local { words.append("--profile \(profile.rawValue)") }
        if signatures != .simulated { words.append("--signatures \(signatures.rawValue)") }
        if let mutation { words.append("--mutation \(mutation.rawValue)") }
        if unguarded { words.append("--unguarded") }
        return words.joined(separator: " ") + " "
    }

    private func faultKinds() throws -> [FaultKind] {
        switch faults {
        case "all": return Faults.standardKinds
        case "none": return []
        default:
            return try faults.split(separator: ",").map { name in
                guard let kind = FaultKind(rawValue: String(name)) else {
                    throw ValidationError("--faults does not know \(name)")
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
    static let mutations = list(LockMutation.self)

    private static func list<Word: CaseIterable & RawRepresentable>(_ type: Word.Type) -> String
    where Word.RawValue == String {
        type.allCases.map(\.rawValue).joined(separator: ", ")
    }
}

extension TimingProfile: ExpressibleByArgument {}
extension Scenario.Signatures: ExpressibleByArgument {}
extension LockMutation: ExpressibleByArgument {}
