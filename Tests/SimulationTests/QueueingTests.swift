import Model
import SimulationHarness
import Testing

@Suite struct EstimateTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var confidence: Double
        var degrees: Int
        var quantile: Double
        var testDescription: String { "\(confidence), \(degrees) degrees" }
    }

    // From the tables of every textbook.
    @Test(arguments: [
        Row(confidence: 0.95, degrees: 1, quantile: 12.7062),
        Row(confidence: 0.95, degrees: 2, quantile: 4.30265),
        Row(confidence: 0.95, degrees: 9, quantile: 2.26216),
        Row(confidence: 0.95, degrees: 30, quantile: 2.04227),
        Row(confidence: 0.99, degrees: 5, quantile: 4.03214),
        Row(confidence: 0.999, degrees: 9, quantile: 4.78091),
        Row(confidence: 0.999, degrees: 1_000, quantile: 3.30028),
        Row(confidence: 0.5, degrees: 3, quantile: 0.76489),
    ])
    func `Student's quantiles are those of the tables`(row: Row) {
        let found = StudentT.quantile(confidence: row.confidence, degrees: row.degrees)
        #expect(abs(found - row.quantile) < 2e-4 * row.quantile, "\(found)")
    }

    @Test func `an interval is as wide as the samples spread`() {
        let estimate = Estimate(samples: [9, 10, 11], confidence: 0.95)
        #expect(estimate.mean == 10)
        #expect(estimate.count == 3)
        // 4.30265 · 1 / √3
        #expect(abs(estimate.halfWidth - 2.48414) < 1e-3)
        #expect(Estimate(samples: [1], confidence: 0.95).halfWidth == .infinity)
        #expect(Estimate(samples: [], confidence: 0.95).halfWidth == .infinity)
    }

    @Test func `another mean of few runs may lie further off`() {
        let exact = Estimate(samples: [9, 10, 11], confidence: 0.95)
        let single = Estimate(samples: [9, 10, 11], confidence: 0.95, runsCompared: 1)
        // √(1/3 + 1) instead of √(1/3).
        #expect(abs(single.halfWidth - 2 * exact.halfWidth) < 1e-9)
    }

    @Test func `95 of 100 intervals hold the true mean`() {
        var random = SeededGenerator(seed: 3)
        let exponential = Distribution.uniform(0, 2)
        var held = 0
        for _ in 0..<400 {
            let samples = (0..<8).map { _ in exponential.draw(using: &random) }
            if Estimate(samples: samples, confidence: 0.95).interval.contains(1) { held += 1 }
        }
        #expect((365...395).contains(held), "\(held) of 400")
    }

    @Test func `batches of one run are taken for runs`() {
        let run = [1.0, 3, 5, 7, 100]
        let estimate = Estimate(run: run, batches: 2, confidence: 0.95)
        #expect(estimate == Estimate(samples: [2, 6], confidence: 0.95))
    }

    @Test func `an error that halves with the size is extrapolated away`() {
        // 5 + 3 / n at n = 10 and n = 20.
        let single = Estimate(mean: 5.3, halfWidth: 0.3, count: 4)
        let double = Estimate(mean: 5.15, halfWidth: 0.2, count: 4)
        let endless = Estimate.extrapolated(single: single, double: double)
        #expect(abs(endless.mean - 5) < 1e-12)
        #expect(abs(endless.halfWidth - 0.5) < 1e-12)
    }
}

@Suite struct DistributionTests {
    @Test(arguments: [
        Distribution.constant(3), .exponential(mean: 3), .uniform(1, 5),
        .boundedPareto(shape: 1.5, least: 1, most: 1_000),
        .boundedPareto(shape: 1, least: 1, most: 50),
        .heavyTail(shape: 2, mean: 3, spread: 100), .lognormal(mean: 3, sigma: 0.8),
    ])
    func `draws have the moments that are said`(distribution: Distribution) {
        var random = SeededGenerator(seed: 7)
        let draws = (0..<40_000).map { _ in distribution.draw(using: &random) }
        let mean = Statistics.mean(draws)
        let deviation = (distribution.secondMoment - distribution.mean * distribution.mean)
            .squareRoot()
        // Five standard errors.
        #expect(abs(mean - distribution.mean) <= 5 * deviation / 200 + 1e-9, "\(mean)")
        #expect(draws.allSatisfy { $0 >= 0 })
    }

