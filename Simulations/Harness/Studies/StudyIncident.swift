import Model

/// Something that happens to some machines during a study.
package struct StudyIncident: Hashable, Sendable, StudyValue {
    /// What happens.
    package enum Kind: Hashable, Sendable {
        /// The machines stop, with all that they run; they come back with their disks.
        case loss
        /// The machines run at this share of their speed.
        case slow(Double)
        /// The machines hear only each other.
        case partition
    }

    /// What happens.
    package var kind: Kind
    /// When, after the beginning of submissions.
    package var start: Duration
    /// To which share of the machines, which are drawn by chance; one at least.
    package var share: Double
    /// For how long; zero for ever.
    package var length: Duration

    /// `loss(at=60s, share=0.1, for=0s)`, `slow(…, speed=0.5)` or `partition(…)`.
    package init(text: String) throws(StudyError) {
        var call = try CallText(text)
        let longest = Duration.seconds(864_000)
        switch call.name {
        case "loss": kind = .loss
        case "slow": kind = .slow(try call.take("speed", 0.5, in: 0.01...100))
        case "partition": kind = .partition
        default:
            throw StudyError(
                "'\(call.name)' is no incident; there are loss, slow, partition")
        }
        start = try call.take("at", .seconds(60), in: .zero...longest)
        share = try call.take("share", 0.1, in: 0.0...1)
        length = try call.take("for", .zero, in: .zero...longest)
        try call.finish()
    }

    /// With the arguments that are not the usual ones.
    package var text: String {
        var arguments = [
            ("at", start.text, "1min"), ("share", share.text, "0.1"), ("for", length.text, "0s"),
        ]
        switch kind {
        case .loss: return CallText.text("loss", arguments)
        case .slow(let speed):
            arguments.append(("speed", speed.text, "0.5"))
            return CallText.text("slow", arguments)
        case .partition: return CallText.text("partition", arguments)
        }
    }

    /// When it is over, in nanoseconds after the beginning; `nil` when it never is.
    var end: Int64? { length > .zero ? (start + length).nanoseconds : nil }
}

extension FairnessStudy {
    /// The machines to which each incident happens; they follow from the seed.
    var incidentNodes: [[Int]] {
        var random = SeededGenerator(seed: seed ^ 0x9E37_79B9_7F4A_7C15)
        return incidents.map { incident in
            let count = max(1, Int((incident.share * Double(nodeCount)).rounded()))
            let order = (0..<nodeCount).shuffled(using: &random)
            return order.prefix(min(count, nodeCount)).sorted()
        }
    }
}
