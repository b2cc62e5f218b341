import Cluster
package import Model

/// Nodes that want the same task, and do not see each other's claims at once.
package struct ClaimRace: Sendable {
    /// How many nodes have room for it.
    package var contenders: Int
    /// From a claim until the others see it.
    package var latency: Duration
    /// How long a node waits, by its policy.
    package var wait: @Sendable (inout SeededGenerator) -> Duration

    /// Makes a race.
    package init(
        contenders: Int, latency: Duration,
        wait: @escaping @Sendable (inout SeededGenerator) -> Duration
    ) {
        self.contenders = contenders
        self.latency = latency
        self.wait = wait
    }

    /// How many ask the lock: the first, and all whose wait ends before they see its claim.
    package func requests(using random: inout SeededGenerator) -> Int {
        let waits = (0..<contenders).map { _ in
            var own = random.split()
            return wait(&own)
        }
        guard let first = waits.min() else { return 0 }
        return waits.count { $0 == first || $0 < first + latency }
    }
}

extension Validation {
    static let claimRace = ValidationCase(
        name: "claims",
        source: "n nodes that wait D on average, L until they see a claim: exponential waits "
            + "1 + (n − 1)(1 − e^(−L/D)), even ones up to B: 1 + n L/B − (L/B)^n requests",
        drives: "production: StealPolicy.wait"
    ) { scale, mutation in
        let races = [
            (nodes: 10, share: 0.1), (nodes: 100, share: 0.02), (nodes: 1_000, share: 0.005),
        ]
        return races.filter { scale == .full || $0.nodes < 1_000 }.map { race in
            let bound = Duration.milliseconds(40)
            let policy = StealPolicy.random(upTo: bound)
            let seen = bound * race.share * (mutation == .seesLate ? 2 : 1)
            let game = ClaimRace(contenders: race.nodes, latency: seen) { random in
                policy.wait(load: 0.5, rank: 0, using: &random)
            }
            var late = 1.0
            for _ in 0..<race.nodes { late *= race.share }
            return ValidationRow(
                "even waits, n = \(race.nodes), L/B = \(race.share)",
                published: 1 + Double(race.nodes) * race.share - late, tolerance: 0,
                ours: replicate(scale == .small ? 600 : 20_000, seed: 101) { seed in
                    var random = SeededGenerator(seed: seed)
                    return Double(game.requests(using: &random))
                }, widthMax: 0.1)
        }
    }
}
