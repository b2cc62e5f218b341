package import Model

/// Everything that can happen to the lock of one node.
package enum LockEvent: Sendable {
    /// A message of another node's lock arrived; the sender is verified, the content is not.
    case received([UInt8], from: NodeID)
    /// The write that the ticket names is on disk.
    case persisted(LockTicket)
    /// The write that the ticket names did not happen, nor any later one that is under way.
    case persistFailed(LockTicket)
    /// Who is there now; sent with every change.
    case members([LockMember])
    /// Open a session that keeps these claims, and releases all others that the node still holds.
    case openSession(keeping: [(TaskID, FencingToken)])
    /// Ask for tasks, `LockConfiguration.operationsMax` at most; each is answered by `granted` or
    /// `denied`.
    case acquire([AcquireRequest])
    /// Give a claim back, not to be granted again before this much time has passed; its attempt
    /// ended so, or never ran (`nil`).
    case release(TaskID, FencingToken, after: AttemptEnd? = .loss, notBefore: Duration)
    /// End a task for good; without a token, a task that nobody holds: its birth tells whether it
    /// was collected.
    case close(TaskID, FencingToken?, TaskOutcome, birth: BirthDot? = nil)
    /// Declare a node gone for good; refused while its session lives.
    case forget(NodeID)
    /// Change who may speak in the cluster; answered by `amendmentAnswered`, once the lock does.
    case amend(Amendment.Change)
    /// The amendments that this node knows have this fingerprint.
    case amendmentsKnown(UInt64)
    /// These tasks are collected: their entries may shrink to intervals.
    case collected([BirthDot])
    /// The node is going to leave: give up its vote, then say `leftVoters`.
    case leaveVoters
    /// The node has signed what `signFloor` asked for.
    case floorSigned(LockFloor)
    /// The signature that `checkFloor` asked about is its signer's.
    case floorChecked(LockFloor)
    /// A majority of the voters is lost for good: begin a new generation of the lock here, with what
    /// this node knows; answered by `generationBegan` or `recoveryRefused`.
    case recover(LockRecovery)
    /// The daemon is about to stop for a while: if this node leads, let another voter lead.
    case yieldLeadership
    /// Let the lease lapse, open no other session, and be silent as a voter: another machine has
    /// the same identity.
    case halt
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Everything that the lock of one node can ask of its surroundings, or tell.
package enum LockEffect: Sendable {
    /// Send a message to another node's lock; it may be lost.
    case send([UInt8], to: NodeID)
    /// Write to disk, then answer `persisted`.
    case persist([DurableWrite], LockTicket)
    /// The claim is this node's, as long as the session lives, for the attempt with this count.
    case granted(TaskID, FencingToken, SessionID, AttemptCount)
    /// The claim was not granted.
    case denied(TaskID, LockDenial)
    /// A session is open; of the claims that were named, it keeps these.
    case sessionOpened(SessionID, kept: [(TaskID, FencingToken)], leaseUntil: Instant)
    /// So many claims of this node were made on another machine, or in another copy of its data
    /// directory: they wait for that one, or for `forget` while this node is down.
    case claimsElsewhere(Int)
    /// The lease is good until then.
    case leaseExtended(SessionID, until: Instant)
    /// The lease has ended: nothing may run under it any more. The session is dead for good.
    case sessionLapsed(SessionID)
    /// The lock has taken the claim back, or it was not this node's any more.
    case released(TaskID, FencingToken)
    /// This end of the task is committed; it may be another's than the one that was asked for.
    case closed(TaskID, FencingToken?, TaskOutcome)
    /// A node's session has expired in the log, and these claims of it are void.
    case gone(NodeID, SessionID, tokens: [(TaskID, FencingToken)])
    /// The lock has declared the node gone, or refuses to, since its session lives.
    case forgotten(NodeID, isRefused: Bool)
    /// The lock has agreed on this change of the ring of keys, as this node's log says; said again
    /// for those that were known already when the log came from elsewhere.
    case amended(Amendment)
    /// What the lock made of the change that this node has asked for.
    case amendmentAnswered(Amendment.Change, LockAmendmentAnswer)
    /// A member does not know all amendments: show them to it.
    case showAmendments(to: NodeID)
    /// The log or a snapshot holds what this version can't read: the node has no part in the lock
    /// any more, but as a client.
    case logUnreadable
    /// Sign `LockFloor.statement` of this mark with the node's key; answered by `floorSigned`.
    case signFloor(FencingToken)
    /// Check the signature; answered by `floorChecked` if it is good.
    case checkFloor(LockFloor)
    /// This voter's log lacks committed entries, as if its disk had been restored from a copy: it
    /// does not lead until another voter has brought it up to date.
    case logBehind
    /// The lock has begun anew, here or elsewhere, and this node belongs to it: open a session.
    case generationBegan(UInt32)
    /// No new generation: a majority of this one's voters is alive.
    case recoveryRefused
    /// The voters have changed.
    case votersChanged([NodeID])
    /// Who leads, as far as this node knows.
    case leaderChanged(NodeID?)
    /// The node has no vote any more, and may leave.
    case leftVoters
}

/// What the lock makes of a wish to change the ring of keys.
package enum LockAmendmentAnswer: Hashable, Sendable {
    /// It is agreed, now or earlier.
    case agreed
    /// The asking node may not speak any more itself.
    case refused
    /// So many changes were agreed that there is no room for another one.
    case full
    /// Another change of the same thing came first.
    case overtaken

    init(_ result: LockResult) {
        switch result {
        case .done: self = .agreed
        case .full: self = .full
        case .overtaken: self = .overtaken
        default: self = .refused
        }
    }
}

/// Names a write of the lock; counts from 1.
package struct LockTicket: Hashable, Comparable, Sendable {
    /// The count.
    package var value: UInt64

    /// Makes a ticket.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by time of issue.
    package static func < (left: LockTicket, right: LockTicket) -> Bool {
        left.value < right.value
    }
}

/// A task that a node asks for.
package struct AcquireRequest: Hashable, Sendable {
    /// The task.
    package var task: TaskID
    /// Its birth dot, by which it is known after its collection.
    package var birth: BirthDot
    /// When it may run again.
    package var restart: RestartPolicy
    /// How many attempts it has at most; `nil` for no limit but that of its policy.
    package var attemptsMax: UInt32?
    /// What happens to its claim when the holder is cut off.
    package var onPartition: PartitionPolicy

    /// Makes a request.
    package init(
        task: TaskID, birth: BirthDot, restart: RestartPolicy, attemptsMax: UInt32? = nil,
        onPartition: PartitionPolicy
    ) {
        self.task = task
        self.birth = birth
        self.restart = restart
        self.attemptsMax = attemptsMax
        self.onPartition = onPartition
    }

    /// Whether the task ends when the attempt with this count is lost.
    func isLast(_ count: AttemptCount) -> Bool {
        attemptsMax.map { count.used >= $0 } == true
            || !restart.allows(.loss, failures: count.failures)
    }
}

/// Why a claim was not granted.
package enum LockDenial: Hashable, Sendable {
    /// Another session has it; its lease ends after `retryAfter` at the earliest.
    case heldBy(NodeID, FencingToken, retryAfter: Duration)
    /// The task has ended so.
    case closed(TaskOutcome, FencingToken?)
    /// The task rests after a failure.
    case notBefore(Duration)
    /// The task has ended, and was collected.
    case collected
    /// The asking node's session is not alive.
    case noSession
}

/// A node's right to hold claims.
package struct LockSession: Hashable, Sendable {
    /// The session.
    package var id: SessionID
    /// When the lease ends, on this node's clock, the kill's grace included.
    package var leaseUntil: Instant

    /// Makes a session.
    package init(id: SessionID, leaseUntil: Instant) {
        self.id = id
        self.leaseUntil = leaseUntil
    }
}

/// What the choice of voters needs to know about a member.
package struct LockMember: Hashable, Sendable {
    /// How a member looks.
    package enum State: Hashable, Sendable {
        /// Answers probes.
        case alive
        /// Did not answer; has time to refute.
        case suspect
        /// Did not answer in time.
        case dead
        /// Said goodbye.
        case left
    }

    /// The member.
    package var id: NodeID
    /// How it looks from here.
    package var state: State
    /// Since when it looks so.
    package var since: Instant
    /// What may fail together with it, if its operator says so: voters spread over zones.
    package var zone: String?

    /// Makes a member.
    package init(id: NodeID, state: State, since: Instant, zone: String? = nil) {
        self.id = id
        self.state = state
        self.since = since
        self.zone = zone
    }

    /// Whether messages to it make sense.
    var isInReach: Bool { state == .alive || state == .suspect }
}
