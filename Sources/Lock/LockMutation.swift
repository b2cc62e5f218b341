/// Rules of the lock that tests break one by one: each must be noticed.
///
/// `Docs/Safety.md` names the schedule that breaks without each rule.
package enum LockMutation: String, Hashable, Sendable, CaseIterable {
    // MARK: The table

    /// Grants a claim under a token that is not larger than the last one (≥ for >).
    case repeatsToken
    /// Grants a task that another session holds.
    case grantsHeldTasks
    /// Applies a repeated request once more.
    case appliesRepetitions
    /// Takes a request of an earlier life of its node for a new one.
    case forgetsEarlierLives
    /// Lets a later close replace the first one.
    case reopensClosed
    /// Grants a task that was collected.
    case grantsCollected
    /// Frees claims that wait for their node when its session expires.
    case freesWaiting
    /// Declares a node gone whose session lives.
    case forgetsLiving
    /// Lets any opening take the place of a node's session, without naming it.
    case opensUnnamed

    /// Lets a later succession of keys take the place of an earlier one.
    case renewsTwice
    /// Goes on serving whoever was shut out, and renews its lease.
    case servesEvicted

    // MARK: The leader

    /// Answers a renewal without asking a majority whether it still leads.
    case renewsUnconfirmed
    /// Expires sessions as soon as it leads, without waiting a lease.
    case expiresAtOnce
    /// Waits only for leases of the present length after it has taken over.
    case forgetsLongLeases
    /// Goes on renewing a session whose expiry it has proposed.
    case renewsExpiring
    /// Frees what an opening does not name at once, though somebody else may run it.
    case freesAtOpening
    /// Takes whoever opens a session for the machine on which the node's claims were made.
    case freesForCopies
    /// Shuts voters out without choosing others first.
    case evictsSeated
    /// Renews a session while an opening in its place is under way.
    case renewsReplaced
    /// Goes on with its own table when it can't read an entry of the log.
    case skipsUnreadable

    /// Campaigns, and votes for others, without what is known to be committed.
    case leadsBehind
    /// Votes from a copied disk, beside the voter that it was copied from.
    case votesAsCopy

    // MARK: The holder

    /// Lets a holder trust its lease for twice its length.
    case holdsTooLong
    /// Counts the lease from the answer, not from the sending.
    case countsFromAnswer
    /// Lets a late renewal bring a lapsed session back.
    case revivesLapsed
    /// Takes a grant for a session that is gone.
    case takesLateGrants
    /// Looks at the time only when its own deadline is reached.
    case trustsLateClock
    /// Believes whoever answers, asked or not.
    case believesAnybody

    // MARK: Generations

    /// Takes messages of a generation that was given up.
    case heedsOldGenerations
    /// Grants at once in a new generation.
    case grantsWhileRecovering
    /// Enters a new generation while a majority of the old one is alive.
    case recoversWhileInTouch
}
