import Gossip
import Model

/// What happens when nothing does, and what happens when packets are lost.
extension SwimStudy {
    /// What a node has sent.
    private struct Sent {
        var packets = 0.0
        var bytes = 0.0
    }

    func idleRows() -> [SwimRow] {
        let cluster = cluster(of: nodeCount, salt: 1)
        var sent = [Sent](repeating: Sent(), count: nodeCount)
        var probed = [[Instant]](repeating: [], count: nodeCount)
        let before = 3
        cluster.watch = { from, to, bytes, _ in
            sent[from].packets += 1
            sent[from].bytes += Double(bytes.count)
            if GossipInspection.kind(of: bytes) == GossipInspection.pingKind {
                probed[to].append(cluster.now)
            }
        }
        let begin = cluster.now
        cluster.run(for: period * Double(periods))
        let strangers = theory.strangerShare(from: before, to: before + periods)
        let perPeriod = sent.map { $0.packets / Double(periods) }
        let bytes = sent.map { $0.bytes / Double(periods) }
        let busiest = perPeriod.max() ?? 0
        return detectionRows(probed, since: begin) + [
            SwimRow(
                "packets a node and period", unit: "",
                theory: theory.packetsPerPeriod(strangers: strangers), samples: perPeriod),
            SwimRow(
                "the same of the busiest node", unit: "",
                theory: theory.packetsOfBusiest(periods: periods, strangers: strangers),
                measured: busiest),
            SwimRow("bytes a node and period", unit: "B", theory: nil, samples: bytes),
            SwimRow(
                "the same of the busiest node", unit: "B", theory: nil, measured: bytes.max() ?? 0),
        ]
    }

    /// Had each node failed at some random moment: when the first probe would have met it.
    private func detectionRows(_ probed: [[Instant]], since begin: Instant) -> [SwimRow] {
        var random = SeededGenerator(seed: seed ^ 0x5357_494D)
        let waits = probed.compactMap { times -> Double? in
            let moment = begin + random.duration(upTo: period * Double(periods) / 2)
            guard let first = times.first(where: { $0 > moment }) else { return nil }
            return ((first - moment) / period).rounded(.up)
        }
        func found(within count: Int) -> [Double] { waits.map { $0 <= Double(count) ? 1 : 0 } }
        let shares = (1...3).map { count in
            SwimRow(
                "of those, share within \(count)", unit: "",
                theory: 1 - theory.unprobedShare(after: count), samples: found(within: count))
        }
        return [
            SwimRow(
                "periods until a failed node is probed", unit: "", theory: theory.periodsToProbe,
                samples: waits)
        ] + shares
    }

    // MARK: Losses

    func lossRows() -> [SwimRow] {
        let count = min(nodeCount, SwimStudy.lossyNodesMax)
        let cluster = cluster(of: count, salt: 5)
        // Until all have met: strangers' probes take more packets.
        cluster.run(for: period * Double(2 * count))
        let noted = Suspicions()
        cluster.watch = { from, to, bytes, channel in
            guard channel == .datagram,
                GossipInspection.kind(of: bytes) == GossipInspection.pingKind,
                cluster.member(to, at: from)?.state == .alive
            else { return }
            noted.probes += 1
        }
        cluster.observe = { _, member, state in
            switch state {
            case .suspect:
                // Whoever hears of a suspicion probes the suspect itself, and those probes are not
                // counted; nor is what they find.
                let last = noted.suspectedAt.updateValue(cluster.now, forKey: member)
                if last.map({ cluster.now - $0 > period * 10 }) ?? true { noted.suspicions += 1 }
            case .dead: noted.deaths += 1
            case .alive, .left, .evicted: break
            }
        }
        cluster.loss = SwimStudy.loss
        var shares: [Double] = []
        // Batches, whose means are independent enough.
        for _ in 0..<20 {
            noted.probes = 0
            noted.suspicions = 0
            cluster.run(for: period * (Double(lossyProbes) / 20 / Double(count)))
            if noted.probes > 0 {
                shares.append(Double(noted.suspicions) / Double(noted.probes))
            }
        }
        return [
            SwimRow(
                "probes of healthy nodes that fail, 10 % loss", unit: "",
                theory: theory.failureShare(loss: SwimStudy.loss), samples: shares),
            SwimRow(
                "healthy nodes shown as failed, 10 % loss", unit: "", theory: 0,
                measured: Double(noted.deaths)),
        ]
    }

    private final class Suspicions {
        var probes = 0
        var suspicions = 0
        var suspectedAt: [NodeID: Instant] = [:]
        var deaths = 0
    }
}
