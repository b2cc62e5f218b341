import Model

extension FairnessStudy {
    /// All that can be set by name.
    package static let parameters: [StudyParameter] = cluster + tasks + measuring

    private static let cluster: [StudyParameter] = [
        StudyParameter("seed", "number", "every random choice descends from it", \.seed),
        StudyParameter(
            "policy", "name(argument=value,…)",
            "who spreads the tasks: \(Contender.policyNames); or \(Contender.referenceNames)",
            \.policy),
        StudyParameter("nodes", "count", "machines", \.nodeCount, in: 1...10_000),
        StudyParameter(
            "cores", "count", "cores of a machine of size 1", \.coresPerNode, in: 1...1_024),
        StudyParameter(
            "node_memory", "bytes", "memory of a machine of size 1", \.memoryPerNode,
            in: ByteCount(1 << 20)...ByteCount(1 << 50)),
        StudyParameter("sizes", "list", "sizes of machines, in turn", \.sizes, each: 0.01...100),
        StudyParameter(
            "speeds", "list", "speeds of machines, in turn; run times are divided by them",
            \.speeds, each: 0.01...100),
        StudyParameter("delay", "duration-duration", "how long packets are under way", \.delay),
        StudyParameter(
            "startup", "duration",
            "to make a container and start its program: evenly from 0.3 to 1.7 times this",
            \.startup, in: .zero ... .seconds(60)),
        StudyParameter(
            "incidents", "name(argument=value,…),…",
            "what happens to machines: loss, slow(speed), partition; each with at, share, for",
            \.incidents),
        StudyParameter(
            "retention", "duration", "for how long nodes keep ended tasks, in memory",
            \.retention, in: .seconds(1) ... .seconds(86_400)),
    ]

    private static let tasks: [StudyParameter] = [
        StudyParameter(
            "tasks", "count", "tasks that are submitted", \.taskCount, in: 1...1_000_000),
        StudyParameter(
            "load", "share", "of the cluster's scarcer resource that tasks keep busy", \.load,
            in: 0.001...2),
        StudyParameter(
            "arrivals", "name(argument=value,…)",
            "how jobs come: regular, poisson, bursts(size), onOff(on,off), "
                + "diurnal(period,amplitude)", \.arrivals),
        StudyParameter(
            "mean", "duration", "mean run time of a task", \.meanService,
            in: .milliseconds(1) ... .seconds(86_400)),
        StudyParameter(
            "service", "name(argument=value,…)",
            "how unequal run times are: constant, exponential, uniform, pareto(shape,spread), "
                + "lognormal(sigma)", \.service),
        StudyParameter(
            "job_tasks", "count", "tasks of a job; they are submitted together", \.tasksPerJob,
            in: 1...100_000),
        StudyParameter(
            "cpus", "list", "cores that a task asks for: one of these", \.cpus, each: 0.001...1_024),
        StudyParameter(
            "memory", "list", "memory that a task asks for: one of these", \.memory,
            each: ByteCount(0)...ByteCount(1 << 50)),
        StudyParameter(
            "users", "name(argument=value,…),…",
            "who submits: weight (what the user is entitled to), share (of the tasks), cpus, memory "
                + "(of each task; 0 for what the study says)", nonEmpty: \.users),
        StudyParameter(
            "trace", "path",
            "recorded tasks instead: lines submit,cpu,memory,duration,user or submit n mean t1 … tn",
            \.tracePath),
    ]

    private static let measuring: [StudyParameter] = [
        StudyParameter(
            "warmup", "share", "of the time of submissions that is not counted", \.warmUpShare,
            in: 0...0.9),
        StudyParameter(
            "starvation", "ratio", "a task that waits for so many of its fair times has starved",
            \.starvationFactor, in: 1...1_000_000),
    ]
}
