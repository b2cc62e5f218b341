import CRDT
import Model

/// What changes on disk, and what hangs on it.
///
/// Events gather in `next`, which is written at once unless many writes are under way: on a slow
/// disk, changes wait here, each task once, instead of in a queue that grows.
struct TableWrites: Sendable {
    /// What one write, or several that were joined, puts on disk.
    struct Batch: Sendable {
        /// Records to write; without order, and a few of them twice.
        var changed: [TaskID] = []
        /// Records to remove.
        var removed: Set<TaskID> = []
        /// Mutations whose effects are written with the records, or that stand for nothing.
        var dots = DotSet()
        /// Births that were collected.
        var births = DotSet()
        /// Tasks that this node itself has changed.
        var own: Set<TaskID> = []
        /// Whom to tell once it is on disk.
        var acks: [(peer: NodeID, ack: UInt64)] = []
        /// Who has more to send once this is on disk.
        var followUps: Set<NodeID> = []
        /// The count of changes at which it was written.
        var revision: UInt64 = 0

        var isEmpty: Bool {
            changed.isEmpty && removed.isEmpty && dots.isEmpty && births.isEmpty
        }

        mutating func absorb(_ other: Batch) {
            changed = TableWrites.sorted(changed + other.changed)
            removed.formUnion(other.removed)
            dots.join(other.dots)
            births.join(other.births)
            own.formUnion(other.own)
            absorbAcks(of: other)
            revision = max(revision, other.revision)
        }

        /// Takes over who is to be told; beyond the bound, peers push again.
        mutating func absorbAcks(of other: Batch) {
            let room = TableWrites.acksMax - acks.count
            acks += other.acks.prefix(max(room, 0))
            followUps.formUnion(other.followUps)
        }

        mutating func removeAcks() {
            acks = []
            followUps = []
        }
    }

    /// What is to be written next.
    var next = Batch()
    /// What was given to the disk, in order.
    var outstanding: [(ticket: TableTicket, batch: Batch)] = []
    /// What the disk refused; tried again with the next repair.
    var refused: Batch?
    /// Tasks whose records have grown by this event, in the order in which they did.
    var grown: [TaskID] = []
    var lastTicket = TableTicket(0)
    /// The count of changes at which `next` began to gather.
    var gatheredFrom: UInt64 = 0

    /// How many writes are under way before changes gather.
    static let underWayMax = 64
    /// How many acknowledgements wait for the disk; a push beyond is not vouched for, and repeated.
    static let acksMax = 16_384

    /// Whether a record, or its latest change, is not on disk yet.
    func isUnderWay(_ id: TaskID) -> Bool {
        next.changed.contains(id) || outstanding.contains { $0.batch.changed.contains(id) }
            || refused?.changed.contains(id) == true
    }

    /// In rising order, each once.
    static func sorted(_ ids: [TaskID]) -> [TaskID] {
        let all = ids.sorted()
        return all.indices.filter { $0 == 0 || all[$0] != all[$0 - 1] }.map { all[$0] }
    }

    mutating func void(_ dots: DotList) {
        for dot in dots { next.dots.insert(dot) }
    }
}

extension TableReplica {
    /// Tells what has grown, and gives the disk what has gathered.
    mutating func commit(emit: (TableEffect) -> Void) {
        tellGrown(emit: emit)
        if writes.refused != nil {
            // What is asked for may be among what the disk refused: it is vouched for with that.
            writes.refused?.absorbAcks(of: writes.next)
            writes.next.removeAcks()
        }
        guard !writes.next.isEmpty else { return acknowledgeKnown(emit: emit) }
        guard writes.outstanding.count < TableWrites.underWayMax else { return }
        var batch = writes.next
        writes.next = TableWrites.Batch()
        batch.revision = revision
        batch.dots = claimable(batch.dots)
        writes.gatheredFrom = revision
        var rows: [DurableWrite] = batch.removed.sorted().map {
            .delete(.task, key: $0.value.bytes)
        }
        batch.changed = TableWrites.sorted(batch.changed)
        for id in batch.changed {
            guard let record = tasks[id] else { continue }
            rows.append(.put(.task, key: id.value.bytes, value: TaskDelta(record).encoded))
        }
        TableRow.append(batch.dots, of: .context, within: context, to: &rows)
        TableRow.append(batch.births, of: .collected, within: collected, to: &rows)
        writes.lastTicket = TableTicket(writes.lastTicket.value + 1)
        writes.outstanding.append((writes.lastTicket, batch))
        emit(.persist(rows, writes.lastTicket))
    }

