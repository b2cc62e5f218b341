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
        system.draw(ratio * system.unstarted(of: job), for: job, into: &drawn)
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
            system.unhold(message.worker, for: message.job)
        }
        ask(message.worker, in: system)
    }

    /// The slot goes to the next place in the line.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        ask(worker, in: system)
    }

    private func ask(_ worker: Int, in system: QueueingSystem) {
        while let job = system.first(at: worker), system.hasRoom(for: job, at: worker) {
            _ = system.dequeue(at: worker)
            if system.unstarted(of: job) > 0 {
                system.start(job, on: worker, lead: 2 * system.delay)
            } else {
                system.hold(worker, for: job)
                system.send(
                    QueueingSystem.Message(kind: Kind.refusal, job: job, worker: worker),
                    delays: 2)
            }
            system.forget(job)
        }
    }
}
