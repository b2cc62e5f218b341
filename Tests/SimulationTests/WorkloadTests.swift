import Model
import SimulationHarness
import Testing

/// Workloads are what they say that they are.
@Suite struct WorkloadTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var arrivals: Arrivals
        /// The mean of squared gaps, over the squared mean gap.
        var secondMoment: Double
        var testDescription: String { arrivals.text }
    }

    // Published: 2 without memory; with bursts of geometric size s, 2s; for the interrupted Poisson
    // process 2 + 2λω₁/(ω₁+ω₂)² (Kuczura 1973), here λ = 4, ω₁ = 1/5, ω₂ = 1/15.
    @Test(arguments: [
        Row(arrivals: .regular, secondMoment: 1),
        Row(arrivals: .poisson, secondMoment: 2),
        Row(arrivals: .bursts(size: 5), secondMoment: 10),
        Row(
            arrivals: .onOff(on: .seconds(5), off: .seconds(15)),
            secondMoment: 2 + 2 * 4 * 0.2 / (0.2 + 1.0 / 15) / (0.2 + 1.0 / 15)),
    ])
    func `gaps between jobs have the mean and the variance that are published`(row: Row) {
        var random = SeededGenerator(seed: 11)
        let times = row.arrivals.times(count: 200_000, interval: 1, using: &random)
        #expect(times == times.sorted())
        let gaps = zip(times.dropFirst(), times).map { Double($0 - $1) / 1e9 }
        let mean = Estimate(run: gaps, batches: 20, confidence: 0.999)
        let square = Estimate(run: gaps.map { $0 * $0 }, batches: 20, confidence: 0.999)
        #expect(abs(mean.mean - 1) <= mean.halfWidth + 1e-6, "\(mean)")
        #expect(abs(square.mean - row.secondMoment) <= square.halfWidth + 1e-6, "\(square)")
        #expect(square.halfWidth < 0.2 * row.secondMoment)
    }

    @Test func `by day more jobs come than by night`() {
        var random = SeededGenerator(seed: 12)
        let arrivals = Arrivals.diurnal(period: .seconds(100), amplitude: 0.8)
        let times = arrivals.times(count: 100_000, interval: 0.01, using: &random)
        let last = Double(times.last ?? 0) / 1e9
        #expect(abs(last - 1_000) < 20, "\(last)")
        let byDay = times.count { $0 % 100_000_000_000 < 50_000_000_000 }
        // The mean of a sine over half of its period is 2/π.
        let expected = (1 + 0.8 * 2 / Double.pi) / 2
        #expect(abs(Double(byDay) / Double(times.count) - expected) < 0.01)
    }

    @Test(arguments: ["constant", "exponential", "uniform", "pareto", "lognormal(sigma=0.5)"])
    func `tasks keep the cluster as busy as the load says`(service: String) throws {
        var study = FairnessStudy(seed: 5, nodeCount: 10, taskCount: 20_000, load: 0.7)
        for (name, value) in [
            ("service", service), ("sizes", "1,2"), ("speeds", "1,0.5"), ("cpus", "0.5,1,1.5"),
            ("job_tasks", "4"),
        ] { try study.set(name, to: value) }
        let workload = Workload(study)
        #expect(workload.tasks.count == 20_000)
        let work = workload.tasks.map {
            Double($0.service) * Double($0.demand.cpuMillis) / 1_000
        }
        // Five machines of 4 cores at full speed, five of 8 cores at half of it.
        let capacity = 5.0 * 4 + 5 * 8 * 0.5
        let busy = work.reduce(0, +) / (Double(workload.lastSubmission) * capacity)
        #expect(abs(busy - 0.7) < 0.04, "\(busy)")
    }

    @Test func `the scarcer resource says how much comes`() throws {
        var study = FairnessStudy(seed: 5, nodeCount: 10, taskCount: 10_000, load: 0.5)
        try study.set("node_memory", to: "16G")
        try study.set("memory", to: "8G")
        let workload = Workload(study)
        // Two tasks fill a machine, though it has four cores.
        let held = workload.tasks.reduce(0.0) { $0 + Double($1.service) } / 2
        #expect(abs(held / (10 * Double(workload.lastSubmission)) - 0.5) < 0.03)
    }

    @Test func `users submit as often as their shares say, and what they say`() throws {
        var study = FairnessStudy(seed: 6, nodeCount: 10, taskCount: 20_000, load: 0.5)
        try study.set("users", to: "anna(share=3,cpus=2), ben(weight=2,memory=1G)")
        let workload = Workload(study)
        let anna = workload.tasks.filter { $0.user == 0 }
        let ben = workload.tasks.filter { $0.user == 1 }
        #expect(abs(Double(anna.count) / 20_000 - 0.75) < 0.02)
        #expect(Set(anna.map(\.demand)) == [Resources(cpuMillis: 2_000, memoryBytes: 64 << 20)])
        #expect(Set(ben.map(\.demand)) == [Resources(cpuMillis: 1_000, memoryBytes: 1 << 30)])
        #expect(study.users.map(\.weight) == [1, 2])
    }

    @Test func `tasks of a job come together`() throws {
        var study = FairnessStudy(seed: 7, nodeCount: 4, taskCount: 10, load: 0.5)
        try study.set("job_tasks", to: "4")
        let tasks = Workload(study).tasks
        #expect(tasks.map(\.job) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
        #expect(Set(tasks.map(\.submitted)).count == 3)
        #expect(Set(tasks.map(\.service)).count == 10)
    }

    @Test func `a change of one thing leaves the others as they were`() throws {
        let study = FairnessStudy(seed: 8, nodeCount: 4, taskCount: 200, load: 0.5)
        let usual = Workload(study).tasks
        for (name, value) in [
            ("service", "constant"), ("users", "anna,ben"), ("memory", "64M,128M"),
            ("policy", "central"), ("policy", "none"), ("warmup", "0.5"),
        ] {
            var other = study
            try other.set(name, to: value)
            #expect(Workload(other).tasks.map(\.submitted) == usual.map(\.submitted), "\(name)")
            guard name != "service" else { continue }
            #expect(Workload(other).tasks.map(\.service) == usual.map(\.service), "\(name)")
        }
        var other = study
        other.seed = 9
        #expect(Workload(other).tasks.map(\.submitted) != usual.map(\.submitted))
    }

    @Test func `what fits no machine is told before the run`() throws {
        var study = FairnessStudy(seed: 8, nodeCount: 4, taskCount: 20, load: 0.5)
        try study.set("cpus", to: "1,9")
        let problem = try #require(study.problem)
        #expect("\(problem)".hasPrefix("a task asks for 9.0 cores and 64M of memory"))
        #expect(World.study(study).violation?.message == problem.description)
        try study.set("sizes", to: "1,3")
        #expect(study.problem == nil)
        try study.set("users", to: "anna,ben,anna")
        #expect(study.problem?.description == "users: two of them have the same name")
    }
}

