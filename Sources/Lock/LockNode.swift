package import Model
import Raft

/// The lock of one node: its claims and lease, and its part in the log when it is a member of it.
///
/// Source: DESIGN §5; leases after Gray and Cheriton, "Leases" (SOSP 1989); renewals are reads in
/// the sense of Ongaro's thesis, section 6.4.
package struct LockNode: Sendable {
    let id: NodeID
    let boot: BootID
    let configuration: LockConfiguration
    var random: SeededGenerator

    var engine: RaftEngine
    var table: LockTable
    /// When the table's clock showed what it shows.
    var clockSample: Instant
    var members: [NodeID: LockMember] = [:]
    var knownVoters: [NodeID] = []

    var client = LockClient()
    /// The node's session, and until when its lease is good; `nil`: nothing lease-bound may run.
    package internal(set) var session: LockSession?
    var opening: SessionID?
    var leaseLength: Duration
    var renewal = LockRenewal()
    var leaderHint: NodeID?
    var isHalted = false

    var leadership: LockLeadership?
    var departure: Instant?
    var hasLeftVoters = false

    private var raftEffects: [RaftEffect] = []
    private var isApplying = false

    var lastTicket = LockTicket(0)
    var raftTickets: [LockTicket: RaftTicket] = [:]
    /// What is not on disk yet, in order.
    var unwritten: [(ticket: LockTicket, writes: [DurableWrite])] = []
    /// When writes that the disk refused are tried again; later ones wait behind them.
    var rewriteDue: Instant?

    /// Begins with what is on disk.
    ///
    /// - Throws: A `CodecError` when the log's or the session's rows can't be read.
    package init(
        id: NodeID, bootID: BootID, configuration: LockConfiguration, restored: DurableImage,
        isFounder: Bool, isSameMachineBoot: Bool, seed: UInt64, at now: Instant
    ) throws(CodecError) {
        var random = SeededGenerator(seed: seed)
        let image = try RaftImage(restoring: restored)
        var table = LockTable(leaseLength: configuration.leaseLengthWithFewVoters)
        if image.snapshot.index > 0 {
            table = try LockTable(decoding: image.snapshot.payload)
        }
        table.mutation = configuration.mutation
        self.id = id
        boot = bootID
        self.configuration = configuration
        self.table = table
        clockSample = now
        engine = RaftEngine(
            id: id, configuration: configuration.raft, restored: image, seed: random.next(),
            at: now)
        leaseLength = table.leaseLength
        self.random = random
        if isSameMachineBoot, let row = restored[.session].first {
            let stored = try LockSessionRow(decoding: row.value)
            if stored.leaseUntil > now {
                session = LockSession(id: stored.id, leaseUntil: stored.leaseUntil)
            }
        }
        founds = isFounder && image == .empty
    }

    /// Whether the log is still to be begun, by this node alone.
    private var founds: Bool

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: LockEvent, at now: Instant, emit: (LockEffect) -> Void
    ) {
        if founds {
            founds = false
            raft(.bootstrap(voters: [id]), at: now, emit: emit)
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
            if engine.role == .leader { upkeep(at: now, emit: emit) }
        case .openSession(let kept):
            openSession(keeping: kept, at: now, emit: emit)
        case .acquire(let requests):
            acquire(requests, at: now, emit: emit)
        case .release(let task, let token, let rest):
            enqueue(
                .release(ContainerID(task: task, token: token), notBefore: rest), at: now,
                emit: emit)
        case .close(let task, let token, let outcome, let birth):
            enqueue(.close(task, token, outcome, birth: birth), at: now, emit: emit)
        case .forget(let node):
            enqueue(.forget(node), at: now, emit: emit)
        case .collected(let dots):
            collect(dots, at: now, emit: emit)
        case .leaveVoters:
            departure = now
            depart(at: now, emit: emit)
        case .halt:
            isHalted = true
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
    }

    /// When the lock next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        [
            engine.nextDeadline, session?.leaseUntil, isHalted ? nil : renewal.due,
            client.resendDue, leadership?.upkeepDue, departure, rewriteDue,
        ].compactMap { $0 }.min()
    }

    /// Who votes, as far as this node knows; sorted.
    package var voters: [NodeID] { engine.members.voters }

    /// Who leads, as far as this node knows.
    ///
    /// What the engine believed when it last was a voter is worth nothing once it is none.
    package var leader: NodeID? {
        if engine.members.isVoter(id), let leader = engine.leader { return leader }
        return leaderHint
    }

    /// Whether this node leads the voters.
    package var isLeader: Bool { engine.role == .leader }

    /// The node's copy of the replicated table as bytes: equal on voters that applied the same.
    package var tableBytes: [UInt8] { table.encoded }

    /// The last entry that this node has applied, 0 when it is no member of the log.
    package var appliedIndex: UInt64 { engine.appliedIndex }

    private mutating func deadlineReached(at now: Instant, emit: (LockEffect) -> Void) {
        if let session, session.leaseUntil <= now { lapse(session, emit: emit) }
        if let due = engine.nextDeadline, due <= now {
            raft(.deadlineReached, at: now, emit: emit)
        }
        if let due = renewal.due, due <= now, !isHalted { renew(at: now, emit: emit) }
        if let due = client.resendDue, due <= now { resend(at: now, emit: emit) }
        if let due = leadership?.upkeepDue, due <= now { upkeep(at: now, emit: emit) }
        if let due = departure, due <= now { depart(at: now, emit: emit) }
        if let due = rewriteDue, due <= now { rewrite(emit: emit) }
    }

    // MARK: The log

    /// Effects are applied in the order in which the engine gave them, also when applying one
    /// leads to the next event: writes must not overtake each other.
    mutating func raft(_ event: RaftEvent, at now: Instant, emit: (LockEffect) -> Void) {
        var effects: [RaftEffect] = []
        engine.handle(event, at: now) { effects.append($0) }
        raftEffects += effects
        guard !isApplying else { return }
        isApplying = true
        var next = 0
        while next < raftEffects.count {
            apply(raftEffects[next], at: now, emit: emit)
            next += 1
        }
        raftEffects.removeAll(keepingCapacity: true)
        isApplying = false
    }

    private mutating func apply(
        _ effect: RaftEffect, at now: Instant, emit: (LockEffect) -> Void
    ) {
        switch effect {
        case .send(let message, let peer):
            emit(.send(LockMessage.raft(message).encoded, to: peer))
        case .persist(let write, let ticket):
            raftTickets[persist(write.durableWrites, emit: emit)] = ticket
        case .apply(let index, _, let payload):
            apply(payload, at: index, now: now, emit: emit)
        case .applied(let index):
            compactIfLong(upTo: index, at: now, emit: emit)
        case .installSnapshot(_, _, let payload):
            install(payload, at: now)
        case .proposed:
            break
        case .dropped(let context, _):
            leadership?.dropped(context)
        case .readReady(let context, _):
            confirmed(context, at: now, emit: emit)
        case .readDropped(let context):
            leadership?.reads[context] = nil
        case .leaderChanged(let leader, _):
            leaderChanged(to: leader, at: now, emit: emit)
        case .membersChanged(let members):
            votersChanged(to: members.voters, at: now, emit: emit)
        }
    }

    /// Emits a write and names it; behind a refused one it waits.
    @discardableResult
    mutating func persist(_ writes: [DurableWrite], emit: (LockEffect) -> Void) -> LockTicket {
        lastTicket = LockTicket(lastTicket.value + 1)
        unwritten.append((lastTicket, writes))
        if rewriteDue == nil { emit(.persist(writes, lastTicket)) }
        return lastTicket
    }

    private mutating func persisted(
        _ ticket: LockTicket, at now: Instant, emit: (LockEffect) -> Void
    ) {
        let done = unwritten.prefix { $0.ticket <= ticket }
        unwritten.removeFirst(done.count)
        for (ticket, _) in done {
            guard let ticket = raftTickets.removeValue(forKey: ticket) else { continue }
            raft(.persisted(ticket), at: now, emit: emit)
        }
    }

    /// Everything that the disk refused goes into one write, in its order.
    ///
    /// Until then nothing that waits for it has left the node: the other voters go on alone.
    private mutating func rewrite(emit: (LockEffect) -> Void) {
        rewriteDue = nil
        guard let last = unwritten.last?.ticket else { return }
        emit(.persist(unwritten.flatMap(\.writes), last))
    }

    /// How long refused writes rest.
    private static let rewriteInterval: Duration = .milliseconds(250)

    private mutating func apply(
        _ bytes: [UInt8], at index: UInt64, now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let payload = try? LockEntryPayload(decoding: bytes) else { return }
        var notices: [LockTable.Notice] = []
        let results = table.apply(payload, index: index) { notices.append($0) }
        clockSample = now
        applied(payload.request, results, at: now, emit: emit)
        for notice in notices {
            switch notice {
            case .expired(let node, let session, let claims):
                emit(.gone(node, session, tokens: claims.map { ($0.task, $0.token) }))
            case .closedAsLost(let task, let token, let outcome):
                if isLeader { emit(.closed(task, token, outcome)) }
            }
        }
    }

    private mutating func install(_ payload: [UInt8], at now: Instant) {
        guard var installed = try? LockTable(decoding: payload) else { return }
        installed.mutation = configuration.mutation
        table = installed
        clockSample = now
    }

    private mutating func compactIfLong(
        upTo index: UInt64, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard index >= engine.firstIndex,
            index - engine.firstIndex >= LockConfiguration.compactEvery
        else { return }
        raft(.compact(upTo: index, snapshot: table.encoded), at: now, emit: emit)
    }

    private mutating func votersChanged(
        to voters: [NodeID], at now: Instant, emit: (LockEffect) -> Void
    ) {
        if voters != knownVoters {
            knownVoters = voters
            emit(.votersChanged(voters))
        }
        depart(at: now, emit: emit)
    }

    private mutating func leaderChanged(
        to leader: NodeID?, at now: Instant, emit: (LockEffect) -> Void
    ) {
        if let leader { leaderHint = leader }
        leadership = engine.role == .leader ? LockLeadership(since: now) : nil
        emit(.leaderChanged(leader))
        if leader != nil { resend(at: now, emit: emit) }
    }

    // MARK: Messages

    private mutating func receive(
        _ bytes: [UInt8], from sender: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let message = try? LockMessage(decoding: bytes) else { return }
        switch message {
        case .raft(let message):
            raft(.received(message, from: sender), at: now, emit: emit)
        case .request(let request):
            serve(request, from: sender, at: now, emit: emit)
        case .reply(let boot, let sequence, let results, let retryAfter):
            leaderHint = sender
            answered(boot, sequence, results, retryAfter, at: now, emit: emit)
        case .redirect(let leader):
            redirected(by: sender, to: leader, at: now, emit: emit)
        case .renew(let session, let number):
            serveRenewal(of: session, number, from: sender, at: now, emit: emit)
        case .renewed(let session, let number, let leaseLength):
            leaderHint = sender
            renewed(session, number, leaseLength, at: now, emit: emit)
        case .renewalRefused(let id, _):
            if let session, session.id == id { lapse(session, emit: emit) }
        case .leaving:
            leadership?.leaving.insert(sender)
            if isLeader { upkeep(at: now, emit: emit) }
        }
    }

    mutating func send(
        _ message: LockMessage, to peer: NodeID, at now: Instant, emit: (LockEffect) -> Void
    ) {
        emit(.send(message.encoded, to: peer))
    }
}
