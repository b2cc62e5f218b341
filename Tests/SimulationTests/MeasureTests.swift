import Model
import SimulationHarness
import Testing

/// Measures of small runs, counted by hand.
@Suite struct MeasureTests {
    private static let second: Int64 = 1_000_000_000

    private static func resources(_ cores: Int, _ gibibytes: Int = 1) -> Resources {
        Resources(cpuMillis: UInt32(cores) * 1_000, memoryBytes: UInt64(gibibytes) << 30)
    }

    /// Two nodes of one and two cores; submissions from second 0 to 10.
    private static func run(_ tasks: [StudyRun.Task], _ spans: [StudyRun.Span]) -> StudyRun {
        var run = StudyRun(
            capacities: [resources(1), resources(2)], tasks: tasks, warmUpEnd: 0,
            lastSubmission: 10 * second)
        run.spans = spans
        for span in spans {
            run.tasks[span.task].started = run.tasks[span.task].started ?? span.from
            run.tasks[span.task].ended = span.to
        }
        return run
    }

    private static func task(
        _ job: Int, at submitted: Int64, lasting service: Int64, cores: Int = 1, user: Int = 0,
        gibibytes: Int = 1
    ) -> StudyRun.Task {
        StudyRun.Task(
            job: job, user: user, demand: resources(cores, gibibytes),
            submitted: submitted * second, service: service * second)
    }

    private static func span(
        _ node: Int, _ task: Int, _ from: Int64, _ to: Int64
    ) -> StudyRun.Span {
        StudyRun.Span(node: node, task: task, from: from * second, to: to * second)
    }

    private func near(_ found: Double?, _ expected: Double) -> Bool {
        abs((found ?? .nan) - expected) < 1e-9
    }

    @Test func `nodes are as busy as their cores were`() {
        // The first is busy for 5 of 10 s; of the second one core for 4 s, then both for 4 s.
        let run = MeasureTests.run(
            [
                MeasureTests.task(0, at: 0, lasting: 5), MeasureTests.task(1, at: 0, lasting: 8),
                MeasureTests.task(2, at: 2, lasting: 8),
            ],
            [
                MeasureTests.span(0, 0, 0, 5), MeasureTests.span(1, 1, 0, 8),
                MeasureTests.span(1, 2, 4, 12),
            ])
        let result = run.result(FairnessStudy())
        #expect(result.busyShares == [0.5, 0.7])
        #expect(near(result[.jain], 1.2 * 1.2 / (2 * (0.25 + 0.49))))
        #expect(near(result[.gini], 0.2 / 2 / 1.2))
        #expect(near(result[.busyRatio], 1.4))
        #expect(near(result[.utilisation], (5 + 14) / 30.0))
        #expect(near(result[.makespan], 12))
        #expect(near(result.imbalance.first { $0.seconds == 3 }?.deviation, 0.25))
        #expect(near(result.imbalance.first { $0.seconds == 6 }?.deviation, 0.5))
    }

    @Test func `equal shares are fair, and one who has all is not`() {
        #expect(near(Statistics.jain([0.3, 0.3, 0.3]), 1))
        #expect(near(Statistics.gini([0.3, 0.3, 0.3]), 0))
        #expect(near(Statistics.jain([0, 0, 0.9]), 1.0 / 3))
        #expect(near(Statistics.gini([0, 0, 0.9]), 2.0 / 3))
        #expect(near(Statistics.gini([1, 2, 3, 4]), 0.25))
        #expect(Statistics.gini([]) == 0 && Statistics.gini([0, 0]) == 0)
    }