    private mutating func tellGrown(emit: (TableEffect) -> Void) {
        guard !writes.grown.isEmpty else { return }
        let grown = writes.grown
        writes.grown = []
        var told: Set<TaskID> = []
        for id in grown where told.insert(id).inserted { emit(.changed(id)) }
    }

    /// Nothing new was said: all of it is on disk, or on its way there under earlier tickets.
    private mutating func acknowledgeKnown(emit: (TableEffect) -> Void) {
        guard !writes.next.acks.isEmpty || !writes.next.followUps.isEmpty else { return }
        let batch = writes.next
        writes.next.removeAcks()
        if let last = writes.outstanding.indices.last {
            writes.outstanding[last].batch.absorbAcks(of: batch)
        } else {
            // Who has more to send, but sent nothing new, is asked with the next repair.
            for (peer, ack) in batch.acks { acknowledge(ack, to: peer, emit: emit) }
        }
    }

    /// A write is on disk: its dots may be claimed, and who waits for it is told.
    mutating func persisted(_ ticket: TableTicket, emit: (TableEffect) -> Void) {
        guard let index = writes.outstanding.firstIndex(where: { $0.ticket == ticket }) else {
            return
        }
        let done = writes.outstanding.remove(at: index).batch
        claim(done.dots)
        if writes.refused == nil, index == 0 { durableRevision = done.revision }
        for id in done.own.sorted() { emit(.storedLocally(id)) }
        for id in done.changed
        where submissions[id]?.isOnOwnDisk == false && tasks.position(of: id) != nil {
            submissions[id]?.isOnOwnDisk = true
            reportCopies(of: id, emit: emit)
        }
        for (peer, ack) in done.acks { acknowledge(ack, to: peer, emit: emit) }
        for peer in done.followUps.sorted() { sendContext(to: peer, wantsReply: false, emit: emit) }
    }

    /// Of these dots, those for whose intervals there is room: in memory, and on disk.
    private func claimable(_ dots: DotSet) -> DotSet {
        let underWay =
            writes.outstanding.reduce(0) { $0 + $1.batch.dots.intervalCount }
            + (writes.refused?.dots.intervalCount ?? 0)
        var room = configuration.intervalsMax - context.intervalCount - underWay
        guard dots.intervalCount > room else { return dots }
        var claimed = DotSet()
        dots.forEach { origin, interval in
            if !context.touches(interval, of: origin) {
                guard room > 0 else { return }
                room -= 1
            }
            claimed.insert(interval, of: origin)
        }
        return claimed
    }

    /// Takes dots into the context.
    private mutating func claim(_ dots: DotSet) {
        context.join(dots)
        guard configuration.mutation == .claimsBelowHighest else { return }
        dots.forEach { origin, interval in
            context.insert(min(1, interval.upperBound)...interval.upperBound, of: origin)
        }
    }

    /// Why a submission fails that no disk has taken.
    static let diskRefusal = "the disk refused the write"

    /// The write is lost: all of it is held in memory and written again later.
    ///
    /// A submission among it still counts on other nodes' disks; it fails when there are none. It
    /// may have reached a node all the same, and is not withdrawn there: its client may have
    /// repeated itself, and been promised that the task is safe.
    mutating func persistFailed(
        _ ticket: TableTicket, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard let index = writes.outstanding.firstIndex(where: { $0.ticket == ticket }) else {
            return
        }
        let lost = writes.outstanding.remove(at: index).batch
        if writes.refused == nil { writes.refused = TableWrites.Batch() }
        writes.refused?.absorb(lost)
        for id in lost.own.sorted() where submissions[id] != nil {
            if peers.isEmpty {
                submissions[id] = nil
                emit(.submitFailed(id, reason: TableReplica.diskRefusal))
            } else {
                submissions[id]?.isOwnDiskRefused = true
                reportCopies(of: id, emit: emit)
            }
        }
    }

    /// Puts what the disk refused into the next write.
    mutating func retryRefusedWrites() {
        guard var lost = writes.refused else { return }
        writes.refused = nil
        lost.changed = lost.changed.filter { tasks[$0] != nil }
        lost.removed = lost.removed.filter { tasks[$0] == nil }
        writes.next.absorb(lost)
    }

    func acknowledge(_ ack: UInt64, to peer: NodeID, emit: (TableEffect) -> Void) {
        emit(.send(TableMessage.stored(ack: ack).encoded, to: peer, via: .datagram))
    }
}