/// Recorded tasks are read as they were written, or refused with a line.
@Suite struct StudyTraceTests {
    @Test func `a table gives a job per line, in the order of submission`() throws {
        let trace = try StudyTrace(
            """
            # exported on a Monday
            submit,cpu,memory,duration,user
            12.5, 2, 4G, 30, anna

            10,0.5,1048576,1.25,ben
            10,1,64M,2,
            """)
        #expect(trace.taskCount == 3)
        #expect(
            trace.jobs == [
                StudyTrace.Job(
                    submitted: 0, services: [1_250_000_000],
                    demand: Resources(cpuMillis: 500, memoryBytes: 1 << 20), user: "ben"),
                StudyTrace.Job(
                    submitted: 0, services: [2_000_000_000],
                    demand: Resources(cpuMillis: 1_000, memoryBytes: 64 << 20), user: ""),
                StudyTrace.Job(
                    submitted: 2_500_000_000, services: [30_000_000_000],
                    demand: Resources(cpuMillis: 2_000, memoryBytes: 4 << 30), user: "anna"),
            ])
    }

    @Test func `Sparrow's lines give a job with all of its tasks`() throws {
        let trace = try StudyTrace("100 2 1.5 1 2\r\n103 1 4 4\n")
        #expect(trace.jobs.map(\.services) == [[1_000_000_000, 2_000_000_000], [4_000_000_000]])
        #expect(trace.jobs.map(\.submitted) == [0, 3_000_000_000])
        #expect(trace.taskCount == 3)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        var text: String
        var reason: String
        var testDescription: String { text }
    }

    @Test(arguments: [
        Refused(text: "", reason: "the trace holds no tasks"),
        Refused(text: "# nothing\n\n", reason: "the trace holds no tasks"),
        Refused(
            text: "1,1,64M,2,a\n2,1,64M,2\n",
            reason: "line 2: 4 fields, of five: submit,cpu,memory,duration,user"),
        Refused(text: "1,one,64M,2,a", reason: "line 1: cpu: 'one' is no number"),
        Refused(
            text: "1,0,64M,2,a", reason: "line 1: cpu must lie between 0.001 and 1024, and is 0"),
        Refused(
            text: "1,1,64X,2,a",
            reason: "line 1: memory: '64X' is no amount of memory such as 64M or 4G"),
        Refused(
            text: "-1,1,64M,2,a",
            reason: "line 1: submit must lie between 0 and 100000000, and is -1"),
        Refused(text: "1,1,64M,nan,a", reason: "line 1: duration must lie between"),
        Refused(text: "1 2", reason: "line 1: 2 numbers; a job is submit n mean t1 … tn"),
        Refused(text: "#\n1 2 3 4", reason: "line 2: 1 run times of 2 tasks"),
        Refused(text: "1 0 3", reason: "line 1: '0' is no number of tasks from 1 to 1000000"),
        Refused(text: "1 1 3 x", reason: "line 1: run time: 'x' is no number"),
    ])
    func `a line that is wrong is named`(row: Refused) {
        #expect {
            try StudyTrace(row.text)
        } throws: {
            "\($0)".hasPrefix(row.reason)
        }
    }

    @Test func `a trace has a bound`() throws {
        #expect(try StudyTrace("1 2 1 1 1\n2 1 1 1", taskCountMax: 3).taskCount == 3)
        #expect {
            try StudyTrace("1 2 1 1 1\n2 2 1 1 1", taskCountMax: 3)
        } throws: {
            "\($0)" == "line 2: more than 3 tasks"
        }
    }

    @Test func `a study runs what was recorded`() throws {
        var study = FairnessStudy(seed: 1, nodeCount: 2, taskCount: 1, load: 0.5)
        try study.set("trace", to: "monday.csv")
        #expect("\(try #require(study.problem))" == "trace monday.csv: it was not read")
        #expect {
            try study.load(trace: "1,1,64M,2")
        } throws: {
            "\($0)".hasPrefix("trace monday.csv: line 1: 4 fields")
        }
        try study.load(trace: "5,2,64M,2,anna\n7,1,1G,1,ben\n7,1,1G,1,anna")
        #expect(study.problem == nil)
        let workload = Workload(study)
        #expect(workload.tasks.map(\.submitted) == [0, 2_000_000_000, 2_000_000_000])
        #expect(workload.users.map(\.name) == ["user", "anna", "ben"])
        #expect(workload.tasks.map(\.user) == [1, 2, 1])
        try study.set("policy", to: "central")
        #expect(World.study(study).timeline.count == 3)
    }
}
