/// Decides which worker of a `QueueingSystem` runs what: what Magpie is compared with.
///
/// Only the simulator has these. A scheduler asks the system for what happens next, and is told
/// what has happened.
package protocol ReferenceScheduler: Sendable {
    /// A job has arrived.
    mutating func arrived(_ job: Int, in system: QueueingSystem)
    /// A message of this scheduler has arrived.
    mutating func received(_ message: QueueingSystem.Message, in system: QueueingSystem)
    /// A task has ended, and its slot is free.
    mutating func slotFreed(at worker: Int, in system: QueueingSystem)
}

extension ReferenceScheduler {
    /// Nothing: for schedulers that send no messages.
    package mutating func received(
        _ message: QueueingSystem.Message, in system: QueueingSystem
    ) {}

    /// The worker goes on with its own line.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        system.startNext(at: worker)
    }
}

/// One line before all slots, and perfect knowledge of what is free: what no scheduler that doesn't
/// know run times in advance can beat on average.
package struct CentralQueue: ReferenceScheduler {
    private var line = Fifo()
    private var free: [Int] = []
    private var hasBegun = false

    /// Makes the scheduler.
    package init() {}

    /// The job's tasks join the one line.
    package mutating func arrived(_ job: Int, in system: QueueingSystem) {
        if !hasBegun {
            hasBegun = true
            for worker in 0..<system.setting.workerCount {
                for _ in 0..<system.setting.slotsPerWorker { free.append(worker) }
            }
        }
        for _ in 0..<system.setting.tasksPerJob { line.append(job) }
        startAll(in: system)
    }

    /// The slot takes what waits first, wherever it came from.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        free.append(worker)
        startAll(in: system)
    }

    /// A task travels to its worker, and word of its end travels back, before the slot is known to
    /// be free.
    private mutating func startAll(in system: QueueingSystem) {
        while !line.isEmpty, let worker = free.popLast(), let job = line.popFirst() {
            system.start(job, on: worker, lead: system.delay, trail: system.delay)
        }
    }
}

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
        let tasks = system.setting.tasksPerJob
        if isDistinct {
            system.draw(choices * tasks, into: &drawn)
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
        for _ in 0..<system.setting.tasksPerJob {
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

/// Batch sampling with late binding: places in the lines of `ratio` workers per task, and whichever
/// slot comes to such a place first asks for a task.
///
/// Source: Ousterhout et al., "Sparrow" (SOSP 2013) §3.4. A slot is taken while it asks.
package struct LateBinding: ReferenceScheduler {
    private let ratio: Int
    private var drawn: [Int] = []

    private enum Kind {
        static let place = 0
        static let refusal = 1
    }

    /// Makes the scheduler; `ratio` is how many places are taken per task, 1 or more.
    package init(ratio: Int) {
        self.ratio = ratio
    }

    /// Places are sent to workers by chance, no two of a job to one.
    package mutating func arrived(_ job: Int, in system: QueueingSystem) {
        system.draw(ratio * system.setting.tasksPerJob, into: &drawn)
        for worker in drawn {
            system.send(QueueingSystem.Message(kind: Kind.place, job: job, worker: worker))
        }
    }

    /// A place joins its line, or a slot hears that nothing was left for it.
    package mutating func received(
        _ message: QueueingSystem.Message, in system: QueueingSystem
    ) {
        if message.kind == Kind.place {
            system.retain(message.job)
            system.enqueue(message.job, at: message.worker)
        } else {
            system.unhold(message.worker)
        }
        ask(message.worker, in: system)
    }

    /// The slot goes to the next place in the line.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        ask(worker, in: system)
    }

    private func ask(_ worker: Int, in system: QueueingSystem) {
        while system.freeSlots(of: worker) > 0, let job = system.dequeue(at: worker) {
            if system.unstarted(of: job) > 0 {
                system.start(job, on: worker, lead: 2 * system.delay)
            } else {
                system.hold(worker)
                system.send(
                    QueueingSystem.Message(kind: Kind.refusal, job: job, worker: worker),
                    delays: 2)
            }
            system.forget(job)
        }
    }
}
