import Model
import Testing

@testable import Lock

/// Random schedules: loss, doubling, lateness, partitions, freezes, crashes, drifting clocks.
@Suite struct LockRandomTests {
    static let tasks = (1...8).map(LockBench.task)

    /// A bench of one to five nodes after a phase of faults.
    static func play(
        seed: UInt64, span: Duration = .seconds(30), configuration: LockConfiguration? = nil
    ) -> LockBench {
        let bench = LockBench(
            seed: seed, configuration: configuration ?? LockConfiguration(profile: .local))
        bench.history = LockHistory()
        bench.partitionPolicies[LockBench.task(7)] = .wait
        bench.restartPolicies[LockBench.task(8)] = .never
        let count = 1 + Int(seed % 5)
        for number in 1...count {
            let drift = (bench.random.fraction() * 2 - 1) * LockConfiguration.driftMax * 0.99
            bench.add(number, drift: drift)
        }
        bench.run(for: .seconds(3))
        bench.loss = bench.random.fraction() * 0.2
        bench.doubling = bench.random.fraction() * 0.2
        bench.lateness = bench.random.fraction() * 0.1
        let end = bench.now + span.nanoseconds
        while bench.now < end, bench.record.violations.isEmpty {
            bench.run(for: bench.random.duration(upTo: .milliseconds(300)))
            disturb(bench)
        }
        return bench
    }

    private static func disturb(_ bench: LockBench) {
        let numbers = bench.machines.keys.sorted()
        guard let number = numbers.randomElement(using: &bench.random),
            let machine = bench.machines[number]
        else { return }
        switch bench.random.next() % 100 {
        case 0..<60: work(bench, machine)
        case 60..<66: bench.cut(number, from: [numbers.randomElement(using: &bench.random) ?? 1])
        case 66..<70: bench.isolate(number)
        case 70..<74:
            guard let peer = numbers.randomElement(using: &bench.random) else { return }
            bench.cuts.insert(LockBench.Cut(from: number, to: peer))
        case 74..<86: bench.heal()
        case 86..<90:
            let survivors = Int(bench.random.next() % UInt64(machine.writes.count + 1))
            bench.crash(number, survivors: survivors, isReboot: bench.random.next() % 4 == 0)
        case 90..<97:
            for number in numbers { bench.start(number) }
        case 97..<99:
            machine.frozenUntil =
                bench.now + bench.random.duration(upTo: .seconds(8)).nanoseconds
        default: machine.refusesWrites.toggle()
        }
    }

    private static func work(_ bench: LockBench, _ machine: Machine) {
        let task = tasks.randomElement(using: &bench.random) ?? LockBench.task(1)
        switch bench.random.next() % 10 {
        case 0..<6:
            let wanted = tasks.shuffled(using: &bench.random)
            let count = 1 + Int(bench.random.next() % 3)
            bench.claim(machine.number, Array(wanted.prefix(count)))
        case 6..<9:
            bench.release(
                machine.number, task, rest: bench.random.duration(upTo: .milliseconds(500)))
        default: bench.openSession(machine.number)
        }
    }

    /// Ends all faults; returns whether everything then comes right.
    static func recovers(_ bench: LockBench) -> Bool {
        (bench.loss, bench.doubling, bench.lateness) = (0, 0, 0)
        bench.heal()
        for machine in bench.machines.values {
            machine.frozenUntil = 0
            machine.refusesWrites = false
        }
        for number in bench.machines.keys.sorted() { bench.start(number) }
        let expected = bench.machines.count >= 3 ? 3 : 1
        let isSettled = bench.run(atMost: .seconds(60)) {
            bench.machines.values.allSatisfy { $0.node?.session != nil }
                && bench.machines.values.allSatisfy { $0.node?.voters.count == expected }
        }
        guard isSettled else { return false }
        for _ in 0..<80 where bench.record.outcomes.count < tasks.count {
            finishSome(bench)
            bench.run(for: .milliseconds(500))
        }
        return bench.record.outcomes.count == tasks.count
    }

    /// Whoever holds a task closes it; all ask for those that nobody has ended.
    private static func finishSome(_ bench: LockBench) {
        let undone = tasks.filter { bench.record.outcomes[$0] == nil }
        for (number, machine) in bench.machines.sorted(by: { $0.key < $1.key }) {
            for task in machine.running.keys.sorted() { bench.close(number, task) }
            bench.claim(number, undone)
        }
    }

    /// The mutant breaks a rule within so many schedules.
    static func isCaught(_ mutation: LockMutation, withinSeeds limit: UInt64) -> Bool {
        (0..<limit).contains { seed in
            var configuration = LockConfiguration(profile: .local)
            configuration.mutation = mutation
            return !play(seed: 2 + seed, configuration: configuration).record.violations.isEmpty
        }
    }

    /// The others take a schedule of their own: see `RuleScheduleTests`.
    @Test(
        arguments: [
            .repeatsToken, .expiresAtOnce, .grantsHeldTasks, .holdsTooLong,
        ] as [LockMutation])
    func `a broken rule is noticed by some schedule`(mutation: LockMutation) {
        #expect(LockRandomTests.isCaught(mutation, withinSeeds: 60), "\(mutation) went unnoticed")
    }

    @Test(arguments: 0..<60)
    func `no schedule breaks a rule, and all heals afterwards`(seed: Int) {
        let bench = LockRandomTests.play(seed: UInt64(seed))
        #expect(bench.record.violations.isEmpty, "seed \(seed): \(bench.record.violations)")
        let heals = LockRandomTests.recovers(bench)
        #expect(heals, "seed \(seed) does not heal")
        #expect(bench.record.violations.isEmpty, "seed \(seed): \(bench.record.violations)")
        let problems = bench.history?.problems(of: bench) ?? []
        #expect(problems == [], "seed \(seed): nothing explains what clients have seen")
        #expect(bench.record.grants > 0)
    }
}
