package import Gossip
import Model

/// How the production membership of many nodes compares with what is known of SWIM.
///
/// All nodes begin in one cluster in which everybody knows everybody. Each part has a cluster of its
/// own, so that none disturbs another.
package struct SwimStudy: Sendable {
    /// How many nodes there are, 8 or more.
    package var nodeCount: Int
    /// The seed; each number follows from it.
    package var seed: UInt64
    /// How many periods load and detection are watched.
    package var periods = 20
    /// How many nodes join, leave and fail, each kind one after another.
    package var eventCount = 5
    /// How many probes are sent while packets are lost, about.
    package var lossyProbes = 250_000
    /// The profile's timing.
    package var configuration = GossipConfiguration(profile: .lan)

    /// One part of the study.
    package enum Part: String, Sendable, CaseIterable {
        /// Packets, and how soon somebody is probed, in a cluster to which nothing happens.
        case idle
        /// Nodes that join.
        case joins
        /// Nodes that leave.
        case leaves
        /// Nodes that fail.
        case failures
        /// Probes that fail without cause, as packets are lost.
        case losses
    }

    /// The share of packets that are lost in the part on losses.
    static let loss = 0.1
    /// How many nodes there are at most in the part on losses: it does not depend on their number.
    static let lossyNodesMax = 64
    /// How long something may take until all have seen it.
    static let patience: Duration = .seconds(60)

    /// Makes a study of so many nodes.
    package init(nodeCount: Int, seed: UInt64) {
        self.nodeCount = nodeCount
        self.seed = seed
    }

    var theory: SwimTheory { SwimTheory(count: nodeCount, configuration: configuration) }
    var period: Duration { configuration.probeInterval }

    /// Measures one part.
    package func rows(of part: Part) -> [SwimRow] {
        switch part {
        case .idle: idleRows()
        case .joins: joinRows()
        case .leaves: leaveRows()
        case .failures: failureRows()
        case .losses: lossRows()
        }
    }

    /// A cluster that has begun, with machines to spare for those who join.
    func cluster(of count: Int, spare: Int = 0, salt: UInt64) -> MembershipCluster {
        let cluster = MembershipCluster(
            count: count + spare, configuration: configuration, seed: seed ^ salt << 32)
        do {
            try cluster.formAtOnce(count)
        } catch {
            preconditionFailure("the configuration is out of bounds: \(error)")
        }
        cluster.run(for: period * 3)
        return cluster
    }

    // MARK: Changes

    /// Seconds until everybody, whom it concerns, shows a member in a state; and until the first did.
    private func watch(
        _ cluster: MembershipCluster, _ number: Int, become state: MembershipState,
        seenBy observers: Set<Int>, after change: () -> Void
    ) -> (first: Double, all: Double)? {
        let member = cluster.id(number)
        let begin = cluster.now
        let seen = Seen(observers)
        cluster.observe = { observer, subject, now in
            if subject == member, now == state { seen.note(observer, at: cluster.now) }
        }
        change()
        let isDone = cluster.run(for: SwimStudy.patience) { seen.missing.isEmpty }
        cluster.observe = { _, _, _ in }
        guard isDone, let first = seen.first else { return nil }
        return ((first - begin).seconds, (cluster.now - begin).seconds)
    }

    private final class Seen {
        var missing: Set<Int>
        var first: Instant?

        init(_ observers: Set<Int>) { missing = observers }

        func note(_ observer: Int, at now: Instant) {
            if missing.remove(observer) != nil, first == nil { first = now }
        }
    }

    private func joinRows() -> [SwimRow] {
        let cluster = cluster(of: nodeCount, spare: eventCount, salt: 2)
        let all = (0..<eventCount).compactMap { event -> Double? in
            cluster.run(for: period * 3)
            let joiner = nodeCount + event
            // That the configuration is within bounds is known by now.
            return watch(
                cluster, joiner, become: .alive, seenBy: Set(0..<joiner),
                after: { try? cluster.join(joiner) })?.all
        }
        return [
            SwimRow(
                "a node joins: all show it", unit: "s", theory: theory.secondsToAll(), samples: all)
        ]
    }

    private func leaveRows() -> [SwimRow] {
        let cluster = cluster(of: nodeCount, salt: 3)
        let all = (0..<eventCount).compactMap { event -> Double? in
            cluster.run(for: period * 3)
            let leaver = nodeCount - 1 - event
            return watch(
                cluster, leaver, become: .left, seenBy: Set(0..<leaver),
                after: { cluster.tell(leaver, .leave) })?.all
        }
        let inPerson = Double(min(64, nodeCount - 1))
        return [
            SwimRow(
                "a node leaves: all show it", unit: "s",
                theory: theory.secondsToAll(beginningWith: inPerson), samples: all)
        ]
    }

    private func failureRows() -> [SwimRow] {
        let cluster = cluster(of: nodeCount, salt: 4)
        var random = SeededGenerator(seed: seed)
        let times = (0..<eventCount).compactMap { event -> (first: Double, all: Double)? in
            cluster.run(for: period * 3 + random.duration(upTo: period))
            let victim = nodeCount - 1 - event
            return watch(
                cluster, victim, become: .dead, seenBy: Set(0..<victim),
                after: { cluster.kill(victim) })
        }
        return [
            SwimRow(
                "a node fails: the first shows it", unit: "s",
                theory: theory.secondsToFirstDeath, samples: times.map(\.first)),
            SwimRow(
                "a node fails: all show it", unit: "s",
                theory: theory.secondsToFirstDeath + theory.secondsToAll(),
                samples: times.map(\.all)),
        ]
    }
}
