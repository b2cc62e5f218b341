/// Known bugs of other implementations of membership, to be put back by tests: each must be caught.
package enum GossipMutation: String, Hashable, Sendable, CaseIterable {
    /// Who was seen dead once stays dead, whatever it says: after a mass restart live nodes are seen
    /// dead (memberlist#311).
    case leavesDeadForGood
    /// An old view of a member, heard again, brings the dead back (memberlist#312).
    case revivesByOldView
    /// Who has left is taken for dead, and so is never let go (memberlist#253).
    case takesLeftForDead
    /// News comes first: as long as some is waiting, payloads are not sent (memberlist#299).
    case starvesPayloads
    /// Who was dead for a day is not tried any more (serf#605).
    case stopsReconnecting
    /// One packet that can't be read ends the receiving of all.
    case stopsAtMalformed
    /// A suspicion that a node hears of itself is obeyed instead of refuted.
    case obeysSuspicion
    /// The newest life of a node is believed without asking the one that is known: a copy of a data
    /// directory shuts out the original.
    case believesNewest
    /// Any answer of the known life counts, also one to an earlier question: a node that has moved
    /// is refused for a life that is over.
    case believesOldAnswers
    /// A node stops on the word of a member alone: whoever has that member's key stops all others.
    case obeysRefusal
    /// Any member lets nodes in by any token, without asking the one that made it: a token is used
    /// more often than it may, and after it was taken back.
    case admitsByAnyToken
    /// Any member's word on who is shut out is believed, not only a voter's: whoever has one
    /// member's key shuts out all others.
    case believesAnyAmendment
    /// Who was shut out is still heard.
    case hearsEvicted
}
