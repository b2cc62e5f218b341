import Gossip
import Model

/// How news spreads, and how soon the dead are noticed.
extension Validation {
    // MARK: Rumours

    static let rumours = ValidationCase(
        name: "rumours",
        source: "Demers et al. 1987, push, feedback, counter k, 1,000 sites",
        drives: "harness: RumourMongering"
    ) { scale, mutation in
        let rows = [
            (patience: 1, residue: 0.175, digit: 0.000_5, traffic: 1.74),
            (patience: 2, residue: 0.037, digit: 0.000_5, traffic: 3.30),
            (patience: 3, residue: 0.011, digit: 0.000_5, traffic: 4.53),
            (patience: 4, residue: 0.003_5, digit: 0.000_05, traffic: 5.64),
            (patience: 5, residue: 0.001_3, digit: 0.000_05, traffic: 6.68),
        ]
        return rows.filter { scale == .full || $0.patience <= 2 }.flatMap { row in
            var process = RumourMongering(siteCount: 1_000, patience: row.patience)
            process.hasFeedback = mutation != .hearsNothing
            // The published figures are simulated; how often is not said: a hundred times.
            let ours = replicateAll(
                scale == .small ? 30 : 2_000, seed: 61, runsCompared: 100
            ) { seed in
                var random = SeededGenerator(seed: seed)
                let outcome = process.run(using: &random)
                return [outcome.residue, outcome.traffic]
            }
            let widthMax = [0.1, 0.2, 0.2, 0.25, 0.4][row.patience - 1]
            return [
                ValidationRow(
                    "residue, k = \(row.patience)", published: row.residue,
                    tolerance: row.digit, ours: ours[0], widthMax: widthMax),
                ValidationRow(
                    "tellings per site, k = \(row.patience)", published: row.traffic,
                    tolerance: 0.005, ours: ours[1]),
            ]
        }
    }

    /// How many parts the origin of a push divides all others into.
    private static let partCount = 4

    static let tablePush = ValidationCase(
        name: "table-push",
        source: "El-Ansary et al. 2003: n − 1 messages tell all; Kermack and McKendrick 1927: of a "
            + "share s₀ that was left out, s = s₀·e^−(1−s) stays so when each who knows tells one",
        drives: "production: TableReplica's eager push"
    ) { scale, mutation in
        let sizes = scale == .small ? [100] : [200, 1_000]
        return sizes.flatMap { size in
            let cluster = TableCluster(count: size, seed: 71)
            var task: UInt64 = 0
            func spread(_ seed: UInt64, losesFirst: Bool) -> TableCluster.Outcome {
                task += 1
                return cluster.spread(
                    TaskID(Wide128(high: seed, low: task)), from: Int(task) % size,
                    losesFirst: losesFirst)
            }
            let runCount = scale == .small ? 800 : 300
            let whole = replicateAll(runCount / 4, seed: 72) { seed in
                let outcome = spread(seed, losesFirst: false)
                return [outcome.residue, outcome.traffic]
            }
            let halved = replicate(runCount, seed: 73) { seed in
                spread(seed, losesFirst: mutation != .losesNothing).residue
            }
            let leftOut = Double((size - 1 + partCount - 1) / partCount) / Double(size)
            return [
                ValidationRow(
                    "residue, nothing lost, \(size) nodes", published: 0, tolerance: 0,
                    ours: whole[0]),
                ValidationRow(
                    "messages per node, \(size) nodes: those, and one by chance",
                    published: 2 * Double(size - 1) / Double(size), tolerance: 1e-9, ours: whole[1]),
                ValidationRow(
                    "residue, the first message lost, \(size) nodes",
                    published: finalSize(leftOut), tolerance: 1 / Double(size), ours: halved,
                    widthMax: 0.15),
            ]
        }
    }

    /// What stays of a share that nobody told, when each who knows tells one other by chance.
    private static func finalSize(_ leftOut: Double) -> Double {
        var share = leftOut
        for _ in 0..<100 { share = leftOut * exponential(share - 1) }
        return share
    }

    // MARK: Rounds of gossip

    static let gossipRounds = ValidationCase(
        name: "gossip-rounds",
        source: "Pittel 1987; Daknama et al. 2020: pushing to one other per round takes "
            + "log₂ n + ln n + 1.182 rounds",
        drives: "production: Membership's rumours"
    ) { scale, mutation in
        // The formula is for many nodes; the exact figure of few is lower by this at most.
        let rows = scale == .small ? [(32, 0.35)] : [(64, 0.25), (128, 0.2)]
        return rows.map { size, tolerance in
            let published =
                logarithm(Double(size)) / logarithm(2) + logarithm(Double(size)) + 1.182
            var rounds = GossipRounds(count: size, fanout: mutation == .tellsTwo ? 2 : 1, seed: 81)
            let samples = (0..<(scale == .small ? 20 : 60)).map { _ in Double(rounds.spread()) }
            return ValidationRow(
                "rounds, n = \(size)", published: published, tolerance: tolerance,
                ours: Estimate(samples: samples, confidence: confidence), widthMax: 0.2)
        }
    }

