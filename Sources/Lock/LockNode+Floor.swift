import Model
import Raft

/// The floor: every member keeps the highest signed commit index, and who is behind it must not
/// lead.
///
/// Raft counts on disks that keep what they have confirmed. When one is restored from a copy, its
/// voter and one that lags make a majority that lacks committed entries, and would grant again what
/// is held. So a voter that starts asks the others first, and neither campaigns nor votes meanwhile.
extension LockNode {
    /// How many request time-outs a voter that starts waits for what others know.
    static let quietRequests = 2

    /// Whether the log lacks entries that are known to be committed.
    package var isBehind: Bool {
        guard let mark = markForVotes, configuration.mutation != .leadsBehind else { return false }
        return engine.lastIndex < mark.index
    }

    /// When the engine wants to be called; a voter that may not lead has no reason to campaign.
    var engineDeadline: Instant? {
        guard let due = engine.nextDeadline, engine.role != .leader else {
            return engine.nextDeadline
        }
        if isBehind { return quietUntil }
        return quietUntil.map { max($0, due) } ?? due
    }

    /// Who may not campaign must not go on believing in a leader that is silent either.
    mutating func noteSilence(at now: Instant) {
        isLeaderSilent =
            engine.role != .leader && engine.nextDeadline.map { $0 <= now } ?? false
    }

    /// Time has come: what was asked after the start has had its time to be answered.
    mutating func endQuiet(at now: Instant, emit: (LockEffect) -> Void) {
        if let until = heedsMembersUntil, until <= now {
            heedsMembersUntil = nil
            // Who knows of no other voter can't tell whether it still is the only one.
            if !knowsNoOtherVoter { unprovenFloors = [:] }
            relayedSigners = []
        }
        guard let until = quietUntil, until <= now else { return }
        quietUntil = nil
        floorAsked = []
        // Who does not vote has no log.
        if isBehind, engine.members.isVoter(id) { emit(.logBehind) }
    }

    /// A voter that has just started asks whoever is there.
    mutating func askForFloors(at now: Instant, emit: (LockEffect) -> Void) {
        guard quietUntil != nil else { return }
        for member in members.values.sorted(by: { $0.id < $1.id })
        where member.id != id && member.isInReach && floorAsked.insert(member.id).inserted {
            send(.askFloor, to: member.id, at: now, emit: emit)
        }
    }

    /// Tells a node what is known, if anything.
    mutating func tellFloor(to node: NodeID, at now: Instant, emit: (LockEffect) -> Void) {
        if let floor { send(.floor(floor), to: node, at: now, emit: emit) }
    }

    /// A leader that has committed more has it signed.
    mutating func signFloor(emit: (LockEffect) -> Void) {
        let mark = FencingToken(generation: generation, index: engine.commitIndex)
        guard mark > floor?.mark ?? .zero else { return }
        emit(.signFloor(mark))
    }

    /// The own signature is there: the other voters hear of it at once, the rest when they renew.
    mutating func floorSigned(_ signed: LockFloor, at now: Instant, emit: (LockEffect) -> Void) {
        take(signed, emit: emit)
        for voter in engine.members.voters where voter != id {
            tellFloor(to: voter, at: now, emit: emit)
        }
    }

    /// Whether a node votes, by this node's log or by what a leader said as it renewed the lease.
    ///
    /// Who has lost its vote may never have been told: its log names those who voted before.
    private func votes(_ node: NodeID) -> Bool {
        voters.contains(node) || toldVoters.contains(node)
    }

    /// Somebody tells of a floor: only voters are believed, and only if they have signed it.
    mutating func heardFloor(
        _ heard: LockFloor, from sender: NodeID, emit: (LockEffect) -> Void
    ) {
        if heedsMembersUntil != nil, sender != heard.signer, members[heard.signer] != nil {
            relayedSigners.insert(heard.signer)
        }
        guard heard.mark.generation == generation, heard.mark > floor?.mark ?? .zero,
            votes(heard.signer) || isUnproven(heard)
        else { return }
        emit(.checkFloor(heard))
    }

    /// Whether a floor counts for votes alone, and for a lease after the start.
    ///
    /// Its signer is a member, and may have become a voter since this node's log was written. In that
    /// time a leader makes the log whole; a member that lies holds a voter up no longer.
    private func isUnproven(_ heard: LockFloor) -> Bool {
        heedsMembersUntil != nil && members[heard.signer] != nil
            && heard.mark > unprovenFloors[heard.signer]?.mark ?? .zero
    }

    /// Members in reach that have led since this node's log was written, as it seems, sorted: each has
    /// signed a floor, and another member keeps to it.
    ///
    /// They are asked for the lock as voters are. A single member that lies is not.
    var laterLeaders: [NodeID] {
        relayedSigners.filter { signer in
            members[signer]?.isInReach == true && !voters.contains(signer)
                && unprovenFloors[signer].map { $0.mark.index > engine.lastIndex } ?? false
        }.sorted()
    }

    private var knowsNoOtherVoter: Bool { voters.allSatisfy { $0 == id } }

    /// It is known better now who votes: their floors are believed.
    mutating func proveFloors(emit: (LockEffect) -> Void) {
        guard !unprovenFloors.isEmpty else { return }
        for signer in unprovenFloors.keys.sorted() where votes(signer) {
            if let proven = unprovenFloors.removeValue(forKey: signer) { take(proven, emit: emit) }
        }
    }

    /// What a candidate's log must reach, this node's own included.
    private var markForVotes: FencingToken? {
        [floor?.mark, unprovenFloors.values.map(\.mark).max()].compactMap { $0 }.max()
    }

    /// The signature is good.
    mutating func take(_ checked: LockFloor, emit: (LockEffect) -> Void) {
        guard checked.mark.generation == generation, checked.mark > floor?.mark ?? .zero else {
            return
        }
        guard votes(checked.signer) else {
            // One for each member.
            if isUnproven(checked) { unprovenFloors[checked.signer] = checked }
            return
        }
        floor = checked
        store(row: LockFloor.key, checked.encoded, emit: emit)
    }

    /// Whether a message of the log may reach the engine.
    mutating func mayHear(
        _ content: RaftMessage.Content, from sender: NodeID, at now: Instant,
        emit: (LockEffect) -> Void
    ) -> Bool {
        switch content {
        case .preVoteRequest(let lastIndex, _), .voteRequest(let lastIndex, _, _):
            guard configuration.mutation != .leadsBehind else { return true }
            if let mark = markForVotes, lastIndex < mark.index {
                tellFloor(to: sender, at: now, emit: emit)
                return false
            }
            return quietUntil == nil
        case .timeoutNow: return !isBehind && quietUntil == nil
        default: return true
        }
    }
}
