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
