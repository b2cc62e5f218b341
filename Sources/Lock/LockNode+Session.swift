import Model

/// A session that the lock was asked for, but has not opened yet.
struct LockOpening: Sendable {
    var session: SessionID
    var kept: [ContainerID]
}

/// The renewals that are under way.
struct LockRenewal: Sendable {
    /// When the next one is sent; `nil` without a session.
    var due: Instant?
    /// When each unanswered renewal was sent, and to whom.
    var sent: [UInt64: (at: Instant, to: NodeID?)] = [:]
    var lastNumber: UInt64 = 0
    /// Whether the last renewal that was sent is not answered yet.
    var isAwaited = false
    var redirects = 0

    /// How many unanswered renewals are remembered.
    static let sentMax = 16

    /// Takes note of a new renewal; returns its number.
    mutating func begin(at now: Instant, to target: NodeID?) -> UInt64 {
        lastNumber += 1
        sent[lastNumber] = (now, target)
        if sent.count > LockRenewal.sentMax, let oldest = sent.keys.min() { sent[oldest] = nil }
        isAwaited = true
        return lastNumber
    }

    /// Whether this node was asked in that renewal, and has not answered yet.
    func waits(for sender: NodeID, _ number: UInt64) -> Bool { sent[number]?.to == sender }

    /// Whether this node was asked lately, and has not answered yet.
    func waits(for sender: NodeID) -> Bool { sent.values.contains { $0.to == sender } }

    /// Takes note of an answer; returns when the renewal was sent, `nil` for one not waited for.
    mutating func end(_ number: UInt64) -> Instant? {
        guard let moment = sent.removeValue(forKey: number)?.at else { return nil }
        if number == lastNumber {
            isAwaited = false
            redirects = 0
        }
        return moment
    }

    /// Whether an unanswered renewal may follow a redirect, as bounded as requests are.
    mutating func mayFollowRedirect() -> Bool {
        guard isAwaited, redirects < LockClient.redirectsMax else { return false }
        redirects += 1
        return true
    }

    mutating func timedOut() { redirects = 0 }
}

/// The session as it stands on disk, for a daemon that restarts within its lease.
///
/// The row stays when the session has lapsed: the next opening names its predecessor.
struct LockSessionRow: WireCodable {
    var id: SessionID
    var leaseUntil: Instant
    /// Where it was opened; a copy of the disk is elsewhere.
    var machine: MachineID

    static let key: [UInt8] = [1]

    func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        writer.signed(leaseUntil.nanoseconds)
        machine.encode(into: &writer)
    }

    init(id: SessionID, leaseUntil: Instant, machine: MachineID) {
        self.id = id
        self.leaseUntil = leaseUntil
        self.machine = machine
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        id = try SessionID(from: &reader)
        leaseUntil = Instant(nanoseconds: try reader.signed())
        machine = reader.remaining > 0 ? try MachineID(from: &reader) : .unknown
    }
}

/// The node's session: opened, renewed, and lapsed for good.
extension LockNode {
    mutating func openSession(
        keeping kept: [(TaskID, FencingToken)], at now: Instant, emit: (LockEffect) -> Void
    ) {
        guard opening == nil, !isHalted else { return }
        askForSession(
            keeping: kept.prefix(LockOperation.keptMax).map { ContainerID(task: $0, token: $1) },
            at: now, emit: emit)
    }

    private mutating func askForSession(
        keeping kept: [ContainerID], at now: Instant, emit: (LockEffect) -> Void
    ) {
        var drawn = SessionID(random.next())
        while drawn.value == 0 { drawn = SessionID(random.next()) }
        opening = LockOpening(session: drawn, kept: kept)
        client.queue.insert(
            .openSession(drawn, keeping: kept, after: lastSession, on: machine), at: 0)
        sendNext(at: now, emit: emit)
    }

    mutating func opened(
        _ id: SessionID, _ result: LockResult, asked: Instant, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        guard let opening, opening.session == id else { return }
        self.opening = nil
        guard !isHalted else { return }
        switch result {
        case .opened(let kept, let length, let elsewhere):
            began(id, keeping: kept, length, asked: asked, at: now, emit: emit)
            if elsewhere > 0 { emit(.claimsElsewhere(Int(elsewhere))) }
        case .succeeds(let last):
            // The disk did not know the node's last session.
            lastSession = last
            askForSession(keeping: opening.kept, at: now, emit: emit)
        default:
            // The ID was taken: cannot happen by chance; try another one.
            askForSession(keeping: opening.kept, at: now, emit: emit)
        }
    }

