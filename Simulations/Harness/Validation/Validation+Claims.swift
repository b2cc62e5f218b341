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
        drives: "production: StealPolicy.wait, policies memoryless and random"
    ) { scale, mutation in
        let races = [
            (nodes: 10, share: 0.1), (nodes: 100, share: 0.02), (nodes: 1_000, share: 0.005),
        ]
        return races.filter { scale == .full || $0.nodes < 1_000 }.flatMap { race in
            var late = 1.0
            for _ in 0..<race.nodes { late *= race.share }
            let others = Double(race.nodes - 1)
            return [
                claims(
                    by: .memoryless(mean: claimScale), race, scale, mutation,
                    name: "exponential waits, n = \(race.nodes), L/D = \(race.share)",
                    published: 1 + others * (1 - exponential(-race.share))),
                claims(
                    by: .random(upTo: claimScale), race, scale, mutation,
                    name: "even waits, n = \(race.nodes), L/B = \(race.share)",
                    published: 1 + Double(race.nodes) * race.share - late),
            ]
        }
    }

    /// D of exponential waits, B of even ones.
    private static let claimScale: Duration = .milliseconds(40)

    private static func claims(
        by policy: StealPolicy, _ race: (nodes: Int, share: Double), _ scale: ValidationScale,
        _ mutation: ModelMutation?, name: String, published: Double
    ) -> ValidationRow {
        let seen = claimScale * race.share * (mutation == .seesLate ? 2 : 1)
        let game = ClaimRace(contenders: race.nodes, latency: seen) { random in
            policy.wait(for: StealOffer(load: 0.5, lag: 0), using: &random)
        }
        return ValidationRow(
            name, published: published, tolerance: 0,
            ours: replicate(scale == .small ? 600 : 20_000, seed: 101) { seed in
                var random = SeededGenerator(seed: seed)
                return Double(game.requests(using: &random))
            }, widthMax: 0.1)
    }
}