    @Test func `waits end with the start, responses with a job's last task`() {
        var run = MeasureTests.run(
            [
                MeasureTests.task(0, at: 1, lasting: 4), MeasureTests.task(0, at: 1, lasting: 2),
                MeasureTests.task(1, at: 3, lasting: 0),
            ],
            [
                MeasureTests.span(1, 1, 1, 3), MeasureTests.span(0, 0, 3, 7),
                MeasureTests.span(0, 2, 7, 7),
            ])
        let result = run.result(FairnessStudy())
        #expect(result.waits == [2, 0, 4])
        #expect(near(result[.waitMean], 2))
        #expect(near(result[.waitP50], 2))
        #expect(near(result[.waitMax], 4))
        // A task of no time at all counts as one of a second.
        #expect(result.slowdowns == [1.5, 1, 4])
        #expect(result.responses == [6, 4])
        #expect(near(result[.responseMean], 5))
        // What was submitted before the warm-up's end is not counted.
        run.warmUpEnd = 2 * MeasureTests.second
        let later = run.result(FairnessStudy())
        #expect(later.waits == [4] && later.responses == [4])
    }

    @Test func `a job that has not ended has no response`() {
        let run = MeasureTests.run(
            [MeasureTests.task(0, at: 1, lasting: 4), MeasureTests.task(0, at: 1, lasting: 2)],
            [MeasureTests.span(1, 1, 1, 3)])
        #expect(run.result(FairnessStudy()).responses.isEmpty)
    }

    @Test func `who waits for long beside a fair wait has starved`() {
        var run = MeasureTests.run(
            [MeasureTests.task(0, at: 0, lasting: 1), MeasureTests.task(1, at: 0, lasting: 1)],
            [MeasureTests.span(0, 0, 6, 7), MeasureTests.span(1, 1, 6, 7)])
        #expect(run.result(FairnessStudy()).measures[.starved] == nil)
        // Fair times of 1 s and of 2 s, waits of 6 s: six times the one, three times the other.
        run.fairWaits = [0, MeasureTests.second]
        var study = FairnessStudy()
        #expect(run.result(study)[.starved] == 0.5)
        study.starvationFactor = 6
        #expect(run.result(study)[.starved] == 0)
        study.starvationFactor = 2.9
        #expect(run.result(study)[.starved] == 1)
    }

    @Test func `a user's share is that of the scarcer resource, over the weight`() {
        var run = MeasureTests.run(
            [
                MeasureTests.task(0, at: 0, lasting: 10, gibibytes: 0),
                MeasureTests.task(1, at: 0, lasting: 5, cores: 1, user: 1, gibibytes: 1),
            ], [MeasureTests.span(1, 1, 0, 5), MeasureTests.span(0, 0, 0, 10)])
        run.users = [StudyUser("anna"), StudyUser("ben", weight: 2)]
        let result = run.result(FairnessStudy())
        // Of 30 core-seconds anna has 10; of 20 GiB-seconds ben has 5, of the cores 5.
        #expect(near(result.users[0].dominantShare, 1.0 / 3))
        #expect(near(result.users[1].dominantShare, 0.25))
        let shares = [1.0 / 3, 0.125]
        #expect(near(result[.userJain], Statistics.jain(shares)))
        #expect(near(result[.userSlowdownRatio], 1))
        run.users = [StudyUser("anna", weight: 4), StudyUser("ben", weight: 3)]
        #expect(near(run.result(FairnessStudy())[.userJain], 1))
    }

    @Test func `what was cut short is made again, and the node's absence is not idleness`() {
        var run = MeasureTests.run(
            [MeasureTests.task(0, at: 0, lasting: 8), MeasureTests.task(1, at: 0, lasting: 10)],
            [
                MeasureTests.span(0, 0, 0, 4), MeasureTests.span(1, 1, 0, 10),
                MeasureTests.span(1, 0, 7, 15),
            ])
        run.absences = [
            StudyRun.Absence(node: 0, from: 4 * MeasureTests.second, to: .max)
        ]
        run.disturbance = 4 * MeasureTests.second...4 * MeasureTests.second
        let result = run.result(FairnessStudy())
        #expect(result[.reruns] == 1)
        #expect(near(result[.rerunDelayMean], 3))
        #expect(near(result[.rerunDelayMax], 3))
        #expect(result.busyShares == [1, 0.65])
        #expect(near(result.imbalance.first { $0.seconds == 6 }?.deviation, 0))
    }