    private mutating func began(
        _ id: SessionID, keeping kept: [ContainerID], _ length: Duration, asked: Instant,
        at now: Instant, emit: (LockEffect) -> Void
    ) {
        leaseLength = length
        lastSession = id
        let begun = LockSession(id: id, leaseUntil: asked + trusted(length))
        session = begun
        store(begun, emit: emit)
        renewal = LockRenewal(due: now, lastNumber: renewal.lastNumber)
        emit(
            .sessionOpened(
                id, kept: kept.map { ($0.task, $0.token) }, leaseUntil: begun.leaseUntil))
        if begun.leaseUntil <= now { return lapse(begun, emit: emit) }
        renew(at: now, emit: emit)
    }

    /// Shows the leader that the session lives, several times per lease; an unanswered renewal is
    /// followed by another one as soon as a request would be, for the leader may have changed.
    mutating func renew(at now: Instant, emit: (LockEffect) -> Void) {
        guard let session, opening == nil, !isHalted else {
            renewal.due = nil
            return
        }
        if let due = renewal.due, due <= now {
            if renewal.isAwaited { leaderHint = nil }
            renewal.timedOut()
        }
        let target = isLeader ? id : target()
        if leader == nil, let target { tellFloor(to: target, at: now, emit: emit) }
        let number = renewal.begin(at: now, to: target)
        renewal.due = now + min(configuration.requestTimeout, renewalInterval)
        if isLeader {
            serveRenewal(
                of: session.id, number, knowing: amendmentsKnown, from: id, at: now, emit: emit)
        } else if let target {
            send(
                .renew(session.id, number: number, amendments: amendmentsKnown), to: target,
                at: now,
                emit: emit)
        }
    }

    mutating func renewed(
        _ id: SessionID, _ number: UInt64, _ length: Duration, at now: Instant,
        emit: (LockEffect) -> Void
    ) {
        var current = session
        if configuration.mutation == .revivesLapsed, current == nil, lastSession == id {
            current = LockSession(id: id, leaseUntil: .zero)
        }
        guard var session = current, session.id == id, let sent = renewal.end(number) else {
            return
        }
        leaseLength = length
        if !renewal.isAwaited, renewal.due != nil { renewal.due = sent + renewalInterval }
        // Counted from the sending: the leader counts from a later moment on.
        let begin = configuration.mutation == .countsFromAnswer ? now : sent
        let until = begin + trusted(length)
        guard until > session.leaseUntil else { return }
        session.leaseUntil = until
        self.session = session
        store(session, emit: emit)
        emit(.leaseExtended(id, until: until))
    }

    /// The session is dead for good, whatever the lock still thinks.
    mutating func lapse(_ lapsed: LockSession, emit: (LockEffect) -> Void) {
        session = nil
        renewal.due = nil
        if configuration.mutation != .revivesLapsed { renewal.sent = [:] }
        renewal.isAwaited = false
        store(LockSession(id: lapsed.id, leaseUntil: .zero), emit: emit)
        var denied: [TaskID] = []
        client.queue.removeAll { operation in
            guard case .acquire(let request, _) = operation else { return false }
            denied.append(request.task)
            return true
        }
        for task in denied { emit(.denied(task, .noSession)) }
        emit(.sessionLapsed(lapsed.id))
    }

    private var renewalInterval: Duration { leaseLength / LockConfiguration.renewalsPerLease }

    private func trusted(_ length: Duration) -> Duration {
        let lease = LockConfiguration.holderLease(length)
        return configuration.mutation == .holdsTooLong ? lease * 2 : lease
    }

    private mutating func store(_ session: LockSession, emit: (LockEffect) -> Void) {
        // An older row only ends the lease earlier after a restart.
        let row = LockSessionRow(
            id: session.id, leaseUntil: session.leaseUntil, machine: machine)
        store(row: LockSessionRow.key, row.encoded, emit: emit)
    }

    /// Writes a row for which nobody waits, and which is of no use once there is a newer one.
    mutating func store(row: [UInt8], _ value: [UInt8], emit: (LockEffect) -> Void) {
        let write = DurableWrite.put(.session, key: row, value: value)
        if rewriteDue != nil, let index = unwritten.lastIndex(where: { $0.row == row }) {
            // The disk refuses writes: the newest row takes the place of the one that waits.
            unwritten[index].writes = [write]
        } else {
            persist([write], row: row, emit: emit)
        }
    }
}