    // MARK: Detection

    static let detection = ValidationCase(
        name: "detection",
        source: "Das et al. 2002, SWIM: periods until the first probe of a member that crashed, "
            + "e/(e − 1)",
        drives: "production: Membership's probes"
    ) { scale, mutation in
        let size = scale == .small ? 16 : 40
        let e = exponential(1)
        var watch = Detection(
            count: size, stretch: mutation == .probesLate ? 2 : 1, seed: 91)
        let samples = (0..<(scale == .small ? 60 : 1_500)).compactMap { _ in watch.periods() }
        return [
            ValidationRow(
                "periods, n = \(size)", published: e / (e - 1),
                // Of n members none probes in a period with (1 − 1/n)^n instead of 1/e.
                tolerance: 0.8 / Double(size),
                ours: Estimate(samples: samples, confidence: confidence),
                widthMax: scale == .small ? 0.35 : 0.1)
        ]
    }
}

/// Rounds of push gossip, played by the production membership.
///
/// A member tells its news soon after it was heard, then once per interval. Packets arrive at the
/// end of the interval in which they were sent, so that intervals are the rounds of the literature.
struct GossipRounds {
    private let cluster: MembershipCluster
    private let knowing = Knowing()
    private let interval: Duration = .seconds(1)
    private var labels = 0

    private final class Knowing {
        var origin: NodeID?
        var nodes: Set<Int> = []
    }

    init(count: Int, fanout: Int, seed: UInt64) {
        var configuration = GossipConfiguration(profile: .lan)
        configuration.rumourInterval = interval
        configuration.rumourFanout = fanout
        // Nothing else than rumours, and those until everybody knows them.
        configuration.probeInterval = .seconds(100_000_000)
        configuration.exchangeInterval = .seconds(100_000_000)
        configuration.retransmitFactor = 0
        configuration.retransmitMin = 24
        cluster = MembershipCluster(count: count, configuration: configuration, seed: seed)
        let knowing = knowing
        cluster.observe = { observer, member, _ in
            if member == knowing.origin { knowing.nodes.insert(observer) }
        }
        do {
            try cluster.form(spacing: .milliseconds(1))
        } catch {
            preconditionFailure("the configuration is out of bounds: \(error)")
        }
        quieten()
        let step = interval.nanoseconds
        cluster.arrival = { Instant(nanoseconds: ($0.nanoseconds / step + 1) * step) }
    }

    /// Until nobody tells anything.
    private func quieten() { cluster.run(for: interval * 60) }

    /// How many rounds it takes until all know what one has said.
    mutating func spread() -> Int {
        quieten()
        let step = interval.nanoseconds
        cluster.run(for: .nanoseconds(step - cluster.now.nanoseconds % step))
        let begin = cluster.now
        labels += 1
        let origin = labels % cluster.count
        knowing.origin = cluster.id(origin)
        knowing.nodes = [origin]
        let news = MembershipCluster.metadata(origin, labels: ["round=\(labels)"])
        cluster.tell(origin, .updateMetadata(news))
        cluster.run(for: interval * 200) { knowing.nodes.count == cluster.count }
        return Int((cluster.now - begin) / interval)
    }
}

/// How soon the production membership begins to probe a member that has fallen silent.
struct Detection {
    private let cluster: MembershipCluster
    private let period: Duration
    private let probeInterval: Duration
    private let accused = Accused()
    private var random: SeededGenerator

    private final class Accused {
        var member: NodeID?
        var isSuspected = false
    }

    init(count: Int, stretch: Int, seed: UInt64) {
        var configuration = GossipConfiguration(profile: .lan)
        period = configuration.probeInterval
        configuration.probeInterval = configuration.probeInterval * stretch
        probeInterval = configuration.probeInterval
        // The suspect is let live again before it would be found dead.
        configuration.suspicionFactor = 8
        configuration.exchangeInterval = .seconds(1_000)
        cluster = MembershipCluster(count: count, configuration: configuration, seed: seed)
        random = SeededGenerator(seed: seed)
        let accused = accused
        cluster.observe = { _, member, state in
            if member == accused.member, state == .suspect { accused.isSuspected = true }
        }
        do {
            // Members come at any time of a period: their probes are spread evenly.
            try cluster.form(spacing: .nanoseconds(period.nanoseconds * 37 / 100))
        } catch {
            preconditionFailure("the configuration is out of bounds: \(error)")
        }
        cluster.run(for: period * 10)
    }

    /// Silences one member for as long as nobody suspects it, and counts the periods from then to
    /// the probe that finds it out: that began one interval before it failed.
    mutating func periods() -> Double? {
        cluster.run(for: period * 4 + random.duration(upTo: period * 4))
        let victim = random.index(below: cluster.count)
        accused.member = cluster.id(victim)
        accused.isSuspected = false
        cluster.silent = [victim]
        let begin = cluster.now
        cluster.run(for: period * 100) { accused.isSuspected }
        let probed = cluster.now - probeInterval - begin
        cluster.silent = []
        guard accused.isSuspected else { return nil }
        return max(1, (probed / period).rounded(.up))
    }
}
