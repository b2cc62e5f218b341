/// Known bugs of Raft implementations, to be put back by tests: each must be caught.
package enum RaftMutation: String, Hashable, Sendable, CaseIterable {
    // MARK: Elections

    /// Votes without comparing logs (paper §5.4.1).
    case votesWithoutLogCheck
    /// Forgets its vote within a term.
    case votesTwice
    /// Sends its vote before that is on disk.
    case votesBeforeDisk
    /// Leads, as the only voter, before its own vote is on disk.
    case leadsOnUnwrittenVote
    /// Begins a term without asking first whether it could win (thesis §9.6).
    case skipsPreVote
    /// Counts grants of an earlier round of pre-votes.
    case countsStalePreVotes
    /// Helps a candidate though a leader lives (thesis §4.2.3).
    case disturbsLeaders
    /// Leads on although no majority answers (thesis §6.2).
    case leadsWithoutQuorum

    // MARK: Replication

    /// Commits an entry of an older term by counting replicas (paper §5.4.2, figure 8).
    case commitsOldTerms
    /// Counts its own entries before they are on disk.
    case countsUnpersisted
    /// Acknowledges entries before they are on disk.
    case answersBeforeDisk
    /// Acknowledges its whole log instead of the part that was compared with the leader's.
    case answersLastIndex
    /// Commits what the leader has committed, whether or not it has been compared.
    case commitsUnchecked
    /// Cuts its log behind every append, also behind an old copy of one.
    case truncatesAlways
    /// Keeps the members that a replaced entry named (paper §6).
    case keepsLostMembers

    // MARK: Snapshots

    /// Keeps its log behind a snapshot that contradicts it (paper §7).
    case keepsLogBehindSnapshot
    /// Puts the parts of two leaders' snapshots together.
    case mixesSnapshots
    /// Does not begin again when a receiver has lost the parts that it had.
    case forgetsRestartedReceivers

    // MARK: Members

    /// Begins a change of members while another one is under way.
    case overlapsChanges
    /// Goes from old voters to new ones without a joint configuration (paper §6).
    case skipsJoint
    /// Counts one majority of both sides of a joint configuration.
    case countsJointAsOne
    /// Stops campaigning as soon as it is removed, committed or not (thesis §4.2.2).
    case leavesTooEarly
    /// Makes learners voters before they have caught up (thesis §4.2.1).
    case promotesAtOnce

    // MARK: Reads and handing over

    /// Answers reads without asking a majority.
    case readsUnconfirmed
    /// Lets answers to an older round confirm a read.
    case readsWithOldRound
    /// Reads before an entry of its own term is committed (thesis §6.4).
    case readsBeforeOwnEntry
    /// Makes a voter campaign that lacks entries (thesis §3.10).
    case transfersTooEarly
}
