package import Gossip
package import Model

/// Everything that a node can ask of its surroundings.
///
/// The driver performs effects in order and decides nothing. What must wait for the disk is held
/// back by the core until the ticket returns.
package enum NodeEffect: Sendable {
    /// Send bytes to another node; may fail silently, the core repeats what matters.
    ///
    /// A stream is to end at the key of that node, or at any key when it is `.none`.
    case send([UInt8], to: PeerAddress, of: NodeID, via: Channel)
    /// Write to disk, all or nothing, then answer `persisted` or `persistFailed`.
    ///
    /// Writes are performed in order; many may be joined into one transaction. When one fails, so
    /// do all that were asked for before the core was told: the disk never holds a later write
    /// without the earlier ones.
    case persist([DurableWrite], PersistTicket)
    /// Do something with a container.
    case container(ContainerID, ContainerCommand)
    /// Have every container whose task stops on a partition end at this instant, whatever becomes of
    /// the daemon; until the first one is given, no such container may be made.
    case armGuard(until: Instant)
    /// Read a log of this node from there on; wait for output up to the given time when there
    /// is none yet, then answer `logRead` in any case.
    case readLog(LogReadID, ContainerID, LogStart, waitAtMost: Duration)
    /// Do something with the copy that this node keeps of another node's log.
    case logCopy(ContainerID, LogCopyCommand)
    /// Measure what a container of this node uses, then answer `measured` in any case.
    case measure(MeasureID, ContainerID)
    /// Do something with this node's image store.
    case image(ImageStoreCommand)
    /// Carry out a call's command at a container of this node, then answer `called` in any case.
    case call(CallQueryID, ContainerID, CallKey, CallCommand)
    /// The node speaks under this key from now on, and its disk says so: keep it in the place of the one
    /// before, and renew whatever was made with that one.
    case keepKey(PublicKey)
    /// Answer a client's request.
    case reply(RequestID, NodeReply)
    /// End the process with this error: the node must not go on. It wants nothing more from then on.
    case stop(reason: String)
    /// Tell people: logs, metrics, event streams.
    case observe(Observation)
}
