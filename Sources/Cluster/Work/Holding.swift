import Model

/// One claim that this node holds, and the container that runs under it.
struct Holding: Sendable {
    /// How far the container has come.
    enum Phase: Hashable {
        /// The container is being made.
        case creating
        /// The container is made; `start` was asked for.
        case starting
        /// The program runs.
        case running
        /// The program has ended; the lock has not confirmed the end yet.
        case ended
    }

    /// Why the node is ending the container itself.
    enum EndCause: Hashable {
        /// A user canceled the task.
        case canceled
        /// The task used up its run time.
        case timedOut
        /// The node leaves the cluster: the task goes back into the queue.
        case handedBack
        /// The lease ended, or the claim turned out to be another's: it is not ours any more.
        case forfeited
    }

    /// The task and its token.
    let id: ContainerID
    /// The session under which the attempt's row is keyed: the one that claimed it.
    let session: SessionID
    /// What the task asked for.
    let spec: TaskSpec
    /// Of the attempt.
    let count: AttemptCount
    /// How far the container has come.
    var phase: Phase
    /// Set once the node decided to end the container.
    var endCause: EndCause?
    /// When the attempt was granted, for the row.
    var claimed: WallTime
    /// When the program started, for the row.
    var started: WallTime?
    /// What users sent to the program before it was known to run, oldest first.
    var signals: [Int32] = []

    /// How many signals wait for a program; more are dropped.
    static let signalsMax = 8

    /// Whether the task is run again when this attempt ends so.
    func runsAgain(after end: AttemptEnd) -> Bool { spec.runsAgain(after: end, count) }

    /// Whether the container must end with the lease.
    var isLeaseBound: Bool { spec.onPartition == .rerun }
}
