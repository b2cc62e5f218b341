package import Cluster
import Model

/// Who spreads the tasks of a study: a policy of the production core, or a reference scheduler.
package struct Contender: Sendable, StudyValue {
    /// How it does that.
    package enum Kind: Sendable {
        /// The whole production core, with this policy of stealing.
        case policy(StealPolicy)
        /// A scheduler that only the simulator has.
        case reference(Reference)
    }

    /// The schedulers with which policies are compared.
    package enum Reference: Hashable, Sendable {
        /// One line, and perfect knowledge: `CentralQueue`.
        case central
        /// Sparrow: places at so many workers per task, bound late: `LateBinding`.
        case lateBinding(ratio: Int)
        /// So many workers per task are asked, for all tasks of a job together.
        case batchSampling(ratio: Int)
        /// Each task is sent to the best of so many workers.
        case perTaskSampling(d: Int)
        /// Each task is sent to a worker by chance.
        case randomPlacement
    }

    /// Who it is.
    package let kind: Kind
    /// The name, with the arguments that are not at their usual values.
    package let text: String

    /// A policy of the production core at its usual values.
    package init(_ policy: StealPolicy) {
        kind = .policy(policy)
        text = policy.name
    }

    /// A name of a policy or of a reference scheduler, with arguments.
    package init(text: String) throws(StudyError) {
        var call = try CallText(text)
        var arguments = Arguments(call: call)
        if let reference = try Contender.reference(&arguments) {
            kind = .reference(reference)
        } else if let usual = StealPolicy.named(call.name) {
            kind = .policy(try Contender.policy(usual, &arguments))
        } else {
            throw StudyError(
                "'\(call.name)' is neither a policy (\(Contender.policyNames)) nor a reference "
                    + "scheduler (\(Contender.referenceNames))")
        }
        call = arguments.call
        try call.finish()
        self.text = CallText.text(call.name, arguments.taken)
    }

    /// The policies that it knows, with commas.
    package static let policyNames = StealPolicy.all.map(\.name).joined(separator: ", ")
    /// The reference schedulers that it knows, with commas.
    package static let referenceNames =
        "central, lateBinding, batchSampling, perTaskSampling, randomPlacement"

    /// Arguments, and what was taken of them so far.
    private struct Arguments {
        var call: CallText
        var taken: [(name: String, value: String, usual: String)] = []

        mutating func take<Value: StudyValue & Comparable>(
            _ name: String, _ usual: Value, in range: ClosedRange<Value>
        ) throws(StudyError) -> Value {
            let value = try call.take(name, usual, in: range)
            taken.append((name, value.text, usual.text))
            return value
        }

        mutating func tuning() throws(StudyError) -> StealTuning {
            let usual = StealTuning.standard
            return StealTuning(
                slope: try take("slope", usual.slope, in: .zero ... .seconds(10)),
                jitter: try take("jitter", usual.jitter, in: .zero ... .seconds(1)),
                candidates: UInt32(
                    try take("candidates", Int(usual.candidates), in: 1...1_000_000)),
                rankDelay: try take("rankDelay", usual.rankDelay, in: .zero ... .seconds(10)))
        }
    }

    /// A policy with its arguments; one that is not named here has its usual numbers.
    private static func policy(
        _ usual: StealPolicy, _ arguments: inout Arguments
    ) throws(StudyError) -> StealPolicy {
        switch usual.name {
        case "proportional": return .proportional(try arguments.tuning())
        case "quadratic": return .quadratic(try arguments.tuning())
        case "capped":
            let share = try arguments.take("share", 0.5, in: 0.0...1)
            return .capped(at: share, try arguments.tuning())
        case "dChoices":
            let d = UInt32(try arguments.take("d", 2, in: 1...1_000_000))
            let late = try arguments.take(
                "late", Duration.milliseconds(200), in: .zero ... .seconds(10))
            return .dChoices(d: d, late: late, try arguments.tuning())
        case "random":
            return .random(
                upTo: try arguments.take(
                    "bound", Duration.milliseconds(40), in: .zero ... .seconds(10)))
        case "memoryless":
            return .memoryless(
                mean: try arguments.take(
                    "mean", Duration.milliseconds(20), in: .zero ... .seconds(1)))
        case "binPacking": return .binPacking(try arguments.tuning())
        case "spread": return .spread(try arguments.tuning())
        default: return usual
        }
    }

    private static func reference(
        _ arguments: inout Arguments
    ) throws(StudyError) -> Reference? {
        switch arguments.call.name {
        case "central": return .central
        case "lateBinding":
            return .lateBinding(ratio: try arguments.take("ratio", 2, in: 1...1_000))
        case "batchSampling":
            return .batchSampling(ratio: try arguments.take("ratio", 2, in: 1...1_000))
        case "perTaskSampling":
            return .perTaskSampling(d: try arguments.take("d", 2, in: 1...1_000))
        case "randomPlacement": return .randomPlacement
        default: return nil
        }
    }
}
