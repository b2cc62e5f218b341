import Cluster
import Model

extension World {
    /// Runs a study; the same study gives the same result.
    package static func study(_ study: FairnessStudy) -> FairnessResult {
        let workload = Workload(study)
        let capacities = (0..<study.nodeCount).map(study.capacity)
        let last = workload.lastSubmission
        var run = StudyRun(
            capacities: capacities, tasks: workload.tasks,
            warmUpEnd: Int64(Double(last) * study.warmUpShare), lastSubmission: last)
        switch study.policy.kind {
        case .policy(let policy): World(study, policy).perform(study, &run)
        case .reference:
            run.violation = Violation(message: "reference schedulers don't run yet", time: 0)
        }
        return run.result(study)
    }

    /// A cluster without faults.
    private convenience init(_ study: FairnessStudy, _ policy: StealPolicy) {
        var scenario = Scenario(
            seed: study.seed, nodeCount: study.nodeCount, taskCount: study.taskCount)
        scenario.faultKinds = []
        scenario.profile = .lan
        scenario.policy = policy
        scenario.retention = .seconds(3_600)
        scenario.capacities = (0..<study.nodeCount).map(study.capacity)
        self.init(scenario)
        isStudy = true
    }

    private func perform(_ study: FairnessStudy, _ run: inout StudyRun) {
        form(within: .seconds(600))
        let start = now
        var before = StudyRun.Costs()
        if checker.violation == nil {
            submit(run.tasks, from: start)
            self.run(until: start + run.warmUpEnd)
            before = costs
            self.run(until: start + run.lastSubmission)
            finish(within: study.meanService * 100)
        }
        for (number, job) in clients.jobs.enumerated() {
            run.tasks[number].started = job.started.map { $0 - start }
            run.tasks[number].ended = job.ended.map { $0 - start }
        }
        run.spans = executions.spans(from: start, until: now) { clients.number(of: $0) }
        run.end = now - start
        run.costs = costs - before
        run.violation = checker.violation
    }

    private func submit(_ tasks: [StudyRun.Task], from start: Int64) {
        for task in tasks {
            let due = start + task.submitted
            var spec = TaskSpec(command: ["sleep", "\(Double(task.service) / 1e9)"])
            spec.resources = task.demand
            let wall = VirtualClock().wall(at: due)
            let number = clients.add(
                Job(id: TaskID(at: wall, using: &clients.random), spec: spec))
            queue.insert(.client(.submit(number)), at: due)
        }
    }

    private func finish(within limit: Duration) {
        let end = now + limit.nanoseconds
        run(until: end) { clients.endedCount == clients.jobs.count }
        if clients.endedCount < clients.jobs.count {
            checker.fail("not all tasks have ended", at: now)
        }
    }

    private var costs: StudyRun.Costs {
        var costs = StudyRun.Costs()
        costs.claimRequests = counts.claimRequests
        costs.claims = counts.claims
        costs.denials = counts.denials
        costs.messages = counts.datagrams + counts.frames
        costs.bytes = counts.bytes
        costs.events = counts.events
        return costs
    }
}

/// Which program ran where and when.
struct Executions {
    private struct Record {
        var task: TaskID
        var node: Int
        var from: Int64
        var to: Int64
    }

    private var running: [ContainerID: (node: Int, from: Int64)] = [:]
    private var records: [Record] = []

    mutating func began(_ id: ContainerID, on node: Int, at now: Int64) {
        running[id] = (node, now)
    }

    mutating func ended(_ id: ContainerID, at now: Int64) {
        guard let (node, from) = running.removeValue(forKey: id) else { return }
        records.append(Record(task: id.task, node: node, from: from, to: now))
    }

    /// All executions in the order of their ends; what still runs ends at `end`.
    func spans(
        from start: Int64, until end: Int64, number: (TaskID) -> Int?
    ) -> [StudyRun.Span] {
        let unfinished = running.sorted { $0.key < $1.key }.map {
            Record(task: $0.key.task, node: $0.value.node, from: $0.value.from, to: end)
        }
        return (records + unfinished).compactMap { record in
            guard let task = number(record.task) else { return nil }
            return StudyRun.Span(
                node: record.node, task: task, from: record.from - start, to: record.to - start)
        }
    }
}
