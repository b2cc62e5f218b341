import Cluster
import Model

/// One run that a study plans.
package struct StudyTrial: Sendable {
    /// The number of its combination of what is varied.
    package var cell: Int
    /// What is run.
    package var study: FairnessStudy
    /// A digest of the recorded tasks, if there are some.
    package var trace: UInt64

    /// What tells it from every other run, for one behaviour of the program.
    ///
    /// - Parameter behaviour: A digest of how the program behaves; another one makes another key.
    /// - Returns: 32 hexadecimal digits.
    package func key(behaviour: UInt64) -> String {
        let text = FairnessStudy.parameters.map { "\($0.name)=\($0.text(study))" }
        let bytes = Array(text.joined(separator: "\n").utf8)
        let first = Digest.of(bytes, basis: Digest.mix(behaviour, trace))
        return StudyTrial.hexadecimal(first)
            + StudyTrial.hexadecimal(Digest.of(bytes, basis: first))
    }

    /// A word in sixteen digits.
    package static func hexadecimal(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

extension StudyTrial {
    /// Runs it.
    ///
    /// - Parameters:
    ///   - behaviour: See `key`.
    ///   - withSpans: Whether it is to be seen as a timeline.
    /// - Returns: What is kept of it, or which promise was broken.
    package func run(behaviour: UInt64, withSpans: Bool) -> Result<StudyRecord, Violation> {
        let result = World.study(study)
        if let violation = result.violation { return .failure(violation) }
        return .success(
            StudyRecord(
                key: key(behaviour: behaviour), seed: study.seed, result: result,
                withSpans: withSpans))
    }

    /// A digest of how this program behaves, made from two small runs: when the core, the harness or
    /// a measure changes what comes of them, it changes, too.
    package static var behaviour: UInt64 {
        let report = World.run(Scenario(seed: 1, nodeCount: 3, taskCount: 20))
        var words = ["\(SoftwareVersion.text)", "\(report.traceHash)"]
        for policy in ["proportional", "central"] {
            var study = FairnessStudy(seed: 1, nodeCount: 3, taskCount: 40, load: 0.7)
            do throws(StudyError) { try study.set("policy", to: policy) } catch {
                preconditionFailure("\(policy) is always there: \(error)")
            }
            let measures = World.study(study).measures
            words += measures.sorted { $0.key < $1.key }.map { "\($0.key.name)=\($0.value)" }
        }
        return Digest.of(Array(words.joined(separator: "\n").utf8))
    }
}
