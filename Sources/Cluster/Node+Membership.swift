package import Gossip
import Lock
package import Model

/// What membership says, and whom it concerns.
extension Node {
    mutating func gossip(
        _ event: GossipEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        var effects: [GossipEffect] = []
        membership.handle(event, at: now) { effects.append($0) }
        undone += effects.map(PartEffect.gossip)
        perform(at: now, emit: emit)
    }

    /// Who is at the other end of a stream, by the ID that the proven key makes.
    package func standing(ofKey key: NodeID) -> StreamStanding { membership.standing(ofKey: key) }

    /// Sends a payload to a member, signed; it may be lost.
    mutating func send(
        _ payload: [UInt8], to peer: NodeID, via channel: Channel, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        gossip(.send(payload: payload, to: peer, via: channel), at: now, emit: emit)
    }

    mutating func apply(
        _ effect: GossipEffect, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch effect {
        case .send(let bytes, let address, let receiver, let channel):
            emit(.send(bytes, to: address, of: receiver, via: channel))
        case .deliver(let payload, let sender, _):
            deliver(payload, from: sender, at: now, emit: emit)
        case .memberChanged(let member, _):
            memberChanged(member, at: now, emit: emit)
        case .persist(let writes):
            emit(.persist(writes, persistence.ticket(for: nil)))
        case .joined:
            joined(at: now, emit: emit)
        case .joinRefused(let refusal):
            answerJoin(.refused(Refusal(refusal)), emit: emit)
        case .joinUnreachable:
            answerJoin(.refused(.seedsUnreachable), emit: emit)
        case .dropped(let reason):
            emit(.observe(.dropped(reason: reason)))
        case .cloneRefused(let address):
            emit(.observe(.notice(.warning, Node.refusedClone(at: address))))
        case .refusedAsClone(let address, let since):
            halt(for: address, since: since, at: now, emit: emit)
        case .left:
            left(emit: emit)
        case .amended(let amendment):
            amended(amendment, at: now, emit: emit)
        case .keyRenewed(let key):
            // Behind the rows that say so.
            emit(.persist([], persistence.ticket(for: .key(key))))
            keyRenewed(emit: emit)
        case .superseded:
            superseded(at: now, emit: emit)
        case .shutOut(let amendment):
            shutOut(by: amendment, at: now, emit: emit)
        }
    }

    private mutating func deliver(
        _ payload: [UInt8], from sender: NodeID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let message: PeerMessage
        do {
            message = try PeerMessage(decoding: payload)
        } catch {
            emit(.observe(.dropped(reason: "malformed payload")))
            return
        }
        switch message {
        case .table(let bytes):
            table(.received(Array(bytes), from: sender), at: now, emit: emit)
        case .lock(let bytes):
            lock(.received(Array(bytes), from: sender), at: now, emit: emit)
        case .image(let bytes):
            images(.received(Array(bytes), from: sender), at: now, emit: emit)
        case .logQuery(let query):
            answer(query, of: sender, emit: emit)
        case .logAnswer(let read, let chunk):
            remoteRead(read, chunk, from: sender, emit: emit)
        case .logCopy(let container, let chunk):
            keep(chunk, of: container, for: sender, at: now, emit: emit)
        case .logKept(let container, let cursor):
            kept(container, upTo: cursor, by: sender, at: now, emit: emit)
        case .copyQuery(let read, let container, let start):
            answerCopy(read, container, start, of: sender, emit: emit)
        case .usageQuery(let id, let container):
            measure(container, as: id, for: sender, at: now, emit: emit)
        case .usageAnswer(let id, let sample):
            remotelyMeasured(id, sample, by: sender, emit: emit)
        case .callQuery(let id, let container, let number, let command):
            let key = CallKey(caller: sender, number: number)
            call(container, key, command, as: id, for: sender, at: now, emit: emit)
        case .callAnswer(let id, let answer):
            remotelyCalled(id, answer, by: sender, emit: emit)
        case .signal(let container, let signal):
            self.signal(container, signal, emit: emit)
        case .gone(let node, let token):
            void(claimsOf: node, upTo: token, at: now, emit: emit)
        }
    }

    private mutating func memberChanged(
        _ member: MemberInfo, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        // A view that comes all at once changes many members, and is shared but once.
        if membership.revision != sharedRevision { shareMembers(at: now, emit: emit) }
        for task in holders.tasks(of: member.id) { reconsider(task, at: now, emit: emit) }
        emit(.observe(.memberChanged(member.id, MemberState(member.state))))
    }

    /// Tells table and lock who is there.
    mutating func shareMembers(at now: Instant, emit: (NodeEffect) -> Void) {
        sharedRevision = membership.revision
        var peers: [NodeID] = []
        var members: [LockMember] = []
        peers.reserveCapacity(membership.memberCount)
        members.reserveCapacity(membership.memberCount)
        membership.forEachMember { member, state, since, labels in
            if member != id, state.isInReach { peers.append(member) }
            members.append(LockMember(member, state, since: since, labels: labels))
        }
        let isReachChanged = peers != sharedPeers
        if isReachChanged {
            sharedPeers = peers
            ring = CandidateRing(of: id, among: peers)
            table(.peers(peers), at: now, emit: emit)
        }
        lock(.members(members), at: now, emit: emit)
        lock(.amendmentsKnown(membership.amendmentsFingerprint), at: now, emit: emit)
        if isReachChanged { images(.peers(peers), at: now, emit: emit) }
    }

    private mutating func joined(at now: Instant, emit: (NodeEffect) -> Void) {
        answerJoin(.joined, emit: emit)
        shareMembers(at: now, emit: emit)
        lock(.openSession(keeping: []), at: now, emit: emit)
    }

    private mutating func answerJoin(_ reply: NodeReply, emit: (NodeEffect) -> Void) {
        guard let request = joinRequest else { return }
        joinRequest = nil
        emit(.reply(request, reply))
    }

    /// An elder daemon has this node's key: this one claims nothing more, and ends.
    private mutating func halt(
        for elder: PeerAddress, since: WallTime, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard activity != .halted else { return }
        activity = .halted
        lock(.halt, at: now, emit: emit)
        let text =
            "node \(configuration.name) can't go on: another daemon with this node's key is alive "
            + "at \(elder) since \(since) (a copied data directory?), and the cluster keeps to the "
            + "elder; stop one of the two, or give this one an identity of its own ('daemon join' "
            + "with an empty --data-dir)"
        emit(.observe(.notice(.error, text)))
        emit(.stop(reason: text))
    }

    private static func refusedClone(at address: PeerAddress) -> String {
        "another daemon with this node's key is alive at \(address) (a copied data directory?): it is "
            + "the younger, and the cluster keeps to this one; stop the other, or let it join anew "
            + "from an empty directory"
    }
}

extension MembershipState {
    /// Whether messages to such a member make sense.
    var isInReach: Bool {
        switch self {
        case .alive, .suspect: true
        case .dead, .left, .evicted: false
        }
    }
}

extension MemberState {
    init(_ state: MembershipState) {
        switch state {
        case .alive: self = .alive
        case .suspect: self = .suspect
        case .dead: self = .dead
        case .left: self = .left
        case .evicted: self = .evicted
        }
    }
}
