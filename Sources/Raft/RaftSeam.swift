package import Model

/// Everything that can happen to an engine.
package enum RaftEvent: Sendable {
    /// A message arrived; the sender is verified, the content is not.
    case received(RaftMessage, from: NodeID)
    /// The write that the ticket names is on disk.
    case persisted(RaftTicket)
    /// The application wants a command in the log; answered by `proposed` or `dropped`.
    case propose([UInt8], context: UInt64)
    /// The leader should change the voters to these; ignored while another change is under way.
    case proposeMembers(voters: [NodeID])
    /// The application wants to know from which index on its state is current; answered by
    /// `readReady` or `readDropped`.
    case readIndex(context: UInt64)
    /// The application's state up to `upTo` is this; entries up to there may go.
    case compact(upTo: UInt64, snapshot: [UInt8])
    /// The leader should hand over to this voter.
    case transferLeadership(NodeID)
    /// A new log begins with these voters; on an empty disk only.
    case bootstrap(voters: [NodeID])
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Everything that an engine can ask of its surroundings.
///
/// Messages that depend on something durable are held back until it is; the others may go out
/// while the disk is still busy. Writes are performed in order, each whole.
package enum RaftEffect: Sendable {
    /// Send a message; it may be lost, doubled or late.
    case send(RaftMessage, to: NodeID)
    /// Write to disk, then answer `persisted`.
    case persist(RaftWrite, RaftTicket)
    /// A committed command, in order, each once per life of the engine.
    case apply(index: UInt64, term: UInt64, payload: [UInt8])
    /// Everything up to this index has been applied, entries without a command included.
    case applied(upTo: UInt64)
    /// Forget the state, and go on from this one.
    case installSnapshot(index: UInt64, term: UInt64, payload: [UInt8])
    /// The command of this context stands in the leader's log at this index.
    case proposed(context: UInt64, index: UInt64)
    /// This node does not lead: the command was not taken; ask `leader`, if known.
    case dropped(context: UInt64, leader: NodeID?)
    /// Once everything up to `index` is applied, the state is as new as the request.
    case readReady(context: UInt64, index: UInt64)
    /// Leadership ended before the read was confirmed.
    case readDropped(context: UInt64)
    /// Who leads, as far as this node knows.
    case leaderChanged(NodeID?, term: UInt64)
    /// The members in force have changed.
    case membersChanged(RaftMembers)
}

/// The time-outs of an engine.
package struct RaftConfiguration: Hashable, Sendable {
    /// How often a leader shows that it lives.
    package var heartbeatInterval: Duration
    /// The shortest silence after which a follower campaigns.
    ///
    /// At least ten round trips, and several heartbeats. The wait is drawn between this and twice this.
    package var electionTimeout: Duration
    /// The most `append` messages with entries that wait for one follower's answer.
    package var inflightMax = 8
    /// The most entries in one `append`; 1...`RaftMessage.entriesCountMax`.
    package var batchCountMax = RaftMessage.entriesCountMax
    /// The most bytes in one part of a snapshot; 1...`RaftMessage.chunkSizeBytesMax`.
    package var chunkSizeBytes = RaftMessage.chunkSizeBytesMax
    /// The most entries that are in a leader's log, but not committed; more are dropped.
    package var uncommittedMax: UInt64 = 65_536
    /// The most bytes of such entries: a leader that is cut off must not fill its memory.
    package var uncommittedSizeBytesMax: UInt64 = 64 << 20
    /// The most reads that wait for confirmation.
    package var readsMax = 4_096
    /// How many entries a learner may lack and still become a voter.
    package var catchUpMargin: UInt64 = 64
    /// Breaks one rule on purpose, for tests that must notice.
    package var mutation: RaftMutation?

    /// Makes a configuration.
    package init(heartbeatInterval: Duration, electionTimeout: Duration) {
        self.heartbeatInterval = heartbeatInterval
        self.electionTimeout = electionTimeout
    }

    /// The time-outs that suit a kind of network.
    package init(profile: TimingProfile) {
        switch profile {
        case .local:
            self.init(heartbeatInterval: .milliseconds(60), electionTimeout: .milliseconds(400))
        case .lan:
            self.init(heartbeatInterval: .milliseconds(150), electionTimeout: .seconds(1))
        case .wan:
            self.init(heartbeatInterval: .milliseconds(600), electionTimeout: .seconds(4))
        }
    }
}
