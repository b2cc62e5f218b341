package import Model
import Raft

/// The lock of one node: its claims and lease, and its part in the log when it is a member of it.
///
/// Source: DESIGN §5; leases after Gray and Cheriton, "Leases" (SOSP 1989); renewals are reads in
/// the sense of Ongaro's thesis, section 6.4.
package struct LockNode: Sendable {
    let id: NodeID
    let boot: BootID
    let machine: MachineID
    let configuration: LockConfiguration
    var random: SeededGenerator

    var engine: RaftEngine
    var table: LockTable
    /// When the table's clock showed what it shows.
    var clockSample: Instant
    var members: [NodeID: LockMember] = [:]
    /// Who votes, as a leader told; and as this node told last.
    var toldVoters: [NodeID] = []
    /// Whether nobody needs to be asked after the start if there is nobody else.
    var endsQuietAlone = false
    /// Until when floors of members count that are no voters by this node's log.
    var heedsMembersUntil: Instant?
    /// Such floors, one for each member at most: the log may be older than their signers' votes.
    var unprovenFloors: [NodeID: LockFloor] = [:]
    /// Members of whose floors another member has told, since the start.
    var relayedSigners: Set<NodeID> = []
    var knownVoters: [NodeID] = []

    var client = LockClient()
    /// The node's session, and until when its lease is good; `nil`: nothing lease-bound may run.
    package internal(set) var session: LockSession?
    /// The session that the node had last, as far as it knows.
    var lastSession: SessionID?
    var opening: LockOpening?
    var leaseLength: Duration
    var renewal = LockRenewal()
    var leaderHint: NodeID?
    var isHalted = false
    /// Rises when a lost majority of voters is given up for good.
    package internal(set) var generation: UInt32 = 1
    /// A new generation that is not on disk yet.
    var recovering: LockRecovering?
    /// How far the log is committed at least, as a voter has signed.
    var floor: LockFloor?
    /// Until then a voter that has just started neither campaigns nor votes; whom it has asked.
    var quietUntil: Instant?
    var floorAsked: Set<NodeID> = []
    /// Whether the engine would campaign if it might: it believes in a leader that is silent.
    var isLeaderSilent = false

    var leadership: LockLeadership?
    var departure: Instant?
    /// How often a leader that leaves has asked another voter to lead.
    var handOverCount = 0
    var hasLeftVoters = false
    /// The fingerprint of the amendments that this node knows.
    var amendmentsKnown: UInt64 = 0
    /// Births of collected tasks which the log does not hold yet.
    var uncollected: Set<BirthDot> = []

    var raftEffects: [RaftEffect] = []
    var isApplying = false
    /// When the log is compacted, if it is long enough by then.
    var compactFrom: UInt64 = 0
    /// A snapshot that can't be read has arrived: this node is no use as a member of the log.
    var isLogUnreadable = false

    var lastTicket = LockTicket(0)
    var raftTickets: [LockTicket: RaftTicket] = [:]
    /// What is not on disk yet, in order.
    var unwritten: [Unwritten] = []
    /// When writes that the disk refused are tried again; later ones wait behind them.
    var rewriteDue: Instant?

    /// Begins with what is on disk.
    ///
    /// - Throws: A `CodecError` when the log's or the session's rows can't be read.
    package init(
        id: NodeID, bootID: BootID, machine: MachineID = .unknown,
        configuration: LockConfiguration, restored: DurableImage, isFounder: Bool,
        isSameMachineBoot: Bool, hasLostLog: Bool = false, seed: UInt64, at now: Instant
    ) throws(CodecError) {
        var random = SeededGenerator(seed: seed)
        // What is left of a damaged log is worse than nothing.
        let restored = hasLostLog ? DurableImage() : restored
        let image = try RaftImage(restoring: restored)
        if let row = restored.value(of: LockGenerationRow.key, in: .session) {
            generation = try LockGenerationRow(decoding: row).generation
        }
        var table = LockTable(generation: generation)
        if image.snapshot.index > 0 {
            table = try LockTable(decoding: image.snapshot.payload)
            guard table.generation == generation else { throw .malformed }
        }
        table.mutation = configuration.mutation
        self.id = id
        boot = bootID
        self.machine = machine
        self.configuration = configuration
        self.table = table
        clockSample = now
        engine = RaftEngine(
            id: id, configuration: configuration.raft, restored: image, seed: random.next(),
            at: now)
        leaseLength = configuration.leaseLength
        self.random = random
        founds = isFounder && image == .empty
        isForsworn =
            hasLostLog || restored.value(of: LockForswornRow.key, in: .session) != nil
        isLogUnreadable = isForsworn
        needsForswearing = hasLostLog
        if let row = restored.value(of: LockFloor.key, in: .session) {
            let stored = try LockFloor(decoding: row)
            if stored.mark.generation == generation { floor = stored }
        }
        // Who is no voter by its own log may be one all the same: its disk may be older than that.
        if !founds {
            quietUntil = now + configuration.requestTimeout * LockNode.quietRequests
            endsQuietAlone = engine.members.voters == [id]
            heedsMembersUntil =
                now
                + LockConfiguration.leaderLease(max(configuration.leaseLength, table.leaseLength))
        }
        if LockNode.isQuietCopy(restored, image, of: id, on: machine) {
            endsQuietAlone = false
            quietUntil =
                now
                + LockConfiguration.leaderLease(max(configuration.leaseLength, table.leaseLength))
        }
        if let row = restored.value(of: LockSessionRow.key, in: .session) {
            let stored = try LockSessionRow(decoding: row)
            lastSession = stored.id
            let isHere = stored.machine == machine || stored.machine == .unknown
            if isSameMachineBoot, isHere, stored.leaseUntil > now {
                session = LockSession(id: stored.id, leaseUntil: stored.leaseUntil)
            }
        }
    }

    /// Whether the disk has lost what this node had promised as a voter: it is none any more.
    package internal(set) var isForsworn: Bool
    /// Whether that is still to be written down.
    private var needsForswearing: Bool

    /// Writes down that this node has no vote, for later lives.
    private mutating func forswear(emit: (LockEffect) -> Void) {
        guard needsForswearing else { return }
        needsForswearing = false
        persist(LockForswornRow.writes, emit: emit)
        emit(.logUnreadable)
    }

    /// Whether the log is still to be begun, by this node alone.
    private var founds: Bool

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: LockEvent, at now: Instant, emit: (LockEffect) -> Void
    ) {
        forswear(emit: emit)
        if founds {
            founds = false
            raft(.bootstrap(voters: [id]), at: now, emit: emit)
        }
        noteSilence(at: now)
        // Before anything else: what arrives late must not find a lease that is over.
        if let session, session.leaseUntil <= now, !trustsLateClock(event) {
            lapse(session, emit: emit)
        }
        switch event {
        case .received(let bytes, let sender):
            receive(bytes, from: sender, at: now, emit: emit)
        case .persisted(let ticket):
            persisted(ticket, at: now, emit: emit)
        case .persistFailed:
            rewriteDue = rewriteDue ?? now + LockNode.rewriteInterval
        case .members(let list):
            members = Dictionary(list.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
            if let hint = leaderHint, members[hint]?.isInReach == false { leaderHint = nil }
            announceGeneration(at: now, emit: emit)
            if endsQuietAlone, members.keys.allSatisfy({ $0 == id }) { quietUntil = nil }
            endsQuietAlone = false
            askForFloors(at: now, emit: emit)
            if isLeader { upkeep(at: now, emit: emit) }
        case .openSession(let kept):
            openSession(keeping: kept, at: now, emit: emit)
        case .acquire(let requests):
            acquire(requests, at: now, emit: emit)
        case .release(let task, let token, let end, let rest):
            enqueue(
                .release(ContainerID(task: task, token: token), after: end, notBefore: rest),
                at: now, emit: emit)
        case .close(let task, let token, let outcome, let birth):
            enqueue(.close(task, token, outcome, birth: birth), at: now, emit: emit)
        case .forget(let node):
            enqueue(.forget(node), at: now, emit: emit)
        case .amend(let change):
            enqueue(.amend(change), at: now, emit: emit)
        case .amendmentsKnown(let fingerprint):
            amendmentsKnown = fingerprint
        case .collected(let dots):
            collect(dots, at: now, emit: emit)
        case .leaveVoters:
            departure = now
            depart(at: now, emit: emit)
        case .floorSigned(let floor):
            floorSigned(floor, at: now, emit: emit)
        case .floorChecked(let floor):
            take(floor, emit: emit)
        case .recover(let recovery):
            recover(recovery, at: now, emit: emit)
        case .yieldLeadership:
            handOver(at: now, emit: emit)
        case .halt:
            isHalted = true
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
    }

    /// When the lock next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        var next = isSilent ? nil : engineDeadline
        next.bringForward(to: quietUntil)
        next.bringForward(to: heedsMembersUntil)
        next.bringForward(to: session?.leaseUntil)
        next.bringForward(to: renewal.due)
        next.bringForward(to: client.resendDue)
        next.bringForward(to: leadership?.upkeepDue)
        next.bringForward(to: departure)
        next.bringForward(to: rewriteDue)
        return next
    }

    /// Who votes, as far as this node knows; sorted.
    ///
    /// A node that is no member of the log knows what a leader told it last.
    package var voters: [NodeID] {
        let isMember = engine.members.everyone.contains(id)
        return isMember || toldVoters.isEmpty ? engine.members.voters : toldVoters
    }

    /// Who leads, as far as this node knows.
    ///
    /// What the engine believed when it last was a voter is worth nothing once it is none.
    package var leader: NodeID? {
        if engine.members.isVoter(id), !isSilent, !isLeaderSilent, let leader = engine.leader {
            return leader
        }
        return leaderHint
    }

    /// Whether this node leads the voters.
    package var isLeader: Bool { engine.role == .leader && !isSilent }

    /// Whether the node takes no part in the log: it can't read it, its disk takes nothing in for
    /// too long, or another machine has its identity.
    var isSilent: Bool {
        isLogUnreadable || isHalted || recovering != nil || unwritten.count >= LockNode.unwrittenMax
    }

    /// How many writes may wait for a disk that refuses them.
    static let unwrittenMax = 1_024

    /// Whether there is any sense in asking for tasks: without a session all would be denied.
    package var mayAcquire: Bool { session != nil && opening == nil && !isHalted }

    /// The node's copy of the replicated table as bytes: equal on voters that applied the same.
    package var tableBytes: [UInt8] { table.encoded }

    /// The last entry that this node has applied, 0 when it is no member of the log.
    package var appliedIndex: UInt64 { isLogUnreadable ? 0 : engine.appliedIndex }

    private mutating func deadlineReached(at now: Instant, emit: (LockEffect) -> Void) {
        endQuiet(at: now, emit: emit)
        if let due = engineDeadline, due <= now {
            raft(.deadlineReached, at: now, emit: emit)
        }
        if let due = renewal.due, due <= now { renew(at: now, emit: emit) }
        if let due = client.resendDue, due <= now { resend(at: now, emit: emit) }
        if let due = leadership?.upkeepDue, due <= now { upkeep(at: now, emit: emit) }
        if let due = departure, due <= now { depart(at: now, emit: emit) }
        if let due = rewriteDue, due <= now { rewrite(emit: emit) }
    }

    // MARK: Messages

    private mutating func receive(
        _ bytes: [UInt8], from sender: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        // A machine with the same identity says nothing that this one could believe.
        guard sender != id, var message = try? LockMessage(decoding: bytes) else { return }
        var generation: UInt32 = 1
        if case .ofGeneration(let later, let inner) = message {
            generation = later
            message = inner
        }
        guard isCurrent(generation, from: sender, at: now, emit: emit) else { return }
        let isBeliever = configuration.mutation == .believesAnybody
        switch message {
        case .raft(let message):
            guard mayHear(message.content, from: sender, at: now, emit: emit) else { return }
            if engine.members.isVoter(sender) { leadership?.heard[sender] = now }
            raft(.received(message, from: sender), at: now, emit: emit)
        case .request(let request):
            serve(request, from: sender, at: now, emit: emit)
        case .reply(let boot, let sequence, let results, let retryAfter):
            guard isBeliever || client.waits(for: sender) else { return }
            leaderHint = sender
            answered(boot, sequence, results, retryAfter, at: now, emit: emit)
        case .redirect(let leader):
            guard isBeliever || client.waits(for: sender) || renewal.waits(for: sender) else {
                return
            }
            redirected(by: sender, to: leader, at: now, emit: emit)
        case .renew(let session, let number, let amendments):
            serveRenewal(
                of: session, number, knowing: amendments, from: sender, at: now, emit: emit)
        case .renewed(let session, let number, let leaseLength, let voters):
            guard isBeliever || renewal.waits(for: sender, number) else { return }
            leaderHint = sender
            toldVoters = voters
            proveFloors(emit: emit)
            tellVoters(emit: emit)
            renewed(session, number, leaseLength, at: now, emit: emit)
        case .renewalRefused(let id, let number):
            // One that an earlier life has asked for says nothing about this one's session.
            guard isBeliever || renewal.waits(for: sender, number) else { return }
            if let session, session.id == id { lapse(session, emit: emit) }
        case .leaving:
            wantsToLeave(sender, at: now, emit: emit)
        case .departed:
            if voters.contains(sender) { departed(emit: emit) }
        case .floor(let floor):
            heardFloor(floor, from: sender, emit: emit)
        case .askFloor:
            tellFloor(to: sender, at: now, emit: emit)
        case .ofGeneration: break  // taken off above, and never one within another
        }
    }

    private func trustsLateClock(_ event: LockEvent) -> Bool {
        if case .deadlineReached = event { return false }
        return configuration.mutation == .trustsLateClock
    }

    mutating func send(
        _ message: LockMessage, to peer: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard recovering == nil else { return }
        let message = generation > 1 ? .ofGeneration(generation, message) : message
        emit(.send(message.encoded, to: peer))
    }
}
