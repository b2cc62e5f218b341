import CRDT
package import Model

/// One node's copy of the task table: joins, durability and dissemination.
///
/// Existence and content of tasks are joins only. Contexts of dots decide what need not be sent
/// again, and never that something is gone: whatever they make two replicas miss, comparing
/// fingerprints of the records finds. A context takes in a dot once what it stands for is on disk.
///
/// Source: DESIGN §4; Almeida et al. 2018 for deltas; Enes et al. (arXiv 1803.02750) for passing on
/// only what changed the own state; Meyer 2023 for comparing ranges.
package struct TableReplica: Sendable {
    let node: NodeID
    let configuration: TableConfiguration
    var random: SeededGenerator
    /// Under which name this life draws dots, and counts births.
    var origin: UInt64
    var lastSequence: UInt64 = 0
    var lastBirth: UInt64 = 0

    /// All tasks that are known and were not collected.
    typealias Tasks = RangedMap<TaskID, TaskRecord>
    var tasks = Tasks()
    /// Where tasks were found last.
    var guesses = Tasks.Guesses()
    /// Which task a mutation belongs to.
    var index = DotIndex()
    /// Which task a birth belongs to.
    var birthIndex = DotIndex()
    /// The mutations whose effects are on this disk.
    var context = DotSet()
    var collected = DotSet()
    /// What was collected here last; others may bring it back under a birth that nobody here knows.
    var collectedTasks = CollectedTasks()

    /// Counts the changes of this replica.
    var revision: UInt64 = 0
    /// All changes up to this one are on disk.
    var durableRevision: UInt64 = 0

    var peers: [NodeID] = []
    /// Which of this node's changes each peer is known to have.
    var peerKnowledge: [NodeID: PeerKnowledge] = [:]

    /// What may still be under way to peers.
    var supplies: [NodeID: SupplyUnderWay] = [:]

    var writes = TableWrites()
    var outbox = TableOutbox()
    var submissions: [TaskID: TableSubmission] = [:]
    var acks: [UInt64: [TaskID]] = [:]
    /// Begins anywhere, so that an answer to an earlier life of this node fits nothing.
    var lastAck: UInt64
    /// When a submission may have to be pushed again; looked at all together.
    var nextResend: Instant?
    var repairDue: Instant
    /// Who was asked last whether it knows the same, and when.
    var asked: (peer: NodeID, at: Instant)?
    /// When ranges are compared, whatever the contexts say.
    var rangesDue: Instant
    /// Closed tasks, until their retention is over.
    var closed = TimerHeap<TaskID>()

    /// How many rows could not be read at the start; peers send those tasks again.
    package internal(set) var damagedRows = 0
    /// Records found on disk though they were collected; dropped with the first event.
    var collectedAtStart: [TaskID] = []

    /// Begins with what is on disk; rows that can't be read are left out and counted.
    package init(
        node: NodeID, bootID: BootID, restored: DurableImage, configuration: TableConfiguration,
        seed: UInt64, at now: Instant
    ) {
        self.node = node
        self.configuration = configuration
        origin = configuration.mutation == .reusesOrigin ? node.value.low : bootID.value
        random = SeededGenerator(seed: seed)
        lastAck = random.next() >> 16
        repairDue = now + configuration.repairInterval
        rangesDue = now + configuration.rangesInterval
        restore(restored, at: now)
    }

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: TableEvent, at now: Instant, emit: (TableEffect) -> Void
    ) {
        for id in collectedAtStart {
            if let record = tasks[id] { drop(record, emit: emit) }
        }
        collectedAtStart = []
        switch event {
        case .submit(let spec, let id, let wall, let copies):
            submit(spec, id: id, wall: wall, copies: copies, at: now, emit: emit)
        case .secure(let id, let copies):
            secure(id, copies: copies, at: now, emit: emit)
        case .cancel(let id):
            guard tasks[id]?.isCancelRequested == false else { break }
            mutate(id, at: now, emit: emit) { $0.isCancelRequested = true }
        case .writeAttempt(let id, let row):
            let patch = RowPatch(
                from: tasks[id]?.content.rows[row.key], to: row, sender: node)
            mutate(id, at: now, emit: emit) { delta in
                delta.rows = [row]
                delta.patches[row.key] = patch
            }
        case .collectedElsewhere(let id):
            collectedElsewhere(id, emit: emit)
        case .close(let id, let outcome, let token, let wall):
            guard let record = tasks[id], record.close == nil else { break }
            mutate(id, at: now, emit: emit) {
                $0.close = TaskRecord.Close(outcome: outcome, token: token, time: wall)
            }
        case .received(let bytes, let sender):
            receive(bytes, from: sender, at: now, emit: emit)
        case .peers(let peers):
            self.peers = peers.sorted()
            let present = Set(peers)
            peerKnowledge = peerKnowledge.filter { present.contains($0.key) }
            supplies = supplies.filter { present.contains($0.key) }
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

    // MARK: Queries

    /// All that is known about a task.
    package func record(_ id: TaskID) -> TaskRecord? { tasks[id] }

    /// All records, in order of their IDs.
    package var records: [TaskRecord] { tasks.values }

    /// Whether no more submissions are taken in.
    package var isFull: Bool { tasks.count >= configuration.tasksMax }

    /// How many matches `ids(matching:)` gives at most.
    package static let matchesMax = 8

    /// The tasks whose ID begins or ends with this text, without regard to case; in rising order.
    package func ids(matching fragment: String) -> [TaskID] {
        if let id = TaskID(fragment) { return tasks[id] == nil ? [] : [id] }
        guard !fragment.isEmpty else { return [] }
        let wanted = fragment.lowercased()
        let found = tasks.keys.lazy.filter {
            let text = $0.description
            return text.hasPrefix(wanted) || text.hasSuffix(wanted)
        }
        return Array(found.prefix(TableReplica.matchesMax))
    }

    /// Records and collected births as bytes: equal on replicas that know the same.
    package func canonicalBytes() -> [UInt8] {
        var writer = ByteWriter()
        for record in records { writer.blob(TaskDelta(record).contentBytes) }
        writer.dots(collected)
        return writer.bytes
    }

    /// Equal on replicas that know the same, and hardly ever on others; cheap.
    package var contentFingerprint: UInt64 {
        Fingerprint.mix(tasks.fingerprint) ^ collected.fingerprint
    }

    /// What replicas tell each other to find out whether they know the same.
    var digest: TableDigest {
        TableDigest(
            context: context.fingerprint, collected: collected.fingerprint,
            records: tasks.fingerprint)
    }

    // MARK: Own changes

    private mutating func submit(
        _ spec: TaskSpec, id: TaskID, wall: WallTime, copies: Int, at now: Instant,
        emit: (TableEffect) -> Void
    ) {
        precondition(tasks[id] == nil, "a submission is new to the node that takes it in")
        guard tasks.count < heldMax else { return emit(.submitFailed(id, reason: "no room")) }
        lastBirth += 1
        let birth = BirthDot(origin: BootID(origin), sequence: lastBirth)
        var delta = TaskDelta(id: id, dots: [drawDot()])
        delta.submission = TaskRecord.Submission(birth: birth, spec: spec, submitted: wall)
        delta.addNewerFields(configuration.newerFields)
        submissions[id] = TableSubmission(wantedCopies: copies)
        nextResend = nextResend ?? now + configuration.resendInterval
        joinOwn(delta, at: now)
    }

    /// Changes one task by a delta of this node's own; nothing happens when it says nothing new.
    private mutating func mutate(
        _ id: TaskID, at now: Instant, emit: (TableEffect) -> Void,
        _ change: (inout TaskDelta) -> Void
    ) {
        guard var record = tasks[id] else { return }
        var delta = TaskDelta(id: id, dots: [])
        change(&delta)
        guard record.join(delta) else { return }
        delta.dots = [drawDot()]
        joinOwn(delta, at: now)
    }

    private mutating func joinOwn(_ delta: TaskDelta, at now: Instant) {
        var delta = delta
        let joined = join(&delta, from: TaskRecord.Source(sender: node), at: now)
        precondition(joined == .grown, "a change of one's own is news")
        outbox.add(delta, hops: nil)
        writes.next.own.insert(delta.id)
    }

    private mutating func drawDot() -> Dot {
        lastSequence += 1
        return Dot(origin: origin, sequence: lastSequence)
    }

    /// Draws a new origin when somebody has dots or births of this one that were never issued.
    ///
    /// A clone of this process draws them too, or a peer made them up. What is issued from now on
    /// is neither the clone's nor already said to be known or collected.
    mutating func heed(
        _ sequence: UInt64, of origin: UInt64, isBirth: Bool, at now: Instant,
        emit: (TableEffect) -> Void
    ) {
        guard origin == self.origin, sequence > (isBirth ? lastBirth : lastSequence) else { return }
        guard configuration.mutation != .reusesOrigin else { return }
        // A clone has the same generator: the time at which it notices is its own.
        self.origin = random.next() ^ Fingerprint.mix(UInt64(bitPattern: now.nanoseconds))
        lastSequence = 0
        lastBirth = 0
        emit(.cloneSuspected)
    }
}

extension BirthDot {
    /// The birth as a plain dot, for sets of them.
    var dot: Dot { Dot(origin: origin.value, sequence: sequence) }
}
