import Model
import SimulationHarness
import Testing

/// Reference schedulers run the tasks of studies.
@Suite struct ReferenceTests {
    private static let second: Int64 = 1_000_000_000

    /// Executions of jobs of one task each: when they arrive, cores, seconds.
    private func spans(
        _ jobs: [(at: Int64, cores: Int, lasting: Int64)], cores: [Int], speeds: [Double] = [1],
        by scheduler: some ReferenceScheduler
    ) -> [Int: StudyRun.Span] {
        var setting = QueueingSetting(workerCount: cores.count, load: 0.5, seed: 3)
        setting.capacities = cores.map {
            Resources(cpuMillis: UInt32($0) * 1_000, memoryBytes: 0)
        }
        setting.speeds = speeds
        let services = jobs.map { $0.lasting * ReferenceTests.second }
        setting.plan = jobs.enumerated().map { number, job in
            PlannedJob(
                arrived: job.at * ReferenceTests.second,
                demand: Resources(cpuMillis: UInt32(job.cores) * 1_000, memoryBytes: 0),
                services: services[number...number])
        }
        let system = QueueingSystem(setting)
        var scheduler = scheduler
        system.run(by: &scheduler) { _ in true }
        return Dictionary(uniqueKeysWithValues: system.spans.map { ($0.task, $0) })
    }

    @Test func `the central queue keeps its order, but lets small tasks pass large ones`() {
        let found = spans(
            [(0, 1, 4), (1, 2, 5), (1, 1, 2), (2, 1, 3)], cores: [2], by: CentralQueue())
        let starts = (0..<4).map { (found[$0]?.from ?? -1) / ReferenceTests.second }
        // The second needs both cores, which are free when the first and the third have ended.
        #expect(starts == [0, 6, 1, 3])
    }

    @Test func `the central queue takes the fastest worker first, then the least loaded`() {
        let found = spans(
            [(0, 1, 4), (0, 1, 4), (0, 1, 4), (0, 1, 4)], cores: [2, 1, 2], speeds: [1, 2, 1],
            by: CentralQueue())
        #expect((0..<4).map { found[$0]?.node } == [1, 0, 2, 0])
        #expect(found[0].map { $0.to - $0.from } == 2 * ReferenceTests.second)
        #expect(found[3].map { $0.to - $0.from } == 4 * ReferenceTests.second)
    }

    private static let schedulers: [any ReferenceScheduler] = [
        CentralQueue(), LateBinding(ratio: 2), SampledPlacement(choices: 2, isBatched: true),
        SampledPlacement(choices: 2), SampledPlacement(choices: 1),
    ]

    @Test(arguments: schedulers.indices)
    func `nobody is sent to a worker that is too small`(index: Int) {
        let jobs = (0..<30).map { (at: Int64($0), cores: $0 % 2 == 0 ? 3 : 1, lasting: Int64(2)) }
        let found = spans(jobs, cores: [1, 2, 4, 3], by: ReferenceTests.schedulers[index])
        #expect(found.count == 30)
        for (number, span) in found where number % 2 == 0 { #expect(span.node >= 2) }
    }

    static let names = [
        "central", "lateBinding", "batchSampling", "perTaskSampling", "randomPlacement",
    ]

    private func study(_ policy: String, _ seed: UInt64 = 2) throws -> FairnessStudy {
        var study = FairnessStudy(seed: seed, nodeCount: 8, taskCount: 600, load: 0.8)
        for (name, value) in [
            ("policy", policy), ("job_tasks", "6"), ("cpus", "1,2"), ("sizes", "1,0.5"),
            ("speeds", "1,2,1.5"), ("warmup", "0"),
        ] { try study.set(name, to: value) }
        return study
    }

    @Test(arguments: names)
    func `every task is run once, for as long as it is and where there is room`(
        name: String
    ) throws {
        let study = try study(name)
        let result = World.study(study)
        #expect(result.violation == nil)
        #expect(result.waits.count == 600 && result.responses.count == 100)
        #expect(Set(result.timeline.map(\.task)).count == 600)
        let tasks = Workload(study).tasks
        let speeds = [1, 2, 1.5]
        for span in result.timeline {
            #expect(span.from >= tasks[span.task].submitted)
            let work = Double(tasks[span.task].service) / speeds[span.node % 3]
            #expect(abs(Double(span.to - span.from) - work) < 2)
        }
        for span in result.timeline {
            let beside = result.timeline.filter {
                $0.node == span.node && $0.from <= span.from && span.from < $0.to
            }
            let taken = beside.reduce(0) { $0 + Int(tasks[$1.task].demand.cpuMillis) }
            #expect(taken <= (span.node % 2 == 0 ? 4_000 : 2_000))
        }
        #expect(World.study(study).waits == result.waits)
    }

    @Test func `who knows more waits for less time`() throws {
        var waits: [String: Double] = [:]
        for name in ReferenceTests.names {
            var sum = 0.0
            for seed in 1...5 { sum += World.study(try study(name, UInt64(seed)))[.waitMean] }
            waits[name] = sum / 5
        }
        let order = ["central", "lateBinding", "perTaskSampling", "randomPlacement"]
        let found = order.compactMap { waits[$0] }
        #expect(found == found.sorted(), "\(waits)")
    }

    @Test func `a study of one line waits as Erlang says`() throws {
        var samples: [Double] = []
        for seed in 1...10 {
            var study = FairnessStudy(
                seed: UInt64(seed), nodeCount: 1, taskCount: 20_000, load: 0.8)
            for (name, value) in [
                ("policy", "central"), ("startup", "0"), ("delay", "0"), ("mean", "1"),
            ] { try study.set(name, to: value) }
            samples.append(World.study(study)[.waitMean])
        }
        let wait = Estimate(samples: samples, confidence: 0.999)
        let ideal = Statistics.idealWait(servers: 4, load: 0.8)
        #expect(wait.interval.contains(ideal), "\(wait), \(ideal)")
        #expect(wait.halfWidth < 0.25 * ideal)
    }

    @Test func `nobody starves under the central queue`() throws {
        #expect(World.study(try study("central"))[.starved] == 0)
    }

    @Test func `incidents are for policies alone`() throws {
        var study = try study("central")
        try study.set("incidents", to: "loss(at=3s)")
        #expect("\(try #require(study.problem))".hasPrefix("central knows no incidents"))
    }
}
