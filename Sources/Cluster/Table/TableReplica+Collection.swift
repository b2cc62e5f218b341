import CRDT
import Model

/// Collection: what everybody may forget.
extension TableReplica {
    /// How many tasks one look collects at most, so that none takes long.
    static let collectedAtOnceMax = 8_192

    /// All changes up to this one are on the disks of this node and of every peer in reach.
    private var stableRevision: UInt64 {
        peers.reduce(durableRevision) { min($0, peerKnowledge[$1]?.revision ?? 0) }
    }

    /// Waits for the end of a closed task's retention.
    ///
    /// Tasks that others have collected before stay in the heap until they are due here, which may
    /// be long after: they are removed before they outnumber those that are there.
    mutating func waitForRetention(of record: TaskRecord, at now: Instant) {
        closed.insert(
            record.id, due: now + (record.spec.retention ?? configuration.retention))
        guard closed.count > 2 * tasks.count + TableReplica.closedSlack else { return }
        closed.keep { [tasks] in tasks.position(of: $0) != nil }
    }

    /// So many tasks that are gone are not worth the work.
    static let closedSlack = 4_096

    /// Drops closed tasks past their retention that every member in reach is known to have.
    mutating func collectDue(at now: Instant, emit: (TableEffect) -> Void) {
        let stable = stableRevision
        for _ in 0..<TableReplica.collectedAtOnceMax {
            guard let id = closed.popDue(at: now) else { return }
            guard let record = tasks[id], record.close != nil else { continue }
            guard record.revision <= stable, hasRoom(forCollected: record.births) else {
                closed.insert(id, due: now + configuration.repairInterval * 4)
                continue
            }
            drop(record, emit: emit)
        }
    }

    /// A set of births with too many gaps is not made worse: tasks are kept instead.
    private func hasRoom(forCollected births: [BirthDot]) -> Bool {
        births.allSatisfy {
            hasRoom(forCollected: $0.sequence...$0.sequence, of: $0.origin.value)
        }
    }

    private func hasRoom(
        forCollected interval: ClosedRange<UInt64>, of origin: UInt64
    ) -> Bool {
        collected.intervalCount < configuration.intervalsMax
            || collected.touches(interval, of: origin)
    }

    /// Joins births that another node says were collected; their records go.
    mutating func learnCollected(
        _ births: DotSet, at now: Instant, emit: (TableEffect) -> Void
    ) {
        var ids: [TaskID] = []
        for (origin, interval) in births.subtracting(collected)
        where hasRoom(forCollected: interval, of: origin) {
            heed(interval.upperBound, of: origin, isBirth: true, at: now, emit: emit)
            collected.insert(interval, of: origin)
            writes.next.births.insert(interval, of: origin)
            birthIndex.forEach(in: interval, of: origin) { _, id in
                ids.append(id)
                return true
            }
        }
        for id in ids {
            if let record = tasks[id] { drop(record, emit: emit) }
        }
    }

    /// A task was collected under a birth that this node never heard of: what it has of it is another
    /// submission of the same.
    mutating func collectedElsewhere(_ id: TaskID, emit: (TableEffect) -> Void) {
        guard let record = tasks[id], hasRoom(forCollected: record.births) else { return }
        drop(record, emit: emit)
    }

    /// Puts a birth into the set of those that are done with.
    mutating func collect(_ birth: BirthDot) {
        guard configuration.mutation != .forgetsCollected else { return }
        guard collected.insert(birth.dot) else { return }
        writes.next.births.insert(birth.dot)
    }

    /// Drops a record; all its births are collected with it.
    mutating func drop(_ record: TaskRecord, emit: (TableEffect) -> Void) {
        tasks.remove(record.id)
        if configuration.mutation != .forgetsCollected { collectedTasks.insert(record.id) }
        for dot in record.dots { forget(dot, of: record.id) }
        for birth in record.births {
            collect(birth)
            if birthIndex[birth.dot] == record.id { birthIndex.remove(birth.dot) }
        }
        outbox.remove(record.id)
        writes.next.removed.insert(record.id)
        emit(
            .collected(
                record.id, births: record.births, attempts: record.attempts.map(\.token)))
    }
}
