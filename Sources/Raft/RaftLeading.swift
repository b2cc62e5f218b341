import Model

/// What only a leader keeps: how far each member is, and what waits for them.
struct RaftLeading: Sendable {
    /// How far a member's log is known to agree, and what is under way to it.
    struct Progress: Sendable {
        /// The last entry that the member has on disk.
        var matchIndex: UInt64 = 0
        /// The next entry to send.
        var nextIndex: UInt64
        /// Whether `nextIndex` is a guess: then one message at a time is sent.
        var isProbing = true
        /// The appends with entries that wait for an answer: the last index of each.
        var inflight: [UInt64] = []
        /// The last heartbeat round that the member answered.
        var answeredRound: UInt64 = 0
        /// How many heartbeats have gone to the member since it last answered anything.
        var unansweredHeartbeats = 0
        /// How much of the snapshot the member holds, while it gets one.
        var snapshot: (index: UInt64, sentBytes: UInt64)?

        /// After so many heartbeats without an answer a member gets nothing but heartbeats.
        static let unansweredHeartbeatsMax = 8

        /// Whether the member seems not to be there: what it lacks is sent once it answers.
        var isSilent: Bool { unansweredHeartbeats > Progress.unansweredHeartbeatsMax }
    }

    /// A read that waits until a majority has confirmed the leader.
    struct Read: Sendable {
        var context: UInt64
        var index: UInt64
        /// The heartbeat round that began after the request.
        var round: UInt64
    }

    /// A change of voters that waits for its learners to catch up.
    struct Change: Sendable {
        var voters: [NodeID]
    }

    var progress: [NodeID: Progress] = [:]
    /// Counts heartbeat rounds; answers name the round that they answer.
    var round: UInt64 = 0
    /// The round at the start of the last election time-out, and when that ends (check-quorum).
    var quorumRound: UInt64 = 0
    var quorumDeadline: Instant
    var reads: [Read] = []
    /// Reads that wait until an entry of this term is committed.
    var earlyReads: [UInt64] = []
    var change: Change?
    var transferTarget: NodeID?
    /// The entry that began this term.
    var firstIndexOfTerm: UInt64
}
