package import Model

/// One rumour among sites that lose interest when it is no news any more.
///
/// In each cycle every site that still cares tells one other, by chance; whom it told it asks
/// whether that was needed. What a site hears in a cycle it tells from the next one on.
///
/// Source: Demers et al., "Epidemic Algorithms for Replicated Database Maintenance" (PODC 1987)
/// §1.4: push, feedback, counter. The counter is of needless tellings in a row, as their table 1
/// tells: with one of all needless tellings the residue for k = 2 is .047 instead of .037.
package struct RumourMongering: Sendable {
    /// How many sites there are.
    package var siteCount: Int
    /// After how many needless tellings in a row a site loses interest: k, 1 or more.
    package var patience: Int
    /// Whether sites listen to what they are answered; without, every telling counts as needless.
    package var hasFeedback = true

    /// What came of one rumour.
    package struct Outcome: Sendable {
        /// The share of sites that never heard of it.
        package var residue: Double
        /// How many tellings there were, per site.
        package var traffic: Double
    }

    /// Makes the process.
    package init(siteCount: Int, patience: Int) {
        self.siteCount = siteCount
        self.patience = patience
    }

    /// Tells one rumour until nobody is interested.
    package func run(using random: inout SeededGenerator) -> Outcome {
        // The cycle in which a site heard of it; the first one knows it before the first cycle.
        var heard = [Int](repeating: .max, count: siteCount)
        var needless = [Int](repeating: 0, count: siteCount)
        heard[0] = 0
        var tellers = [0]
        var cycle = 0
        var tellings = 0
        while !tellers.isEmpty {
            cycle += 1
            var next: [Int] = []
            for teller in tellers {
                var other = random.index(below: siteCount - 1)
                if other >= teller { other += 1 }
                tellings += 1
                if heard[other] == .max {
                    heard[other] = cycle
                    next.append(other)
                }
                let wasNeeded = heard[other] == cycle && hasFeedback
                needless[teller] = wasNeeded ? 0 : needless[teller] + 1
                if needless[teller] < patience { next.append(teller) }
            }
            tellers = next
        }
        let missed = heard.count { $0 == .max }
        return Outcome(
            residue: Double(missed) / Double(siteCount),
            traffic: Double(tellings) / Double(siteCount))
    }
}
