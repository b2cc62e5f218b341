import CRDT
package import Gossip
package import Lock
import Model

/// What the lock says, and whom it concerns.
extension Node {
    mutating func lock(
        _ event: LockEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard !membership.isProving else { return }
        var effects: [LockEffect] = []
        lock.handle(event, at: now) { effects.append($0) }
        undone += effects.map(PartEffect.lock)
        perform(at: now, emit: emit)
    }

    mutating func apply(
        _ effect: LockEffect, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch effect {
        case .send(let bytes, let peer):
            send(PeerMessage.wrap(lock: bytes), to: peer, via: .stream, at: now, emit: emit)
        case .persist(let writes, let ticket):
            emit(.persist(writes, persistence.ticket(for: .lock(ticket))))
        case .granted(let task, let token, let session, let count):
            granted(task, token, session, count, at: now, emit: emit)
        case .denied(let task, let denial):
            denied(task, denial, at: now, emit: emit)
        case .sessionOpened(let session, let kept, let leaseUntil):
            emit(.observe(.leaseExtended(session, until: leaseUntil)))
            sessionOpened(kept: kept, at: now, emit: emit)
            armGuard(until: leaseUntil, emit: emit)
        case .claimsElsewhere(let count):
            emit(.observe(.notice(.warning, Node.claimedElsewhere(count))))
        case .leaseExtended(let session, let until):
            armGuard(until: until, emit: emit)
            emit(.observe(.leaseExtended(session, until: until)))
        case .sessionLapsed(let session):
            sessionLapsed(session, at: now, emit: emit)
        case .released(let task, let token):
            settled(ContainerID(task: task, token: token), at: now, emit: emit)
        case .closed(let task, let token, let outcome):
            closed(task, token, outcome, at: now, emit: emit)
        case .gone(let node, _, let tokens):
            announceGone(node, tokens: tokens, at: now, emit: emit)
        case .votersChanged(let voters):
            gossip(.voters(voters), at: now, emit: emit)
            emit(.observe(.votersChanged(voters)))
        case .leaderChanged:
            emit(.observe(.lockLeader(isLeader: lock.isLeader)))
            if lock.isLeader { remindOfCollected(at: now, emit: emit) }
        case .forgotten(let node, let isRefused):
            forgotten(node, isRefused: isRefused, emit: emit)
        case .amended(let amendment):
            gossip(.amend(amendment), at: now, emit: emit)
        case .amendmentAnswered(.eviction, let answer):
            amendmentAnswered(answer, emit: emit)
        case .amendmentAnswered(.succession(let succession), let answer):
            successionAnswered(succession, answer, emit: emit)
        case .showAmendments(let member):
            gossip(.showAmendments(lock.amendments, to: member), at: now, emit: emit)
        case .signFloor(let mark):
            signFloor(mark, at: now, emit: emit)
        case .checkFloor(let floor):
            checkFloor(floor, at: now, emit: emit)
        case .logBehind:
            emit(
                .observe(
                    .notice(
                        .error,
                        "this voter's copy of the lock lacks entries that others know of (a disk "
                            + "restored from a copy?): it does not lead until a complete one does; "
                            + "if all complete ones are lost, the lock must be recovered")))
        case .generationBegan(let generation):
            generationBegan(generation, at: now, emit: emit)
        case .recoveryRefused:
            recoveryRefused(emit: emit)
        case .logUnreadable:
            emit(.observe(.notice(.error, causeOfNoVote)))
        case .leftVoters:
            gossip(.leave, at: now, emit: emit)
        }
    }

    private var causeOfNoVote: String {
        if isCopy {
            return "the data directory was used on another machine, or is a copy of one that is: "
                + "this node has no vote any more, since the other may go on"
        }
        return lock.isForsworn
            ? "the disk has lost a part of the lock's log: this node has no vote any more"
            : "the lock's log was written by a newer version: this node has no vote any more; update "
                + "its software"
    }

    private mutating func signFloor(
        _ mark: FencingToken, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let signature = membership.sign(lock: LockFloor.statement(of: mark)) else { return }
        let floor = LockFloor(mark: mark, signer: id, signature: signature)
        lock(.floorSigned(floor), at: now, emit: emit)
    }

