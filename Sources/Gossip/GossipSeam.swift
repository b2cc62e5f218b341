package import Model

/// Everything that can happen to a node's membership.
package enum GossipEvent: Sendable {
    /// Bytes arrived from anybody.
    case received([UInt8], from: PeerAddress, via: Channel)
    /// Another part of the node says something to a member.
    case send(payload: [UInt8], to: NodeID, via: Channel)
    /// Join the token's cluster by way of these seeds; ends with `joined`, `joinRefused` or
    /// `joinUnreachable`.
    case join(seeds: [PeerAddress], token: JoinToken)
    /// Say goodbye; ends with `left`.
    case leave
    /// What this node tells about itself has changed.
    case updateMetadata(NodeMetadata)
    /// The lock has agreed on a change of the ring of keys, as this node's own log says.
    case amend(Amendment)
    /// A member lacks some of these: show them to it.
    case showAmendments([Amendment], to: NodeID)
    /// These vote in the lock, as far as this node knows: what they sign of amendments is believed.
    case voters([NodeID])
    /// The wall clock shows this; only expiry of tokens depends on it.
    case wallClock(WallTime)
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Everything that a node's membership can ask of its surroundings, or tell.
package enum GossipEffect: Sendable {
    /// Send bytes to the node that is said to be there; they may be lost.
    ///
    /// A stream is to end at that node's key, or at any when it is `.none`: seeds are not known yet.
    case send([UInt8], to: PeerAddress, of: NodeID, via: Channel)
    /// A member says this to another part of this node; verified, and not a replay.
    case deliver([UInt8], from: NodeID, via: Channel)
    /// A member's state, address or metadata has changed; `previous` is `nil` for a new one.
    case memberChanged(MemberInfo, previous: MembershipState?)
    /// Write to disk; nobody waits for it.
    case persist([DurableWrite])
    /// This node is a member now.
    case joined
    /// A seed refused.
    case joinRefused(JoinRefusal)
    /// No seed answered.
    case joinUnreachable
    /// Bytes were dropped, for this reason.
    case dropped(reason: String)
    /// Another daemon with this node's key is alive at that address. It is the younger one, and the
    /// cluster goes on with this one.
    case cloneRefused(at: PeerAddress)
    /// Another daemon with this node's key is alive at that address, and is the elder: this one
    /// has stopped, says nothing more and hears nothing more.
    case refusedAsClone(of: PeerAddress, since: WallTime)
    /// The goodbye is said.
    case left
    /// The ring of keys has changed: these are known to be shut out now, and were not before.
    case amended(Amendment)
    /// The node speaks under this key from now on; the one before is worth nothing.
    case keyRenewed(PublicKey)
    /// Somebody else has renewed this node's key, and speaks for it from now on: this one says
    /// nothing more and hears nothing more.
    case superseded
    /// This node is shut out for good: it says nothing more and hears nothing more.
    case shutOut(Amendment)
}

/// Why a seed refuses a joiner.
package enum JoinRefusal: UInt8, Hashable, Sendable, Error {
    /// The token is for another cluster.
    case wrongCluster = 1
    /// The token has expired.
    case expiredToken = 2
    /// No member made the token, or the joiner does not know its secret.
    case badToken = 3
    /// The cluster has as many members as it can have.
    case full = 4
    /// The joiner's description of itself can't be read or is not signed by its key.
    case malformed = 5
    /// The seed does not know the member that made the token, at least not yet.
    case unknownInviter = 6
    /// The member that made the token has been asked: it alone lets nodes in by it, and its answer
    /// may still come.
    case inviterAsked = 7
    /// The token was taken back.
    case revokedToken = 8
    /// The token has let in as many nodes as it may.
    case usedToken = 9
    /// The joiner's key was shut out of the cluster for good.
    case evicted = 10
    /// The member that made the token was shut out, and its tokens with it.
    case evictedInviter = 11
    /// The joiner is a member, and has another key by now.
    case retiredKey = 12

    /// Whether the joiner may still be let in without showing another token.
    var isProvisional: Bool { self == .unknownInviter || self == .inviterAsked }
}

/// How a member looks.
package enum MembershipState: UInt8, Hashable, Sendable {
    /// Answers probes.
    case alive = 1
    /// Did not answer; has time to refute.
    case suspect = 2
    /// Did not refute in time.
    case dead = 3
    /// Said goodbye.
    case left = 4
    /// Is shut out for good, or was let in by somebody who is.
    case evicted = 5
}

/// One line of the membership view.
package struct MemberInfo: Hashable, Sendable {
    /// The member.
    package var id: NodeID
    /// Where it listens.
    package var address: PeerAddress
    /// What it tells about itself.
    package var metadata: NodeMetadata
    /// Its own count of refutations and changes.
    package var incarnation: UInt64
    /// The life in which it last said so.
    package var bootID: BootID
    /// How it looks from here.
    package var state: MembershipState
    /// Since when it looks so, on this node's clock.
    package var stateSince: Instant

    /// Its name, for people.
    package var name: String { metadata.name }
}
