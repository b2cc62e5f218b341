import CRDT
package import Model

/// One node's copy of the task table: joins, durability and dissemination.
///
/// Existence and content of tasks are joins only. Contexts of dots decide what need not be sent
/// again, and never that something is gone. A context takes in a dot once what it stands for is
/// on disk. Source: DESIGN §4; Almeida et al. 2018 for deltas; Enes et al. (arXiv 1803.02750) for
/// passing on only what changed the own state.
package struct TableReplica: Sendable {
    let node: NodeID
    let configuration: TableConfiguration
    var random: SeededGenerator
    /// Under which name this life draws dots.
    var origin: UInt64
    var lastSequence: UInt64 = 0
    let boot: BootID
    var lastBirth: UInt64 = 0

    var tasks: [TaskID: TaskRecord] = [:]
    /// Which task a mutation belongs to, per origin.
    var index: [UInt64: [UInt64: TaskID]] = [:]
    /// The mutations whose effects are on this disk.
    var context = DotSet()
    /// The same, with what is being written.
    var writtenContext = DotSet()
    var collected = DotSet()

    var peers: [NodeID] = []
    var peerContexts: [NodeID: DotSet] = [:]

    var writes = TableWrites()
    var outbox = TableOutbox()
    var submissions: [TaskID: TableSubmission] = [:]
    var acks: [UInt64: [TaskID]] = [:]
    /// Begins anywhere, so that an answer to an earlier life of this node fits nothing.
    var lastAck: UInt64
    var repairDue: Instant
    /// Closed tasks in the order in which this node saw them close.
    var closed = TableClosedQueue()

    /// Begins with what is on disk; rows that can't be read are left out and told by `damaged`.
    package init(
        node: NodeID, bootID: BootID, restored: DurableImage, configuration: TableConfiguration,
        seed: UInt64, at now: Instant
    ) {
        self.node = node
        self.configuration = configuration
        boot = bootID
        origin = bootID.value
        random = SeededGenerator(seed: seed)
        lastAck = random.next() >> 16
        repairDue = now + configuration.repairInterval
        restore(restored, at: now)
    }

    /// How many rows could not be read at the start; peers send those tasks again.
    package private(set) var damagedRows = 0

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: TableEvent, at now: Instant, emit: (TableEffect) -> Void
    ) {
        switch event {
        case .submit(let spec, let id, let wall, let copies):
            submit(spec, id: id, wall: wall, copies: copies, at: now)
        case .secure(let id, let copies):
            secure(id, copies: copies, at: now, emit: emit)
        case .cancel(let id):
            guard tasks[id]?.isCancelRequested == false else { break }
            mutate(id, at: now) { $0.isCancelRequested = true }
        case .writeAttempt(let id, let row):
            mutate(id, at: now) { $0.rows = [row] }
        case .close(let id, let outcome, let token, let wall):
            guard tasks[id]?.close == nil else { break }
            mutate(id, at: now) {
                $0.close = TaskRecord.Close(outcome: outcome, token: token, time: wall)
            }
        case .received(let bytes, let sender):
            receive(bytes, from: sender, at: now, emit: emit)
        case .peers(let peers):
            self.peers = peers.sorted()
            peerContexts = peerContexts.filter { peers.contains($0.key) }
        case .persisted(let ticket):
            persisted(ticket, emit: emit)
        case .persistFailed(let ticket):
            persistFailed(ticket, at: now, emit: emit)
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
        commit(emit: emit)
        push(at: now, emit: emit)
    }

    /// When the table next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        let resend = submissions.isEmpty ? nil : nextResend
        return [repairDue, outbox.due, resend].compactMap { $0 }.min()
    }

    /// When a submission may have to be pushed again; looked at all together.
    var nextResend: Instant?

    // MARK: Queries

    /// All that is known about a task.
    package func record(_ id: TaskID) -> TaskRecord? { tasks[id] }

    /// All records, in order of their IDs.
    package var records: [TaskRecord] { tasks.values.sorted { $0.id < $1.id } }

    /// Whether no more submissions are taken in.
    package var isFull: Bool { tasks.count >= TableConfiguration.tasksMax }

    /// How many matches `ids(matching:)` gives at most.
    package static let matchesMax = 8

    /// The tasks whose ID begins or ends with this text, without regard to case; in rising order.
    package func ids(matching fragment: String) -> [TaskID] {
        if let id = TaskID(fragment) { return tasks[id] == nil ? [] : [id] }
        guard !fragment.isEmpty else { return [] }
        let wanted = fragment.lowercased()
        let found = tasks.keys.filter {
            let text = $0.description
            return text.hasPrefix(wanted) || text.hasSuffix(wanted)
        }
        return Array(found.sorted().prefix(TableReplica.matchesMax))
    }

    /// Records and collected births as bytes: equal on replicas that know the same.
    package func canonicalBytes() -> [UInt8] {
        var writer = ByteWriter()
        for record in records {
            var delta = TaskDelta(record)
            delta.dots = []
            delta.encode(into: &writer)
        }
        writer.dots(collected, limit: .max)
        return writer.bytes
    }

    // MARK: Start

    private mutating func restore(_ image: DurableImage, at now: Instant) {
        for row in image[.context] { restoreContext(row) }
        for row in image[.task] {
            guard let delta = try? TaskDelta(decoding: row.value), let submission = delta.submission
            else {
                damagedRows += 1
                continue
            }
            var record = TaskRecord(id: delta.id, submission: submission)
            _ = record.join(delta)
            keep(record, at: now)
            // The row holds the effects of all its dots, whether or not the context's own row,
            // written later when a disk was full, came to say so.
            for dot in record.dots { context.insert(dot) }
        }
        // With a record missing, the context would claim what is not there: fetch all again.
        if damagedRows > 0 { context = DotSet() }
        writtenContext = context
    }

    private mutating func restoreContext(_ row: DurableImage.Row) {
        var reader = ByteReader(row.value)
        guard let kind = row.key.first, let set = try? reader.dots() else {
            damagedRows += 1
            return
        }
        if kind == TableWrites.contextKey {
            context.join(set)
        } else {
            collected.join(set)
        }
    }

    // MARK: Mutations

    private mutating func submit(
        _ spec: TaskSpec, id: TaskID, wall: WallTime, copies: Int, at now: Instant
    ) {
        precondition(tasks[id] == nil, "a submission is new to the node that takes it in")
        lastBirth += 1
        let birth = BirthDot(origin: boot, sequence: lastBirth)
        var delta = TaskDelta(id: id, dots: [drawDot()])
        delta.submission = TaskRecord.Submission(birth: birth, spec: spec, submitted: wall)
        submissions[id] = TableSubmission(wantedCopies: copies)
        nextResend = nextResend ?? now + configuration.resendInterval
        _ = join(delta, hops: originHops, at: now)
        writes.own.append(id)
    }

    /// Changes one task by a delta of this node's own; nothing happens when it says nothing new.
    mutating func mutate(
        _ id: TaskID, at now: Instant, _ change: (inout TaskDelta) -> Void
    ) {
        guard let record = tasks[id] else { return }
        var delta = TaskDelta(id: id, dots: [])
        change(&delta)
        var copy = record
        guard copy.join(delta) else { return }
        delta.dots = [drawDot()]
        _ = join(delta, hops: originHops, at: now)
        writes.own.append(id)
    }

    private var originHops: UInt8 {
        peers.count > TableConfiguration.directPeersMax ? TableConfiguration.hopsMax : 0
    }

    mutating func drawDot() -> Dot {
        lastSequence += 1
        return Dot(origin: origin, sequence: lastSequence)
    }

    /// Joins a delta, own or another's; returns whether it was news.
    ///
    /// The dots of a delta are taken in with it, or not at all: a delta that can't be placed
    /// (its task is unknown here) leaves no trace, and comes again by anti-entropy.
    mutating func join(_ delta: TaskDelta, hops: UInt8?, at now: Instant) -> Bool {
        if let birth = delta.submission?.birth ?? tasks[delta.id]?.birth,
            collected.contains(birth.dot)
        {
            writes.void(delta.dots)
            return false
        }
        let hadRecord = tasks[delta.id] != nil
        guard
            var record = tasks[delta.id]
                ?? delta.submission.map({ TaskRecord(id: delta.id, submission: $0) })
        else { return false }
        let knownDots = Set(record.dots)
        let hasGrown = record.join(delta) || !hadRecord
        guard hasGrown || !knownDots.isSuperset(of: delta.dots) else { return false }
        var passedOn = delta
        if record.dots.count >= TaskRecord.dotsMax {
            // A fresh dot for the whole record takes the place of the many: who lacks it gets
            // everything, so that the old ones can be void.
            for dot in record.dots { forget(dot) }
            record.dots = [drawDot()]
            passedOn = TaskDelta(record)
        }
        keep(record, at: now)
        writes.changed.insert(record.id)
        writes.dots +=
            delta.dots + record.dots.filter { !delta.dots.contains($0) && !knownDots.contains($0) }
        if let hops, hasGrown { outbox.add(passedOn, hops: hops) }
        if hasGrown { writes.grown.append(record.id) }
        return hasGrown
    }

    mutating func keep(_ record: TaskRecord, at now: Instant) {
        var record = record
        if record.close != nil, record.closeSeen == nil {
            record.closeSeen = now
            closed.append(record.id, at: now)
        }
        tasks[record.id] = record
        for dot in record.dots { index[dot.origin, default: [:]][dot.sequence] = record.id }
    }

    mutating func forget(_ dot: Dot) {
        index[dot.origin]?[dot.sequence] = nil
        if index[dot.origin]?.isEmpty == true { index[dot.origin] = nil }
    }
}

extension BirthDot {
    /// The birth as a plain dot, for sets of them.
    var dot: Dot { Dot(origin: origin.value, sequence: sequence) }
}
