/// Tasks stay where they arrive, by chance; a worker that runs empty tries once to steal the last
/// task from a line of one other worker.
///
/// Source: Mitzenmacher, "Analyses of Load Stealing Models Based on Differential Equations"
/// (SPAA 1998) §2.2.
package struct WorkStealing: ReferenceScheduler {
    private let threshold: Int

    /// Makes the scheduler.
    ///
    /// - Parameter threshold: How many tasks, the running one included, a victim must have; 2 or
    ///   more.
    package init(threshold: Int = 2) {
        self.threshold = threshold
    }

    /// The tasks go to workers by chance.
    package mutating func arrived(_ job: Int, in system: QueueingSystem) {
        for _ in 0..<system.unstarted(of: job) {
            let worker = system.random.index(below: system.setting.workerCount)
            system.enqueue(job, at: worker)
            system.startNext(at: worker)
        }
    }

    /// Who has nothing left tries to steal.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        guard system.waiting(at: worker) == 0 else { return system.startNext(at: worker) }
        let victim = system.random.index(below: system.setting.workerCount)
        guard victim != worker, system.taskCount(of: victim) >= threshold,
            let job = system.stealLast(from: victim)
        else { return }
        system.start(job, on: worker)
    }
}