    @Test func `a heavy tail has the mean and the spread asked for`() {
        let tail = Distribution.heavyTail(shape: 1.1, mean: 8, spread: 10_000)
        #expect(abs(tail.mean - 8) < 1e-9)
        guard case .boundedPareto(_, let least, let most) = tail else {
            Issue.record("\(tail)")
            return
        }
        #expect(abs(most / least - 10_000) < 1e-6)
    }

    @Test func `sines are those of the tables`() {
        #expect(abs(sine(1) - 0.8414709848078965) < 1e-15)
        #expect(abs(sine(-2) + 0.9092974268256817) < 1e-15)
        #expect(abs(sine(10) + 0.5440211108893698) < 1e-14)
        #expect(sine(0) == 0)
    }

    @Test func `powers of e are those of the tables`() {
        #expect(abs(exponential(1) - 2.718281828459045) < 1e-15)
        #expect(abs(exponential(-20) / 2.061153622438558e-9 - 1) < 1e-13)
        #expect(abs(exponential(logarithm(123.456)) - 123.456) < 1e-11)
        #expect(exponential(0) == 1)
        #expect(exponential(-1_000) == 0 && exponential(1_000) == .infinity)
    }
}

@Suite struct QueueingSystemTests {
    private func responses(
        _ setting: QueueingSetting, _ scheduler: some ReferenceScheduler, count: Int
    ) -> [JobRecord] {
        var scheduler = scheduler
        var records: [JobRecord] = []
        QueueingSystem(setting).run(by: &scheduler) { record in
            records.append(record)
            return records.count < count
        }
        return records
    }

    private func setting(workers: Int, seed: UInt64) -> QueueingSetting {
        var setting = QueueingSetting(workerCount: workers, load: 0.8, seed: seed)
        setting.slotsPerWorker = 2
        setting.tasksPerJob = 3
        setting.networkDelay = 0.01
        return setting
    }

    private static let schedulers: [any ReferenceScheduler] = [
        CentralQueue(), SampledPlacement(choices: 1), SampledPlacement(choices: 2),
        SampledPlacement(choices: 2, isBatched: true), WorkStealing(), LateBinding(ratio: 2),
    ]

    @Test(arguments: schedulers.indices)
    func `every job is run, once, and the same seed runs it alike`(index: Int) {
        let scheduler = QueueingSystemTests.schedulers[index]
        let records = responses(setting(workers: 20, seed: 4), scheduler, count: 800)
        let again = responses(setting(workers: 20, seed: 4), scheduler, count: 800)
        #expect(records.map(\.response) == again.map(\.response))
        let numbers = Set(records.map(\.number))
        #expect(numbers.count == 800)
        // Nobody is passed over for ever.
        #expect(numbers.filter { $0 < 700 }.count == 700)
        #expect(records.allSatisfy { $0.response > 0 })
    }

    @Test(arguments: schedulers.indices)
    func `all schedulers see the same jobs at the same times`(index: Int) {
        let scheduler = QueueingSystemTests.schedulers[index]
        let central = responses(setting(workers: 20, seed: 5), CentralQueue(), count: 300)
        let other = responses(setting(workers: 20, seed: 5), scheduler, count: 300)
        let times = Dictionary(uniqueKeysWithValues: central.map { ($0.number, $0.arrived) })
        for record in other {
            if let time = times[record.number] { #expect(time == record.arrived) }
        }
    }

    @Test func `workers that are drawn are told apart, and all come up`() {
        let system = QueueingSystem(setting(workers: 7, seed: 6))
        var counts = [Int](repeating: 0, count: 7)
        var drawn: [Int] = []
        for _ in 0..<700 {
            system.draw(3, into: &drawn)
            #expect(Set(drawn).count == 3)
            for worker in drawn { counts[worker] += 1 }
        }
        #expect(counts.allSatisfy { (220...380).contains($0) }, "\(counts)")
        // Who wants more than there are gets all of them, and some twice.
        system.draw(9, into: &drawn)
        #expect(drawn.prefix(7).sorted() == Array(0..<7))
        #expect(drawn.count == 9 && Set(drawn.suffix(2)).count == 2)
    }
}

@Suite struct RumourMongeringTests {
    @Test func `a rumour that nobody needs any more stops`() {
        var random = SeededGenerator(seed: 1)
        let outcome = RumourMongering(siteCount: 2, patience: 3).run(using: &random)
        #expect(outcome.residue == 0)
        // One useful telling, three useless ones in a row by each of both.
        #expect(outcome.traffic == 3.5)
    }
}
