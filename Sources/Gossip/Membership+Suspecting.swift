import Model

/// Suspicion, refutation and death. Source: SWIM §4.2; Lifeguard §IV.B and §IV.C.
///
/// Nobody's word kills: a foreign suspicion starts the own timer and an own probe, and the member
/// is dead here when the timer has run out and the own probe has failed.
extension Membership {
    /// This node's own probe has failed.
    mutating func probeFailed(_ node: NodeID, emit: (GossipEffect) -> Void) {
        guard var member = table[node], member.state.isProbed, let ring else { return }
        if member.accusation?.accuser != id || member.accusation?.incarnation != member.incarnation
        {
            var accusation = SuspectStatement(
                subject: node, incarnation: member.incarnation, accuser: id)
            accusation.signature = key.sign(accusation.statement(in: ring.cluster))
            member.accusation = accusation
        }
        let isNews: Bool
        if var suspicion = member.suspicion {
            // A suspicion of an earlier life names this node already, but was never told.
            isNews =
                !suspicion.isProbed
                && (suspicion.witnesses.contains(id) || suspicion.confirm(by: id))
            suspicion.isProbed = true
            member.suspicion = suspicion
            place(member)
        } else {
            isNews = true
            var suspicion = suspicion(by: id, amongst: livingCount)
            suspicion.isProbed = true
            for doubter in member.doubters { _ = suspicion.confirm(by: doubter) }
            member.doubters = []
            member.suspicion = suspicion
            change(&member, to: .suspect, emit: emit)
        }
        if isNews, let accusation = member.accusation { spread(.suspect(accusation)) }
        // As long as it is a suspect it is asked again and again: it may have been bad luck.
        probes.enqueue(node)
    }

    /// Another member's probe has failed; returns whether its accusation is genuine, or of no
    /// interest.
    mutating func heardSuspicion(
        _ statement: SuspectStatement, emit: (GossipEffect) -> Void
    ) -> Bool {
        if statement.subject == id { return refute(statement, emit: emit) }
        guard var member = table[statement.subject], statement.accuser != id,
            statement.accuser != statement.subject, statement.incarnation == member.incarnation,
            isNews(statement, about: member)
        else { return true }
        guard let ring,
            ring.verify(
                statement.signature, of: statement.statement(in: ring.cluster),
                by: statement.accuser)
        else { return ring?[statement.accuser] == nil }
        if member.state == .suspect {
            _ = member.suspicion?.confirm(by: statement.accuser)
            place(member)
        } else if member.clearedIncarnation == member.incarnation {
            // It has answered in person at this incarnation: that is looked at, not believed.
            member.doubters.append(statement.accuser)
            place(member)
            probeSoon(member.id)
            return true
        } else {
            member.accusation = statement
            member.suspicion = suspicion(by: statement.accuser, amongst: livingCount)
            change(&member, to: .suspect, emit: emit)
        }
        probeSoon(member.id)
        spread(.suspect(statement))
        return true
    }

    /// Asked before a signature is verified: most accusations are heard many times.
    private func isNews(_ statement: SuspectStatement, about member: Member) -> Bool {
        switch member.state {
        case .suspect: return member.suspicion?.isNews(statement.accuser) ?? false
        case .dead, .left, .evicted: return false
        case .alive:
            guard member.clearedIncarnation == member.incarnation else { return true }
            return member.doubters.count < Member.doubtersMax
                && !member.doubters.contains(statement.accuser)
        }
    }

    /// This node is accused: it says that it is alive.
    ///
    /// Only an accusation of the incarnation that it really has counts: nobody else may drive its
    /// incarnation up, least of all to its end.
    private mutating func refute(
        _ statement: SuspectStatement, emit: (GossipEffect) -> Void
    ) -> Bool {
        guard let ring, leaving == nil, statement.incarnation == own.incarnation,
            statement.accuser != id, ring[statement.accuser] != nil
        else { return true }
        guard
            ring.verify(
                statement.signature, of: statement.statement(in: ring.cluster),
                by: statement.accuser)
        else { return false }
        if configuration.mutation == .obeysSuspicion {
            leave(emit: emit)
            return true
        }
        guard refutations.admits(at: now) else {
            emit(.dropped(reason: "busy"))
            return true
        }
        health.wasSuspected()
        restate(above: statement.incarnation, emit: emit)
        return true
    }

    /// A suspicion that begins now; `count` nodes are there, this one and the suspect included.
    func suspicion(by witness: NodeID, amongst count: Int) -> Suspicion {
        let shortest =
            configuration.probeInterval * (configuration.suspicionFactor * Logarithm.scale(count))
        return Suspicion(
            at: now, witness: witness, shortest: shortest,
            longest: shortest * configuration.suspicionStretch,
            confirmationsNeeded: max(0, min(configuration.confirmationsNeeded, count - 2)))
    }

    /// The member has answered in person: it is alive, whatever was said.
    mutating func clear(_ node: NodeID, emit: (GossipEffect) -> Void) {
        guard var member = table[node] else { return }
        switch member.state {
        case .left, .evicted: return
        case .dead where configuration.mutation == .leavesDeadForGood: return
        case .alive:
            guard !member.doubters.isEmpty else { return }
            member.doubters = []
            place(member)
        case .suspect, .dead:
            let wasDead = member.state == .dead
            if wasDead || member.suspicion?.witnesses.contains(where: { $0 != id }) == true {
                member.clearedIncarnation = member.incarnation
            }
            member.suspicion = nil
            member.accusation = nil
            change(&member, to: .alive, emit: emit)
            // It has missed news while it was away, and so have we.
            if wasDead { sendView(to: node, wantsReply: true, emit: emit) }
        }
    }

    /// When the next suspicion ends; those without an own probe wait for that first.
    var nextVerdict: Instant? {
        var next: Instant?
        for node in suspects {
            guard let suspicion = table[node]?.suspicion, suspicion.isProbed else { continue }
            next = min(next ?? .distantFuture, suspicion.deadline)
        }
        return next
    }

    /// Declares dead whose time is over.
    mutating func checkSuspicions(emit: (GossipEffect) -> Void) {
        for node in suspects.sorted() {
            guard var member = table[node], let suspicion = member.suspicion,
                suspicion.isProbed, suspicion.deadline <= now
            else { continue }
            member.suspicion = nil
            change(&member, to: .dead, emit: emit)
        }
    }
}
