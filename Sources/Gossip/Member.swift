import Model

/// What this node keeps about another member.
struct Member: Sendable {
    /// The newest thing that it said of itself.
    var alive: AliveStatement
    var metadata: NodeMetadata
    var state: MembershipState
    var stateSince: Instant
    /// Its goodbye, once it has said one; it holds until the member says that it is alive again,
    /// with a higher incarnation.
    var leave: LeaveStatement?
    /// Why it is suspect or dead; shown to it, so that it can refute.
    ///
    /// This node's own accusation, or the first foreign one until there is an own one.
    var accusation: SuspectStatement?
    var suspicion: Suspicion?
    /// The incarnation at which it has answered a foreign suspicion in person.
    var clearedIncarnation: UInt64?
    /// Who has accused it since, at that incarnation: a reason to look, and witnesses should the
    /// own probe fail.
    var doubters: [NodeID] = []

    /// How many accusers of a cleared member are told apart.
    static let doubtersMax = 4

    var words: RateLimit?

    /// Whether one more change of its word is taken in now; asked once it is known to be genuine.
    mutating func admitsWord(at now: Instant) -> Bool {
        var current =
            words ?? RateLimit(perSecond: GossipConfiguration.wordsPerSecondMax, at: now)
        defer { words = current }
        return current.admits(at: now)
    }

    /// Takes over what does not depend on what it said last.
    mutating func inherit(from former: Member) {
        words = former.words
        if former.state == state { stateSince = former.stateSince }
    }

    var id: NodeID { alive.subject }
    var incarnation: UInt64 { alive.incarnation }

    var info: MemberInfo {
        MemberInfo(
            id: id, address: alive.address, metadata: metadata, incarnation: incarnation,
            bootID: alive.boot, state: state, stateSince: stateSince)
    }

    /// Whether its goodbye is newer than everything else that it said.
    var hasLeft: Bool { leave.map { $0.incarnation >= incarnation } ?? false }

    /// A number that two nodes share for this member when both have heard the same from it.
    ///
    /// Opinions of single nodes, like suspicion, are no part of it.
    var fingerprint: UInt64 {
        // Nobody hears from it any more: each keeps what it has heard last.
        guard state != .evicted else { return 0 }
        var mixer = SeededGenerator(
            seed: alive.subject.value.high ^ alive.subject.value.low &* 0x9E37_79B9_7F4A_7C15)
        var mixed = mixer.next()
        for word in [incarnation, alive.boot.value, leave.map { $0.incarnation &+ 1 } ?? 0] {
            mixer = SeededGenerator(seed: mixed ^ word)
            mixed = mixer.next()
        }
        return mixed
    }
}
