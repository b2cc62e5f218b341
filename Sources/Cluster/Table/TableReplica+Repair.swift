import CRDT
import Model

/// Anti-entropy and collection: what eager push lost, and what everybody may forget.
extension TableReplica {
    mutating func deadlineReached(at now: Instant, emit: (TableEffect) -> Void) {
        if repairDue <= now {
            repairDue =
                now + configuration.repairInterval * 0.75
                + random.duration(upTo: configuration.repairInterval * 0.5)
            if let peer = peers.randomElement(using: &random) {
                let digest = TableMessage.digest(
                    context: context.digest, collected: collected.digest)
                emit(.send(digest.encoded, to: peer, via: .datagram))
            }
            retryRefusedWrites()
            collectDue(at: now, emit: emit)
        }
        resendSubmissions(at: now, emit: emit)
    }

    mutating func receive(
        _ bytes: [UInt8], from sender: NodeID, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard let message = try? TableMessage(decoding: bytes) else { return }
        switch message {
        case .push(let ack, let hops, let deltas):
            take(deltas, hops: hops > 1 ? hops - 1 : nil, at: now, emit: emit)
            if ack != 0 { writes.acks.append((sender, ack)) }
        case .stored(let ack):
            storedRemotely(ack, by: sender, emit: emit)
        case .digest(let context, let collected):
            compare(context, collected, with: sender, emit: emit)
        case .same(let digest):
            if digest == context.digest { peerContexts[sender] = context }
        case .vector(let theirs, let wantsReply):
            peerContexts[sender] = theirs
            supply(sender, lacking: theirs, emit: emit)
            if wantsReply {
                send(
                    TableMessage.vector(context, wantsReply: false).encoded, to: sender,
                    emit: emit)
            }
        case .records(let deltas, let voids):
            take(deltas, hops: nil, at: now, emit: emit)
            // What this node has itself is not void here, whatever the peer says.
            writes.voids += voids.filter { !context.contains($0.interval, of: $0.origin) }
        case .collected(let births):
            learnCollected(births, emit: emit)
        }
    }

    private mutating func take(
        _ deltas: [TaskDelta], hops: UInt8?, at now: Instant, emit: (TableEffect) -> Void
    ) {
        for delta in deltas {
            if delta.dots.contains(where: { $0.origin == origin && $0.sequence > lastSequence }) {
                // Nobody else may draw dots under this boot ID: begin a new one.
                origin = random.next()
                lastSequence = 0
                emit(.cloneSuspected)
            }
            _ = join(delta, hops: hops, at: now)
        }
    }

    private mutating func compare(
        _ theirContext: UInt64, _ theirCollected: UInt64, with sender: NodeID,
        emit: (TableEffect) -> Void
    ) {
        if theirCollected != collected.digest, !collected.isEmpty {
            send(TableMessage.collected(collected).encoded, to: sender, emit: emit)
        }
        if theirContext == context.digest {
            peerContexts[sender] = context
            send(TableMessage.same(context: theirContext).encoded, to: sender, emit: emit)
        } else {
            send(
                TableMessage.vector(context, wantsReply: true).encoded, to: sender, emit: emit)
        }
    }

    /// Sends a peer what it lacks, in portions; what does not fit is left for the next round.
    private func supply(
        _ peer: NodeID, lacking theirs: DotSet, emit: (TableEffect) -> Void
    ) {
        var ids: [TaskID] = []
        var seen: Set<TaskID> = []
        var voids: [(origin: UInt64, interval: ClosedRange<UInt64>)] = []
        for (origin, interval) in context.subtracting(theirs, limit: TableMessage.voidsMax) {
            let known = sequences(in: interval, of: origin)
            var lower = interval.lowerBound
            for (sequence, id) in known {
                if seen.insert(id).inserted { ids.append(id) }
                if sequence > lower { voids.append((origin, lower...(sequence - 1))) }
                lower = sequence == .max ? sequence : sequence + 1
            }
            if known.last?.sequence != interval.upperBound {
                voids.append((origin, lower...interval.upperBound))
            }
        }
        let deltas = ids.compactMap { tasks[$0].map(TaskDelta.init) }
        let parts = TableReplica.parts(of: deltas)
        for part in parts.prefix(TableConfiguration.repairMessagesMax) {
            send(TableMessage.records(part, voids: []).encoded, to: peer, emit: emit)
        }
        guard !voids.isEmpty else { return }
        send(
            TableMessage.records([], voids: Array(voids.prefix(TableMessage.voidsMax))).encoded,
            to: peer, emit: emit)
    }

