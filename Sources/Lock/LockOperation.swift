import Model

/// What the lock's table can be asked to do; one log entry holds a request of several.
enum LockOperation: Hashable, Sendable {
    /// Begin a session in place of `after`, the node's last one, alive or not; of that one's
    /// claims those that are named move, the others are released, as far as they were made `on`
    /// the same machine.
    case openSession(
        SessionID, keeping: [ContainerID], after: SessionID?, on: MachineID = .unknown)
    /// End a session whose lease was not renewed.
    case expireSession(SessionID)
    /// Claim a task for a session.
    case acquire(AcquireRequest, SessionID)
    /// Give a claim back, to rest for this long; the attempt ended so, or never ran (`nil`).
    case release(ContainerID, after: AttemptEnd? = .loss, notBefore: Duration)
    /// End a task; without a token, one that nobody holds, which is known by its birth.
    case close(TaskID, FencingToken?, TaskOutcome, birth: BirthDot?)
    /// Declare a node gone for good.
    case forget(NodeID)
    /// Shrink the entries of collected tasks.
    case collect([BirthDot])
    /// Set the length of leases; longer ones that were granted before are respected.
    case setLeaseLength(Duration)
    /// No lease longer than the present length is good any more.
    case settleLeaseLength
    /// No lease of a lost generation is good any more: grant again.
    case endRecovery
    /// Change who may speak in the cluster.
    case amend(Amendment.Change)
}

/// What became of an operation.
enum LockResult: Hashable, Sendable {
    /// Done, or there was nothing to do.
    case done
    /// The session is open and keeps these claims; leases are this long. So many claims wait for
    /// another machine with this node's identity.
    case opened(kept: [ContainerID], leaseLength: Duration, elsewhere: UInt32 = 0)
    /// The node's last session is this one (`nil`: it has had none), not the one that was named.
    case succeeds(SessionID?)
    /// Claimed, for the attempt with this count.
    case granted(FencingToken, AttemptCount)
    /// Another session holds it.
    case held(NodeID, FencingToken, SessionID)
    /// This end stands.
    case closed(TaskOutcome, FencingToken?)
    /// It rests for this much longer.
    case resting(Duration)
    /// Its task was collected.
    case collected
    /// The session is not alive.
    case noSession
    /// The node's session is alive: it can't be declared gone.
    case alive
    /// The table holds as much of this kind as it may.
    case full
    /// Another change of the same thing came first.
    case overtaken
}

/// A request of one node: operations that are applied together, exactly once.
///
/// A node has one request under way at a time and numbers them, so that remembering the last one
/// per node is enough to know a repetition.
struct LockRequest: Hashable, Sendable {
    /// Who asks.
    var client: NodeID
    /// In which life.
    var boot: BootID
    /// As how manieth request of that life, from 1.
    var sequence: UInt64
    /// What is asked, `LockConfiguration.operationsMax` operations at most.
    var operations: [LockOperation]
}

/// One entry of the log: a request, and the leader's reading of the lock's own clock.
struct LockEntryPayload: Hashable, Sendable {
    /// Time of the lock in nanoseconds; rises from entry to entry, whoever leads.
    var stamp: UInt64
    var request: LockRequest
    /// How long the lease of the client's present session may be trusted yet, as its leader sees
    /// it, in nanoseconds: what an opening in its place does not name rests for this long.
    var leaseRest: UInt64 = 0
}
