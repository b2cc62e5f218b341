import Model

/// What this node says of itself: signed, and outdone only by itself.
extension Membership {
    /// Takes up what an earlier life has left on disk.
    ///
    /// Members are suspects until they answer, and all are asked at once: nobody is taken for
    /// alive, nor for dead, on the word of a disk.
    mutating func restore(_ rows: MembershipRows) {
        for certificate in rows.amendments where ring?.amend(certificate) != nil {
            fingerprint ^= certificate.amendment.fingerprint
        }
        _ = ring?.add(contentsOf: rows.admissions)
        voters = Set(rows.voters)
        for record in rows.tokens.prefix(TokenBook.tokensMax) { tokens.put(record) }
        let leaves = Dictionary(rows.leaves.map { ($0.subject, $0) }) { first, _ in first }
        for alive in rows.members {
            if alive.subject == id {
                own.incarnation = alive.incarnation < .max ? alive.incarnation + 1 : .max
                beginProving(at: alive.address)
                continue
            }
            if ring?.isEvicted(alive.subject) == true {
                placeEvicted(alive)
                continue
            }
            guard ring?[alive.subject] != nil,
                let metadata = try? NodeMetadata(decoding: alive.metadata)
            else { continue }
            var member = Member(
                alive: alive, metadata: metadata, state: .suspect, stateSince: now,
                leave: leaves[alive.subject])
            if member.hasLeft {
                member.state = .left
            } else {
                member.leave = nil
                member.suspicion = suspicion(by: id, amongst: rows.members.count)
                probes.enqueue(member.id)
            }
            place(member)
        }
        if table.count > 0 { schedule.exchange = now }
    }

    /// Signs what this node says of itself, and becomes a member in its own eyes.
    mutating func enter() {
        guard let ring else { return }
        own.signature = key.sign(own.statement(in: ring.cluster))
        place(Member(alive: own, metadata: metadata, state: .alive, stateSince: now))
        spread(.alive(own))
    }

    /// Says again what this node is, with a higher incarnation: a refutation, or a change.
    mutating func restate(above incarnation: UInt64, emit: (GossipEffect) -> Void) {
        guard let ring, leaving == nil, own.incarnation < .max, incarnation < .max else { return }
        own.incarnation = max(own.incarnation, incarnation) + 1
        own.signature = key.sign(own.statement(in: ring.cluster))
        guard var member = table[id] else { return }
        member.alive = own
        member.metadata = metadata
        place(member)
        emit(.persist([MembershipRows.member(own)]))
        emit(.memberChanged(member.info, previous: .alive))
        spread(.alive(own))
    }

    /// What this node tells about itself has changed.
    mutating func update(_ newer: NodeMetadata, emit: (GossipEffect) -> Void) {
        guard newer != metadata else { return }
        guard newer.isWithinBounds else {
            return emit(.dropped(reason: "oversize own metadata"))
        }
        metadata = newer
        own.metadata = newer.encoded
        restate(above: own.incarnation, emit: emit)
    }

    /// Somebody tells this node what it has said itself; returns whether that is genuine.
    mutating func heardOfSelf(_ alive: AliveStatement, emit: (GossipEffect) -> Void) -> Bool {
        guard let ring, alive.isNewer(than: own) else { return true }
        guard ring.verify(alive.signature, of: alive.statement(in: ring.cluster), by: id) else {
            return false
        }
        if alive.boot != boot {
            // Said in an earlier life whose rows are lost, or by somebody who has the same key and
            // is alive right now: outdo it, and ask there. Two that outdo each other do so no
            // faster than this.
            guard refutations.admits(at: now) else {
                emit(.dropped(reason: "busy"))
                return true
            }
            askTwin(at: alive.address, emit: emit)
        }
        restate(above: alive.incarnation, emit: emit)
        return true
    }

    // MARK: Leaving

    /// Says goodbye to everybody, or in a large cluster to many, and stays a moment.
    mutating func leave(emit: (GossipEffect) -> Void) {
        guard let ring, leaving == nil else { return }
        var goodbye = LeaveStatement(subject: id, incarnation: own.incarnation)
        goodbye.signature = key.sign(goodbye.statement(in: ring.cluster))
        leaving = now + configuration.leaveLinger
        if var member = table[id] {
            member.leave = goodbye
            change(&member, to: .left, emit: emit)
        }
        emit(.persist([MembershipRows.leave(goodbye)]))
        for listener in drawOthers(Membership.goodbyesMax) {
            transmit(.rumours([.leave(goodbye)]), to: listener, via: .datagram, emit: emit)
        }
        spread(.leave(goodbye))
    }

    /// How many members a leaving node tells in person.
    static let goodbyesMax = 64
}