    private mutating func checkFloor(
        _ floor: LockFloor, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let statement = LockFloor.statement(of: floor.mark)
        guard membership.verifies(floor.signature, ofLock: statement, by: floor.signer) else {
            return emit(.observe(.dropped(reason: "forged floor")))
        }
        lock(.floorChecked(floor), at: now, emit: emit)
    }

    private static func claimedElsewhere(_ count: Int) -> String {
        "\(count) tasks of this node were claimed on another machine, or in another copy of its "
            + "data directory, and wait for that one: if it is gone for good, stop this node for "
            + "the length of a lease, and say `client nodes forget`"
    }

    private mutating func denied(
        _ task: TaskID, _ denial: LockDenial, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        claimAnswered(task)
        emit(.observe(.claimDenied(task)))
        switch denial {
        case .heldBy(_, _, let retryAfter), .notBefore(let retryAfter):
            // A change that came while the claim was under way may have taken it off the queue.
            reconsider(task, at: now, emit: emit)
            queue.postpone(task, until: now + max(retryAfter, Node.retryAfterMin))
        case .closed(let outcome, let token):
            recordOutcome(task, token, outcome, at: now, emit: emit)
        case .collected:
            queue.remove(task)
            // Perhaps under a birth that this node does not know.
            table(.collectedElsewhere(task), at: now, emit: emit)
        case .noSession:
            reconsider(task, at: now, emit: emit)
            queue.postpone(task, until: now + Node.retryAfterMin)
        }
    }

    /// The shortest time after which a denied claim is tried again.
    private static let retryAfterMin: Duration = .milliseconds(50)

    /// The first close that the lock committed: the task's end, whoever wrote it.
    private mutating func closed(
        _ task: TaskID, _ token: FencingToken?, _ outcome: TaskOutcome, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        recordOutcome(task, token, outcome, at: now, emit: emit)
        if let token { settled(ContainerID(task: task, token: token), at: now, emit: emit) }
    }

    private mutating func recordOutcome(
        _ task: TaskID, _ token: FencingToken?, _ outcome: TaskOutcome, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        queue.remove(task)
        guard table.record(task)?.outcome == nil else { return }
        table(
            .close(task, outcome, token: token, wall: wallTime(at: now)), at: now, emit: emit)
    }

    /// What was collected while no leader took note of it keeps its entry in the lock: a new
    /// leader looks for such entries.
    private mutating func remindOfCollected(at now: Instant, emit: (NodeEffect) -> Void) {
        let births = lock.endedBirths.filter { table.collected.contains($0.dot) }
        if !births.isEmpty { lock(.collected(births), at: now, emit: emit) }
    }

    /// A voter applied the end of a session: its claims are void, and everybody should know.
    private mutating func announceGone(
        _ node: NodeID, tokens: [(TaskID, FencingToken)], at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard let highest = tokens.map(\.1).max() else { return }
        void(claimsOf: node, upTo: highest, at: now, emit: emit)
        guard lock.isLeader else { return }
        let payload = PeerMessage.gone(node, highest).encoded
        for member in membership.members where member.id != id && member.state.isInReach {
            send(payload, to: member.id, via: .datagram, at: now, emit: emit)
        }
    }
}

extension LockMember {
    /// The label by which an operator says what fails together.
    private static let zoneLabel = "zone="

    /// What the choice of voters needs to know of a member.
    package init(_ member: MemberInfo) {
        self.init(
            member.id, member.state, since: member.stateSince, labels: member.metadata.labels)
    }

    /// What the choice of voters needs to know of a member, its zone from its label.
    init(
        _ member: NodeID, _ state: MembershipState, since: Instant, labels: [String]
    ) {
        let state: LockMember.State =
            switch state {
            case .alive: .alive
            case .suspect: .suspect
            case .dead: .dead
            // Who is shut out is as good as gone.
            case .left, .evicted: .left
            }
        let zone = labels.first { $0.hasPrefix(LockMember.zoneLabel) }
        self.init(
            id: member, state: state, since: since,
            zone: zone.map { String($0.dropFirst(LockMember.zoneLabel.count)) })
    }
}
