import Model
import Raft

/// The lock's generation as it stands on disk.
struct LockGenerationRow: WireCodable {
    var generation: UInt32

    static let key: [UInt8] = [2]

    func encode(into writer: inout ByteWriter) { writer.varint(UInt64(generation)) }

    init(generation: UInt32) { self.generation = generation }

    init(from reader: inout ByteReader) throws(CodecError) {
        generation = try reader.varint32()
        guard generation > 0 else { throw .malformed }
    }
}

/// Generations: when a majority of the voters is lost for good, a person begins the lock anew.
///
/// Every message of a later generation than the first names it. Who has seen one refuses all
/// earlier ones. Who still has a lease, or follows a leader, is in touch with a majority, and
/// believes in no other generation.
extension LockNode {
    /// Begins a new generation with this node as its only voter.
    mutating func recover(
        _ recovery: LockRecovery, at now: Instant, emit: (LockEffect) -> Void
    ) {
        // A node whose disk has lost the generation's number finds it in the tokens. There may have
        // been later ones without a token: it goes far beyond them.
        let known = max(generation, recovery.generation)
        let (newer, isOver) = known.addingReportingOverflow(isForsworn ? 1_000 : 1)
        guard !isInTouch, !isHalted, !isOver else {
            return emit(.recoveryRefused)
        }
        let longest = max(
            table.longestLease,
            max(configuration.leaseLength, configuration.leaseLengthWithFewVoters))
        isForsworn = false
        let lost = table
        enter(newer, emit: emit)
        var begun = LockTable(
            recovering: recovery, generation: generation, longest: longest,
            after: lost)
        begun.mutation = configuration.mutation
        if configuration.mutation == .grantsWhileRecovering { _ = begun.endRecovery { _ in } }
        let image = RaftImage(
            hardState: RaftHardState(term: 1, vote: nil),
            snapshot: RaftSnapshot(
                index: 1, term: 1, members: RaftMembers(voters: [id]), payload: begun.encoded),
            entries: [])
        var write = RaftWrite()
        write.hardState = image.hardState
        write.snapshot = image.snapshot
        write.dropsEntries = true
        // Only what is on disk counts: the new log goes on from there.
        let forsworn = DurableWrite.delete(.session, key: LockForswornRow.key)
        let ticket = persist(write.durableWrites + [forsworn, generationWrite], emit: emit)
        recovering = LockRecovering(ticket: ticket, image: image, table: begun)
    }

    /// The new log is on disk: this node leads it as soon as it has elected itself.
    mutating func recovered(_ ticket: LockTicket, at now: Instant, emit: (LockEffect) -> Void) {
        guard let recovering, recovering.ticket <= ticket else { return }
        self.recovering = nil
        engine = RaftEngine(
            id: id, configuration: configuration.raft, restored: recovering.image,
            seed: random.next(), at: now)
        table = recovering.table
        clockSample = now
        tellVoters(emit: emit)
        emit(.generationBegan(generation))
    }

    /// Whether a lease or a leader shows that a majority of this generation's voters is alive.
    var isInTouch: Bool {
        guard configuration.mutation != .recoversWhileInTouch else { return false }
        let follows = engine.members.isVoter(id) && engine.leader != nil && !isLeaderSilent
        return session != nil || isLeader || follows
    }

    /// A message of another generation: a later one is entered, an earlier one answered with this.
    ///
    /// - Returns: Whether the message is of this node's generation now.
    mutating func isCurrent(
        _ other: UInt32, from sender: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) -> Bool {
        // What is not on disk yet, nobody may hear of.
        if recovering != nil, other <= generation { return false }
        if other == generation { return true }
        if other < generation {
            if configuration.mutation == .heedsOldGenerations { return true }
            send(.redirect(leader: leader), to: sender, at: now, emit: emit)
            return false
        }
        guard !isInTouch, !isHalted else { return false }
        enter(other, emit: emit)
        engine = RaftEngine(
            id: id, configuration: configuration.raft, restored: .empty, seed: random.next(),
            at: now)
        persist(
            [
                .deleteRange(.raftState, from: [], to: nil),
                .deleteRange(.raftLog, from: [], to: nil), generationWrite,
            ], emit: emit)
        emit(.generationBegan(generation))
        return true
    }

    private var generationWrite: DurableWrite {
        let row = LockGenerationRow(generation: generation)
        return .put(.session, key: LockGenerationRow.key, value: row.encoded)
    }

    /// Forgets all that belonged to the lost log; requests go on to the new one.
    private mutating func enter(_ newer: UInt32, emit: (LockEffect) -> Void) {
        generation = newer
        recovering = nil
        raftTickets = [:]
        raftEffects = []
        leadership = nil
        // Which generation the lost promises belonged to, nobody knows.
        isLogUnreadable = isForsworn
        compactFrom = 0
        uncollected = []
        toldVoters = []
        leaderHint = nil
        lastSession = nil
        floor = nil
        unprovenFloors = [:]
        relayedSigners = []
        heedsMembersUntil = nil
        quietUntil = nil
        table = LockTable(generation: newer)
        table.mutation = configuration.mutation
        tellVoters(emit: emit)
    }

    /// Tells everybody in reach which generation it is: those who have lost theirs ask there.
    mutating func announceGeneration(at now: Instant, emit: (LockEffect) -> Void) {
        guard generation > 1, isLeader else { return }
        for member in members.values.sorted(by: { $0.id < $1.id })
        where member.id != id && member.isInReach {
            send(.redirect(leader: id), to: member.id, at: now, emit: emit)
        }
    }
}

/// A new generation that is not on disk yet.
struct LockRecovering: Sendable {
    var ticket: LockTicket
    var image: RaftImage
    var table: LockTable
}
