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
        let former = table.updateValue(member, forKey: member.id)
        fingerprint ^= (former?.fingerprint ?? 0) ^ member.fingerprint
        livingCount +=
            (member.state.isProbed ? 1 : 0) - (former?.state.isProbed == true ? 1 : 0)
        guard former == nil else { return }
        order.insert(member.id, at: order.firstIndex { $0 > member.id } ?? order.count)
        if member.id != id {
            // Newcomers take their turn at a random place of the round (SWIM §4.3).
            let place = Int(random.next() % UInt64(probeRing.count + 1))
            probeRing.insert(member.id, at: place)
        }
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
        order.filter { node in
            node != id && table[node].map { isWanted($0.state) } == true
        }
    }

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
