package import Gossip
package import Model

/// What a client can ask of a node, beyond reading its state.
package enum NodeRequest: Sendable {
    /// Take in a task; answered by `submitted` once enough disks hold it.
    ///
    /// A client that may have to repeat itself chooses the ID (version 7): a repetition with the
    /// same spec is answered like the first time, one with another spec is refused (`conflict`).
    case submit(TaskSpec, id: TaskID?, ack: AckLevel)
    /// Wish a task to end; answered by `accepted` once the wish is on this node's disk.
    case cancel(TaskID)
    /// Send a signal to a running task, wherever it runs; answered by `accepted` when sent on.
    case signal(TaskID, Int32)
    /// Read the log of a task's newest attempt, wherever it ran; answered by `log`.
    case readLog(TaskID, attempt: FencingToken?, from: LogStart, waitAtMost: Duration)
    /// Measure what a running task uses, wherever it runs; answered by `usage`.
    case stats(TaskID)
    /// Begin a call to a running task, wherever it runs; answered by `call`.
    case openCall(TaskID, CallTarget)
    /// Go on with a call; answered by `call`.
    case call(Call, CallCommand)
    /// Join the cluster that the token names; answered by `joined`.
    case join(seeds: [PeerAddress], token: String)
    /// Make a join token that expires after this time and lets so many nodes in (`nil`: any
    /// number); answered by `token` once what is kept of it is on disk.
    case issueToken(lifetime: Duration, usesMax: UInt32? = nil)
    /// Take back a token that this node has made, by its name or the beginning of it; answered by
    /// `accepted` once that is on disk.
    case revokeToken(String)
    /// Leave the cluster gracefully: give back claims, tell the others; answered by `accepted`.
    case leave
    /// Declare a node gone for good, so that its `wait` tasks may run elsewhere.
    case forget(NodeID)
    /// Shut a member out for good, with `isCascading` also all whom it has let in; answered by
    /// `evicted` once the lock has agreed and this node has heard of it.
    case evict(NodeID, isCascading: Bool)
    /// Speak under this key from now on, and never again under the present one; answered by `accepted`
    /// once the lock has agreed and this node has heard of it.
    case rotateKey(NodeKey)
    /// Begin the lock anew here, for its majority of voters is lost for good; `accepted` once that
    /// is on disk, refused while a majority is alive.
    case recoverLock
    /// Give a name to a whole image of this node's store, or take one away (`nil`); answered by
    /// `accepted` once that is on this node's disk.
    case nameImage(ImageName, ImageDigest?, sizeBytes: UInt64)
    /// Stop taking work; running tasks go on. Answered by `accepted`.
    case drain
}

/// How many disks must hold a task before its submission is acknowledged.
package enum AckLevel: Hashable, Sendable {
    /// This many, 1 or more; fewer when fewer nodes are in reach within `NodeConfiguration.ackWait`.
    case copies(UInt32)
    /// More than half of the members that are not dead or left.
    case majority
}

/// What a node answers to a request.
package enum NodeReply: Sendable {
    /// The task is taken in, and on this many disks.
    case submitted(TaskID, copies: Int)
    /// Done, or under way.
    case accepted
    /// An excerpt of a log, and the attempt that it belongs to (`nil`: the task has not run yet;
    /// ask again from the same cursor).
    case log(LogChunk, attempt: FencingToken?)
    /// What a running task uses at this moment.
    case usage(UsageSample)
    /// Which call it is, and what the node that runs the task says.
    case call(Call, CallAnswer)
    /// This node now belongs to the cluster.
    case joined
    /// These are shut out.
    case evicted([NodeID])
    /// A join token, and the name by which it is taken back.
    case token(String, name: String)
    /// The request can't be granted; nothing was changed.
    case refused(Refusal)
}

/// A call as the node that its client asks knows it.
package struct Call: Hashable, Sendable {
    /// Its number at this node.
    package var number: UInt64
    /// The attempt whose program or container it goes to.
    package var container: ContainerID
    /// The node that runs it.
    package var holder: NodeID

    /// Makes a call.
    package init(number: UInt64, container: ContainerID, holder: NodeID) {
        self.number = number
        self.container = container
        self.holder = holder
    }
}

/// Why a request was not granted.
package struct Refusal: Error, Hashable, Sendable {
    /// What kind of obstacle it is, for programs.
    package enum Code: String, Sendable {
        /// The request makes no sense as it stands.
        case invalid
        /// There is no such task, node or log.
        case notFound
        /// The state of the thing forbids it.
        case conflict
        /// A queue or table is at its bound; try again later.
        case overloaded
        /// The disk refused the write.
        case storage
        /// The token is malformed, expired or of another cluster.
        case badToken
        /// No seed answered.
        case unreachable
        /// The node that could answer can't be reached now.
        case unavailable
    }

    /// What kind of obstacle it is.
    package var code: Code
    /// Subject, operation, cause and remedy, in words for a person.
    package var message: String

    /// Makes a refusal.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
