import Model
import Testing

@testable import Cluster

@Suite struct StealPolicyTests {
    private static let names = StealPolicy.all.map(\.name)
    private static let loads = [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]

    private func task(_ number: UInt64) -> TaskID { TaskID(Wide128(high: 1, low: number)) }

    /// The wait with the same draws each time.
    private func wait(
        _ policy: StealPolicy, load: Double, rank: Int = 0, tasks: Int = 1, cores: Double = 4
    ) -> Duration {
        var generator = SeededGenerator(seed: 1)
        return policy.wait(
            for: StealOffer(
                load: load, lag: Double(rank), taskCount: tasks, cores: cores),
            using: &generator)
    }

    // MARK: Laws of every policy

    @Test func `names are told apart, and the default comes first`() {
        #expect(Set(StealPolicyTests.names).count == StealPolicy.all.count)
        #expect(StealPolicy.all.first?.name == "proportional")
        #expect(StealPolicy.named("none")?.name == "none")
        #expect(StealPolicy.named("best") == nil)
        #expect(StealPolicy.all.allSatisfy { !$0.summary.isEmpty })
    }

    @Test(arguments: names, TimingProfile.allCases)
    func `a wait is never negative, and of the first rank within its bound`(
        name: String, profile: TimingProfile
    ) throws {
        let policy = try #require(StealPolicy.named(name, for: profile))
        var generator = SeededGenerator(seed: 2)
        for load in StealPolicyTests.loads + [-1, 3] {
            for tasks in [0, 1, 40, 1_000_000] {
                for rank in [0, 1, 9] {
                    let offer = StealOffer(
                        load: load, lag: Double(rank), taskCount: tasks, cores: 0)
                    let wait = policy.wait(for: offer, using: &generator)
                    #expect(wait >= .zero)
                    if rank == 0 { #expect(wait <= policy.rule.longestWait) }
                }
            }
        }
        #expect(policy.rule.longestWait <= .seconds(1))
    }

    @Test func `candidates stand farther apart in wide networks`() throws {
        let near = try #require(StealPolicy.named("proportional", for: .lan))
        let wide = try #require(StealPolicy.named("proportional", for: .wan))
        #expect(wait(wide, load: 0.5, rank: 1) >= wait(near, load: 0.5, rank: 1) * 4)
        #expect(wait(wide, load: 0, tasks: 0) == .zero)
    }

    @Test(arguments: names)
    func `the same draws give the same wait, and a later rank none that is shorter`(
        name: String
    ) throws {
        let policy = try #require(StealPolicy.named(name))
        for load in StealPolicyTests.loads {
            let waits = (0...6).map { wait(policy, load: load, rank: $0) }
            #expect(waits == (0...6).map { wait(policy, load: load, rank: $0) })
            #expect(waits == waits.sorted())
        }
    }

    @Test(arguments: names)
    func `lags rise with the place, and ranks are few`(name: String) throws {
        let policy = try #require(StealPolicy.named(name))
        let lags = (0..<1_000).map(policy.lag)
        #expect(lags == lags.sorted())
        #expect(lags[0] == 0)
        #expect(lags[999] < 11)
        if policy.rule.candidates == nil { #expect(lags[999] == 0) }
        #expect(policy.lag(at: .max) <= 33)
    }

    // MARK: Each policy

    /// How a policy's wait changes while the load grows.
    struct Direction: Sendable, CustomTestStringConvertible {
        var name: String
        var isRising: Bool
        var testDescription: String { name }
    }

    @Test(arguments: [
        Direction(name: "proportional", isRising: true),
        Direction(name: "quadratic", isRising: true),
        Direction(name: "dChoices", isRising: true),
        Direction(name: "binPacking", isRising: false),
    ])
    func `the wait follows the load`(row: Direction) throws {
        let policy = try #require(StealPolicy.named(row.name))
        let waits = StealPolicyTests.loads.map { wait(policy, load: $0) }
        let rising = row.isRising ? waits : waits.reversed()
        #expect(zip(rising, rising.dropFirst()).allSatisfy { $0 < $1 }, "\(waits)")
    }

    @Test(arguments: ["none", "random", "memoryless"])
    func `who looks at nothing waits as long at any load`(name: String) throws {
        let policy = try #require(StealPolicy.named(name))
        #expect(Set(StealPolicyTests.loads.map { wait(policy, load: $0) }).count == 1)
        #expect(wait(policy, load: 0, rank: 5) == wait(policy, load: 0))
    }

    private static let plain = StealTuning(
        slope: .milliseconds(40), jitter: .zero, candidates: 4, rankDelay: .milliseconds(30))

    @Test(
        arguments: [
            (StealPolicy.none, 0.5, 0, 0), (.proportional(plain), 0.5, 0, 20_000),
            (.proportional(plain), 1, 0, 40_000), (.proportional(plain), 0.5, 2, 80_000),
            (.quadratic(plain), 0.5, 0, 10_000), (.quadratic(plain), 0.5, 1, 40_000),
            (.capped(at: 0.5, plain), 0.25, 0, 10_000), (.capped(at: 0.5, plain), 0.5, 0, 20_000),
            (.capped(at: 0.5, plain), 1, 0, 20_000),
            (.dChoices(d: 2, late: .milliseconds(200), plain), 0.5, 0, 20_000),
            (.dChoices(d: 2, late: .milliseconds(200), plain), 0.5, 3, 220_000),
            (.binPacking(plain), 0.25, 0, 30_000), (.binPacking(plain), 1, 0, 0),
            (.binPacking(plain), 1, 7, 0),
        ] as [(StealPolicy, Double, Int, Int)])
    func `waits without jitter`(
        policy: StealPolicy, load: Double, rank: Int, microseconds: Int
    ) {
        #expect(wait(policy, load: load, rank: rank) == .microseconds(microseconds))
    }

    @Test func `spreading counts tasks per core, and not what they ask for`() {
        let policy = StealPolicy.spread(StealPolicyTests.plain)
        // One task on one core: half of the slope.
        #expect(wait(policy, load: 0.1, tasks: 0, cores: 1) == .milliseconds(20))
        #expect(wait(policy, load: 0.9, tasks: 3, cores: 4) == .milliseconds(20))
        let waits = (0...20).map { wait(policy, load: 0.5, tasks: $0) }
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $0 < $1 })
        #expect(wait(policy, load: 0.5, tasks: 5, cores: 8) < waits[5], "larger nodes take more")
    }

