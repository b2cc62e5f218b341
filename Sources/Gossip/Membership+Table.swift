import Model

/// The table of members, and the figures that follow from it.
extension Membership {
    /// Adds a member or replaces what is known of it.
    mutating func place(_ member: Member) {
        revision += 1
        if member.suspicion == nil {
            suspects.remove(member.id)
        } else {
            suspects.insert(member.id)
        }
        let former = table.put(member)
        fingerprint ^= (former?.fingerprint ?? 0) ^ member.fingerprint
        guard former == nil, member.id != id else { return }
        // Newcomers take their turn at a random place of the round (SWIM §4.3).
        let place = Int(random.next() % UInt64(probeRing.count + 1))
        probeRing.insert(member.id, at: place)
    }

    /// Moves a member to a state, and tells.
    mutating func change(
        _ member: inout Member, to state: MembershipState, emit: (GossipEffect) -> Void
    ) {
        let previous = member.state
        member.state = state
        if previous != state { member.stateSince = now }
        place(member)
        emit(.memberChanged(member.info, previous: previous))
    }

    /// The other members in such a state, in order of their IDs.
    func others(where isWanted: (MembershipState) -> Bool) -> [NodeID] {
        table.nodes(where: isWanted).filter { $0 != id }
    }

    /// How many others are alive or suspect.
    var livingOthersCount: Int {
        livingCount - (table.state(of: id)?.isProbed == true ? 1 : 0)
    }

    /// A few of the other members that are alive or suspect, drawn at random.
    ///
    /// Looks at all of them only where there are few, or most could not be drawn: in a large cluster
    /// the cost does not grow with it.
    mutating func drawOthers(_ count: Int) -> [NodeID] {
        guard isLarge, 2 * livingOthersCount > table.count, livingOthersCount > 4 * count else {
            return Array(others(where: \.isProbed).shuffled(using: &random).prefix(count))
        }
        var drawn: [NodeID] = []
        while drawn.count < count {
            let node = table.node(at: Int(random.next() % UInt64(table.count)))
            guard node != id, table.state(of: node)?.isProbed == true, !drawn.contains(node)
            else { continue }
            drawn.append(node)
        }
        return drawn
    }

    /// One of the other members that are alive or suspect, drawn at random.
    mutating func drawOther() -> NodeID? {
        isLarge ? drawOthers(1).first : others(where: \.isProbed).randomElement(using: &random)
    }

    /// Whether there are so many members that looking at all of them for one choice is waste.
    var isLarge: Bool { table.count > GossipConfiguration.smallMembersMax }

    /// Takes note that a member was heard of at first hand.
    mutating func heard(from node: NodeID) {
        lives[node]?.lastHeard = now
        guard recentlyHeard.first != node else { return }
        if let place = recentlyHeard.firstIndex(of: node) {
            recentlyHeard.remove(at: place)
        } else if recentlyHeard.count >= Membership.recentlyHeardMax {
            recentlyHeard.removeLast()
        }
        recentlyHeard.insert(node, at: 0)
    }

    /// How many members are remembered as heard of last; a few times as many as help with a probe.
    static let recentlyHeardMax = 16

    /// How often each rumour is told.
    var tellingsMax: Int {
        let tellings =
            configuration.retransmitFactor * Logarithm.scale(livingCount + 1).rounded(.up)
        return max(Int(tellings), configuration.retransmitMin)
    }
}

extension MembershipState {
    /// Whether such a member is probed in the rounds.
    var isProbed: Bool {
        switch self {
        case .alive, .suspect: true
        case .dead, .left, .evicted: false
        }
    }
}
