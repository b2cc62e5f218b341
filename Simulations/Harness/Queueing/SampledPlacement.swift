/// Workers chosen by chance, perhaps the best of several that were asked for their lines.
///
/// One choice per task is random placement, two are the supermarket model. With `isBatched` the
/// choices of all tasks of a job are pooled, and the best of all of them taken.
///
/// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996);
/// Ousterhout et al., "Sparrow" (SOSP 2013) §3.
package struct SampledPlacement: ReferenceScheduler {
    private let choices: Int
    private let isBatched: Bool
    private let isDistinct: Bool
    private var drawn: [Int] = []

    private enum Kind {
        static let probe = 0
        static let task = 1
    }

    /// Makes the scheduler.
    ///
    /// - Parameters:
    ///   - choices: How many workers are asked per task, 1 or more.
    ///   - isBatched: Whether the answers count for all tasks of the job together.
    ///   - isDistinct: Whether no worker is asked twice for one job.
    package init(choices: Int, isBatched: Bool = false, isDistinct: Bool = true) {
        self.choices = choices
        self.isBatched = isBatched
        self.isDistinct = isDistinct
    }

    /// Who asks nobody sends the tasks at once.
    package mutating func arrived(_ job: Int, in system: QueueingSystem) {
        if system.setting.networkDelay == 0 || choices == 1 { return place(job, 1, in: system) }
        system.send(QueueingSystem.Message(kind: Kind.probe, job: job))
    }

    /// Answers are as old as their way back when the tasks arrive.
    package mutating func received(
        _ message: QueueingSystem.Message, in system: QueueingSystem
    ) {
        guard message.kind == Kind.task else { return place(message.job, 2, in: system) }
        system.enqueue(message.job, at: message.worker)
        system.startNext(at: message.worker)
    }

    private mutating func place(_ job: Int, _ delays: Int64, in system: QueueingSystem) {
        let tasks = system.unstarted(of: job)
        if isDistinct {
            system.draw(choices * tasks, for: job, into: &drawn)
        } else {
            drawn = (0..<choices * tasks).map { _ in
                system.random.index(below: system.setting.workerCount)
            }
        }
        if isBatched {
            drawn.sort {
                (system.lineLength(of: $0), $0) < (system.lineLength(of: $1), $1)
            }
            for worker in drawn.prefix(tasks) { deliver(job, worker, delays, in: system) }
            return
        }
        for task in 0..<tasks {
            var best = drawn[task * choices]
            for worker in drawn[task * choices..<(task + 1) * choices]
            where system.lineLength(of: worker) < system.lineLength(of: best) { best = worker }
            deliver(job, best, delays, in: system)
        }
    }

    private func deliver(
        _ job: Int, _ worker: Int, _ delays: Int64, in system: QueueingSystem
    ) {
        guard system.setting.networkDelay > 0 else {
            system.enqueue(job, at: worker)
            return system.startNext(at: worker)
        }
        system.send(
            QueueingSystem.Message(kind: Kind.task, job: job, worker: worker), delays: delays)
    }
}
