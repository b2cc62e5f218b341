/// Data-loss bugs of other replicated tables, to be put back by tests: each must be caught.
package enum TableMutation: String, Hashable, Sendable, CaseIterable {
    /// A context that knows the highest change alone claims all before it, though a message was cut
    /// or lost (delta_crdt_ex#65).
    case claimsBelowHighest
    /// What a peer does not have is taken for removed (akka.net#8219).
    case readsAbsenceAsRemoval
    /// What was collected is not remembered, and so comes back (chitchat#121).
    case forgetsCollected
    /// A replica counts from the start again under its old name (riak_kv#679).
    case reusesOrigin
    /// A change of a row is applied to another row than it was made upon (phoenix_pubsub#111).
    case mergesWithGaps
    /// A full state replaces what is known, though it is older (phoenix_pubsub#148).
    case replacesByOlder
    /// What does not fit a datagram is not sent at all, and nobody is told.
    case dropsOversized
    /// Copies are counted when they are sent, not when they are acknowledged.
    case countsCopiesOnSend
}
