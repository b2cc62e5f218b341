import Cluster
import Model

/// What happens to machines in a study.
enum StudyStep {
    /// An incident begins.
    case begin(StudyIncident, [Int])
    /// An incident is over.
    case end(StudyIncident, [Int])
}

extension World {
    /// Runs a study; the same study gives the same result.
    package static func study(_ study: FairnessStudy) -> FairnessResult {
        let workload = Workload(study)
        var run = StudyRun(study, workload)
        if let problem = study.problem(with: workload) {
            run.violation = Violation(message: problem.description, time: 0)
            return run.result(study)
        }
        switch study.policy.kind {
        case .policy(let policy): World(study, policy).perform(study, &run)
        case .reference(let reference): reference.perform(study, &run)
        }
        run.fairWaits = workload.fairWaits(study)
        return run.result(study)
    }

    /// A cluster in which nothing goes wrong but what the study says.
    private convenience init(_ study: FairnessStudy, _ policy: StealPolicy) {
        var scenario = Scenario(
            seed: study.seed, nodeCount: study.nodeCount, taskCount: study.taskCount)
        scenario.faultKinds = []
        scenario.profile = .lan
        scenario.policy = policy
        scenario.retention = study.retention
        scenario.capacities = (0..<study.nodeCount).map(study.capacity)
        self.init(scenario)
        isStudy = true
        clients.retention = study.retention
        clients.retries = !study.incidents.isEmpty
        network.conditions.delayMin = study.delay.least
        network.conditions.delayMax = study.delay.most
        for machine in machines {
            machine.runtime.speed = study.speed(of: machine.index)
            machine.runtime.latency.create = (study.startup * 0.3, study.startup * 1.7)
            machine.runtime.latency.start = (.zero, .zero)
        }
    }

    private func perform(_ study: FairnessStudy, _ run: inout StudyRun) {
        form(within: .seconds(600))
        let start = now
        var before = StudyRun.Costs()
        if checker.violation == nil {
            submit(run.tasks, from: start)
            plan(study, from: start)
            self.run(until: start + run.warmUpEnd)
            before = costs
            self.run(until: start + run.lastSubmission)
            finish(within: run.finishingLimit(study))
        }
        for (number, job) in clients.jobs.enumerated() {
            run.tasks[number].claimed = job.claimed.map { $0 - start }
            run.tasks[number].started = job.started.map { $0 - start }
            run.tasks[number].ended = job.ended.map { $0 - start }
        }
        run.spans = log.spans(from: start, until: now) { clients.number(of: $0) }
        run.claimLatencies = log.claims.filter { $0.asked >= start + run.warmUpEnd }
            .map { Double($0.latency) / 1e9 }
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
        run(until: now + limit.nanoseconds) { clients.endedCount == clients.jobs.count }
        if clients.endedCount < clients.jobs.count {
            let missing = clients.jobs.count - clients.endedCount
            checker.fail("\(missing) tasks have not ended", at: now)
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

    // MARK: Incidents

    private func plan(_ study: FairnessStudy, from start: Int64) {
        for (incident, nodes) in zip(study.incidents, study.incidentNodes) {
            queue.insert(
                .study(.begin(incident, nodes)), at: start + incident.start.nanoseconds)
            guard let end = incident.end else { continue }
            queue.insert(.study(.end(incident, nodes)), at: start + end)
        }
    }

    func perform(_ step: StudyStep) {
        switch step {
        case .begin(let incident, let nodes):
            switch incident.kind {
            case .loss: for node in nodes { reboot(machines[node]) }
            case .slow(let share): for node in nodes { changeSpeed(of: machines[node], by: share) }
            case .partition: forBothWays(nodes) { network.cut(from: $0, to: $1) }
            }
        case .end(let incident, let nodes):
            switch incident.kind {
            case .loss: for node in nodes { start(machines[node]) }
            case .slow(let share):
                for node in nodes { changeSpeed(of: machines[node], by: 1 / share) }
            case .partition: forBothWays(nodes) { network.mend(from: $0, to: $1) }
            }
        }
    }

    private func forBothWays(_ nodes: [Int], _ body: ([Int], [Int]) -> Void) {
        let inside = Set(nodes)
        let others = machines.indices.filter { !inside.contains($0) }
        body(nodes, others)
        body(others, nodes)
    }

    private func changeSpeed(of machine: Machine, by share: Double) {
        let old = machine.runtime.speed
        machine.runtime.speed = old * share
        let delays = log.changed(machine.index, from: old, to: old * share, at: now)
        for (id, delay) in delays {
            schedule(machine.runtime.postponed(id, by: delay), on: machine)
        }
    }
}
