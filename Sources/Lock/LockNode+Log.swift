import Model
import Raft

/// The node's part in the replicated log: entries applied, writes named, snapshots taken.
extension LockNode {
    /// Effects are applied in the order in which the engine gave them, also when applying one
    /// leads to the next event: writes must not overtake each other.
    mutating func raft(_ event: RaftEvent, at now: Instant, emit: (LockEffect) -> Void) {
        guard !isSilent else { return }
        var effects: [RaftEffect] = []
        engine.handle(event, at: now) { effects.append($0) }
        raftEffects += effects
        guard !isApplying else { return }
        isApplying = true
        var next = 0
        while next < raftEffects.count, !isLogUnreadable {
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
            send(.raft(message), to: peer, at: now, emit: emit)
        case .persist(let write, let ticket):
            raftTickets[persist(write.durableWrites, emit: emit)] = ticket
        case .apply(let index, _, let payload):
            apply(payload, at: index, now: now, emit: emit)
        case .applied(let index):
            compactIfLong(upTo: index, at: now, emit: emit)
            if isLeader { tellDeparted(at: now, emit: emit) }
        case .installSnapshot(_, _, let payload):
            install(payload, at: now, emit: emit)
        case .proposed(let context, _):
            leadership?.proposals[context] = nil
        case .dropped(let context, _):
            leadership?.dropped(context)
        case .readReady(let context, _):
            confirmed(context, at: now, emit: emit)
        case .readDropped(let context):
            leadership?.reads[context] = nil
        case .leaderChanged(let leader, _):
            leaderChanged(to: leader, at: now, emit: emit)
        case .membersChanged:
            proveFloors(emit: emit)
            tellVoters(emit: emit)
            depart(at: now, emit: emit)
        }
    }

    /// A write that is not on disk yet.
    struct Unwritten: Sendable {
        var ticket: LockTicket
        var writes: [DurableWrite]
        /// The row that is all it writes, if a newer one may replace it.
        var row: [UInt8]?

        /// Whether it only tells how long the lease is good.
        var isSessionRow: Bool { row == LockSessionRow.key }
    }

    /// Emits a write and names it; behind a refused one it waits.
    @discardableResult
    mutating func persist(
        _ writes: [DurableWrite], row: [UInt8]? = nil, emit: (LockEffect) -> Void
    ) -> LockTicket {
        lastTicket = LockTicket(lastTicket.value + 1)
        unwritten.append(Unwritten(ticket: lastTicket, writes: writes, row: row))
        if rewriteDue == nil { emit(.persist(writes, lastTicket)) }
        return lastTicket
    }

    mutating func persisted(
        _ ticket: LockTicket, at now: Instant, emit: (LockEffect) -> Void
    ) {
        let done = unwritten.prefix { $0.ticket <= ticket }
        unwritten.removeFirst(done.count)
        for write in done {
            guard let ticket = raftTickets.removeValue(forKey: write.ticket) else { continue }
            raft(.persisted(ticket), at: now, emit: emit)
        }
        recovered(ticket, at: now, emit: emit)
    }

    /// Everything that the disk refused goes into one write, in its order.
    ///
    /// Until then nothing that waits for it has left the node: the other voters go on alone.
    mutating func rewrite(emit: (LockEffect) -> Void) {
        rewriteDue = nil
        // Of each row that a newer one replaces, the newest: while one try is under way, another
        // row may have come.
        var rows: Set<[UInt8]> = []
        unwritten = unwritten.reversed().filter { write in
            write.row.map { rows.insert($0).inserted } ?? true
        }.reversed()
        guard let last = unwritten.last?.ticket else { return }
        emit(.persist(unwritten.flatMap(\.writes), last))
    }

    /// How long refused writes rest.
    static let rewriteInterval: Duration = .milliseconds(250)

    private mutating func apply(
        _ bytes: [UInt8], at index: UInt64, now: Instant, emit: (LockEffect) -> Void
    ) {
        guard let payload = try? LockEntryPayload(decoding: bytes) else {
            // A newer version wrote it, perhaps: to go on without it would be to disagree with
            // those who can read it.
            return configuration.mutation == .skipsUnreadable ? () : fallSilent(emit: emit)
        }
        var notices: [LockTable.Notice] = []
        let opened = payload.request.operations.compactMap { operation -> SessionID? in
            guard case .openSession(let session, _, _, _) = operation else { return nil }
            return table.sessions[session] == nil ? session : nil
        }
        let results = table.apply(payload, index: index) { notices.append($0) }
        clockSample = now
        for case .collect(let dots) in payload.request.operations { uncollected.subtract(dots) }
        applied(
            payload.request, results, opened: opened.filter { table.sessions[$0] != nil },
            at: now, emit: emit)
        for notice in notices {
            switch notice {
            case .expired(let node, let session, let claims):
                emit(.gone(node, session, tokens: claims.map { ($0.task, $0.token) }))
            case .closedAsLost(let task, let token, let outcome):
                if isLeader { emit(.closed(task, token, outcome)) }
            case .amended(let amendment): emit(.amended(amendment))
            }
        }
    }

    private mutating func fallSilent(emit: (LockEffect) -> Void) {
        isLogUnreadable = true
        leadership = nil
        emit(.logUnreadable)
    }

    private mutating func install(
        _ payload: [UInt8], at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard var installed = try? LockTable(decoding: payload),
            installed.generation == generation
        else {
            // To go on with the old table would be to disagree with the others.
            return fallSilent(emit: emit)
        }
        installed.mutation = configuration.mutation
        table = installed
        clockSample = now
        for amendment in table.amendments.all { emit(.amended(amendment)) }
    }

    private mutating func compactIfLong(
        upTo index: UInt64, at now: Instant, emit: (LockEffect) -> Void
    ) {
        let begin = max(compactFrom, engine.firstIndex)
        guard index >= begin, index - begin >= LockConfiguration.compactEvery else { return }
        compactFrom = index
        raft(.compact(upTo: index, snapshot: table.encoded), at: now, emit: emit)
    }

    mutating func tellVoters(emit: (LockEffect) -> Void) {
        let voters = voters
        guard voters != knownVoters else { return }
        knownVoters = voters
        emit(.votersChanged(voters))
    }

    private mutating func leaderChanged(
        to leader: NodeID?, at now: Instant, emit: (LockEffect) -> Void
    ) {
        if let leader { leaderHint = leader }
        leadership = engine.role == .leader ? LockLeadership(since: now) : nil
        emit(.leaderChanged(leader))
        guard leader != nil else { return }
        // In the log before any session that this leader opens.
        if isLeader {
            announceGeneration(at: now, emit: emit)
            proposeLeaseLength(at: now, emit: emit)
        }
        resend(at: now, emit: emit)
        if renewal.isAwaited { renew(at: now, emit: emit) }
    }
}