    @Test func `the imbalance is back when it is as small as before, for a while`() {
        // A node of two cores holds one or two tasks, the other one none for twenty seconds.
        var tasks: [StudyRun.Task] = []
        var spans: [StudyRun.Span] = []
        for (node, from, to) in [(0, 0, 20), (1, 0, 40), (1, 0, 20), (0, 26, 40)] {
            spans.append(MeasureTests.span(node, tasks.count, Int64(from), Int64(to)))
            tasks.append(MeasureTests.task(tasks.count, at: 0, lasting: 1))
        }
        var run = MeasureTests.run(tasks, spans)
        run.capacities = [MeasureTests.resources(1), MeasureTests.resources(1)]
        run.spans[2].to = run.spans[2].from
        run.lastSubmission = 40 * MeasureTests.second
        func convergence(from start: Int64, to end: Int64) -> Double? {
            run.disturbance = start * MeasureTests.second...end * MeasureTests.second
            return run.result(FairnessStudy()).measures[.convergence]
        }
        #expect(near(convergence(from: 20, to: 20), 6))
        // It is looked for after the end, and compared with what was before the beginning.
        #expect(near(convergence(from: 20, to: 22), 4))
        #expect(near(convergence(from: 20, to: 30), 0))
        run.disturbance = 38 * MeasureTests.second...38 * MeasureTests.second
        #expect(run.result(FairnessStudy()).measures[.convergence] == nil)
    }

    @Test func `a very long run is looked at less often`() {
        var run = MeasureTests.run([], [])
        run.lastSubmission = Int64(StudyRun.sampleCountMax) * MeasureTests.second / 2
        #expect(run.result(FairnessStudy()).imbalance.count == StudyRun.sampleCountMax)
        run.lastSubmission *= 100
        #expect(run.result(FairnessStudy()).imbalance.count == StudyRun.sampleCountMax)
    }

    @Test func `costs are per task that counts`() {
        var run = MeasureTests.run(
            [MeasureTests.task(0, at: 0, lasting: 1), MeasureTests.task(1, at: 5, lasting: 1)],
            [MeasureTests.span(0, 0, 0, 1), MeasureTests.span(1, 1, 6, 7)])
        run.warmUpEnd = MeasureTests.second
        run.tasks[1].claimed = 5_250_000_000
        run.costs.claimRequests = 3
        run.costs.claims = 4
        run.costs.denials = 1
        run.costs.messages = 20
        run.costs.bytes = 5_000
        run.claimLatencies = [0.001, 0.003]
        let result = run.result(FairnessStudy())
        #expect(result[.lockRequests] == 3 && result[.claims] == 4)
        #expect(result[.claimsWasted] == 0.25)
        #expect(result[.messages] == 20 && result[.bytes] == 5_000)
        #expect(near(result[.claimLatencyMean], 0.002))
        #expect(near(result[.claimLatencyP95], 0.0029))
        #expect(near(result[.claimDelayP50], 0.25))
    }

    @Test func `several runs say a mean, and how far it may be off`() throws {
        let run = MeasureTests.run([], [])
        let results = [9.0, 10, 11].map { value in
            var result = run.result(FairnessStudy())
            result.measures = [.makespan: value]
            return result
        }
        let estimates = FairnessResult.estimates(of: results)
        #expect(estimates.count == 1)
        let makespan = try #require(estimates[.makespan])
        #expect(makespan == Estimate(samples: [9, 10, 11], confidence: 0.95))
    }

    @Test func `every measure says what it is`() {
        let units: Set<String> = ["s", "share", "ratio", "bytes", "count"]
        for measure in Measure.allCases {
            #expect(units.contains(measure.unit) && !measure.meaning.isEmpty)
        }
        #expect(Measure.allCases.sorted() == Measure.allCases)
    }
}
