import Model

extension Contender.Reference {
    /// The scheduler itself.
    var scheduler: any ReferenceScheduler {
        switch self {
        case .central: CentralQueue()
        case .lateBinding(let ratio): LateBinding(ratio: ratio)
        case .batchSampling(let ratio): SampledPlacement(choices: ratio, isBatched: true)
        case .perTaskSampling(let d): SampledPlacement(choices: d)
        case .randomPlacement: SampledPlacement(choices: 1)
        }
    }

    /// Runs a study's tasks, with its network delays on average and its start-up times.
    func perform(_ study: FairnessStudy, _ run: inout StudyRun) {
        perform(scheduler, study, &run)
    }

    private func perform(
        _ scheduler: some ReferenceScheduler, _ study: FairnessStudy, _ run: inout StudyRun
    ) {
        let system = QueueingSystem(run.setting(study))
        var scheduler = scheduler
        system.run(by: &scheduler) { _ in true }
        run.spans = system.spans.sorted { ($0.to, $0.task) < ($1.to, $1.task) }
        for span in run.spans {
            run.tasks[span.task].started = span.from
            run.tasks[span.task].ended = span.to
        }
        run.end = system.now
        run.costs.messages = system.messageCount
        run.costs.events = system.eventCount
        if run.spans.count < run.tasks.count {
            let missing = run.tasks.count - run.spans.count
            run.violation = Violation(message: "\(missing) tasks have not ended", time: system.now)
        }
    }
}

extension StudyRun {
    /// The same tasks and machines for a reference scheduler.
    func setting(_ study: FairnessStudy) -> QueueingSetting {
        var setting = QueueingSetting(
            workerCount: capacities.count, load: min(study.load, 0.99), seed: study.seed)
        let services = tasks.map(\.service)
        var plan: [PlannedJob] = []
        var first = tasks.startIndex
        while first < tasks.endIndex {
            let end = tasks[first...].firstIndex { $0.job != tasks[first].job } ?? tasks.endIndex
            plan.append(
                PlannedJob(
                    arrived: tasks[first].submitted, demand: tasks[first].demand,
                    services: services[first..<end]))
            first = end
        }
        setting.plan = plan
        setting.capacities = capacities
        setting.speeds = study.speeds
        setting.networkDelay = study.delay.meanSeconds
        setting.startup = .uniform(0.3 * study.startup.seconds, 1.7 * study.startup.seconds)
        setting.uncountedUntil = warmUpEnd
        return setting
    }
}

extension Workload {
    /// How long each task would wait in one line before all machines: its fair wait.
    ///
    /// Nobody who comes later can delay a task there, which makes the start a fair one: Sabin,
    /// Sadayappan, "Unfairness Metrics for Space-Sharing Parallel Job Schedulers" (JSSPP 2005). What
    /// happens to machines is left out.
    func fairWaits(_ study: FairnessStudy) -> [Int64] {
        var run = StudyRun(study, self)
        Contender.Reference.central.perform(study, &run)
        return run.tasks.map { ($0.started ?? $0.submitted) - $0.submitted }
    }
}