    @Test func `memoryless waits have the mean and the memory of their kind`() {
        let policy = StealPolicy.memoryless(mean: .milliseconds(20))
        var generator = SeededGenerator(seed: 5)
        let waits = (0..<20_000).map { _ in
            policy.wait(for: StealOffer(load: 0, lag: 0), using: &generator).seconds
        }
        let mean = waits.reduce(0, +) / 20_000
        #expect(abs(mean - 0.02) < 5 * 0.02 / 141)
        // e^−1 of them last longer than the mean, and e^−2 longer than twice that.
        #expect(abs(Double(waits.count { $0 > 0.02 }) / 20_000 - 0.36788) < 0.02)
        #expect(abs(Double(waits.count { $0 > 0.04 }) / 20_000 - 0.13534) < 0.02)
    }

    @Test func `each rank holds as many as all the earlier ones together, evenly spread`() {
        let policy = StealPolicy.proportional(StealPolicyTests.plain)
        let lags = (0..<64).map(policy.lag)
        #expect(lags[..<8] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75])
        #expect(lags[8] == 2 && lags[9] == 2.125)
        #expect(
            (0...4).map { rank in lags.count { Int($0) == rank } } == [4, 4, 8, 16, 32])
    }

    @Test func `the first candidate waits for nobody while it has no task`() {
        let policy = StealPolicy.proportional(StealPolicyTests.plain)
        func wait(_ lag: Double, tasks: Int) -> Duration {
            var generator = SeededGenerator(seed: 1)
            return policy.wait(
                for: StealOffer(load: 0.25, lag: lag, taskCount: tasks),
                using: &generator)
        }
        #expect(wait(0, tasks: 0) == .zero)
        #expect(wait(0, tasks: 1) == .milliseconds(10))
        #expect(wait(0.5, tasks: 0) == .milliseconds(25))
    }

    // MARK: Places

    private func rings(_ count: Int) -> [CandidateRing] {
        var random = SeededGenerator(seed: UInt64(count))
        let nodes = (0..<count).map { _ in NodeID(Wide128(high: random.next(), low: 1)) }
        return nodes.map { node in CandidateRing(of: node, among: nodes.filter { $0 != node }) }
    }

    @Test(arguments: [1, 2, 3, 10, 101])
    func `members agree on their places for a task, and are first equally often`(count: Int) {
        let rings = rings(count)
        var firsts = Array(repeating: 0, count: count)
        for number in 0..<UInt64(count * 200) {
            let places = rings.map { $0.place(for: task(number)) }
            #expect(places.sorted() == Array(0..<count))
            if let first = places.firstIndex(of: 0) { firsts[first] += 1 }
        }
        #expect(firsts.allSatisfy { (120...280).contains($0) }, "\(firsts)")
    }

    @Test func `a node alone is the first candidate of everything`() {
        #expect(CandidateRing().place(for: task(3)) == 0)
    }
}