    /// The mutations of an interval that stand for something, in rising order.
    ///
    /// An interval may be absurdly long when a peer made it up: the work is bounded by what is known.
    private func sequences(
        in interval: ClosedRange<UInt64>, of origin: UInt64
    ) -> [(sequence: UInt64, id: TaskID)] {
        guard let known = index[origin] else { return [] }
        if interval.upperBound - interval.lowerBound < UInt64(known.count) {
            return interval.compactMap { sequence in known[sequence].map { (sequence, $0) } }
        }
        return known.filter { interval.contains($0.key) }.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value) }
    }

    // MARK: Collection

    /// Drops closed tasks past their retention that every member in reach is known to have.
    private mutating func collectDue(at now: Instant, emit: (TableEffect) -> Void) {
        for id in closed.due(at: now, retention: configuration.retention) {
            guard let record = tasks[id] else { continue }
            let isStable = record.dots.allSatisfy { dot in
                context.contains(dot)
                    && peers.allSatisfy { peerContexts[$0]?.contains(dot) == true }
            }
            guard isStable else {
                closed.postpone(id, at: now)
                continue
            }
            drop(record, emit: emit)
        }
    }

    private mutating func learnCollected(_ births: DotSet, emit: (TableEffect) -> Void) {
        guard collected.join(births) else { return }
        writes.hasCollected = true
        for record in records where collected.contains(record.birth.dot) {
            drop(record, emit: emit)
        }
    }

    private mutating func drop(_ record: TaskRecord, emit: (TableEffect) -> Void) {
        tasks[record.id] = nil
        for dot in record.dots { forget(dot) }
        collected.insert(record.birth.dot)
        writes.hasCollected = true
        writes.changed.remove(record.id)
        writes.removed.append(record.id)
        emit(
            .collected(
                record.id, birth: record.birth, attempts: record.attempts.map(\.token)))
    }
}

extension DotSet {
    /// Whether the whole interval is in the set.
    fileprivate func contains(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        intervals(of: origin).contains {
            $0.lowerBound <= interval.lowerBound && interval.upperBound <= $0.upperBound
        }
    }
}

/// Closed tasks in the order in which they were seen to close.
struct TableClosedQueue: Sendable {
    private var waiting: [(id: TaskID, seen: Instant)] = []
    private var head = 0

    /// How many tasks one look may give, so that none takes long.
    static let dueMax = 1_024

    mutating func append(_ id: TaskID, at now: Instant) {
        waiting.append((id, now))
    }

    /// Puts a task back that could not be collected yet; it is looked at again in order.
    mutating func postpone(_ id: TaskID, at now: Instant) {
        postponed.append(id)
    }

    private var postponed: [TaskID] = []

    /// Takes out the tasks whose retention is over, and those that were put back.
    mutating func due(at now: Instant, retention: Duration) -> [TaskID] {
        var due = Array(postponed.prefix(TableClosedQueue.dueMax))
        postponed.removeFirst(due.count)
        while head < waiting.count, due.count < TableClosedQueue.dueMax,
            now - waiting[head].seen >= retention
        {
            due.append(waiting[head].id)
            head += 1
        }
        if head > 1_024, head * 2 > waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        return due
    }
}
