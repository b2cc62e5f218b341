import CRDT
import Model

/// What one event changes on disk, and what hangs on it.
struct TableWrites: Sendable {
    /// Records to write.
    var changed: Set<TaskID> = []
    /// Records to remove.
    var removed: [TaskID] = []
    /// Mutations whose effects are written with the records.
    var dots: [Dot] = []
    /// Mutations that stand for nothing any more.
    var voids: [(origin: UInt64, interval: ClosedRange<UInt64>)] = []
    /// Whether the set of collected births has grown.
    var hasCollected = false
    /// Tasks that this node itself has changed.
    var own: [TaskID] = []
    /// Tasks whose records have grown, in the order in which they did.
    var grown: [TaskID] = []
    /// Whom to tell once it is on disk.
    var acks: [(peer: NodeID, ack: UInt64)] = []

    static let contextKey: UInt8 = 1
    static let collectedKey: UInt8 = 2

    /// What waits for one ticket.
    struct Outstanding: Sendable {
        var changed: Set<TaskID>
        var removed: [TaskID]
        var hasCollected: Bool
        var dots: [Dot]
        var voids: [(origin: UInt64, interval: ClosedRange<UInt64>)]
        var own: [TaskID]
        var acks: [(peer: NodeID, ack: UInt64)]
    }

    var outstanding: [TableTicket: Outstanding] = [:]
    /// What the disk refused; tried again with the next repair.
    var refused: [Outstanding] = []
    var lastTicket = TableTicket(0)

    /// Whether a record, or its latest change, is not on disk yet.
    func isUnderWay(_ id: TaskID) -> Bool {
        changed.contains(id) || outstanding.values.contains { $0.changed.contains(id) }
            || refused.contains { $0.changed.contains(id) }
    }

    mutating func void(_ dots: [Dot]) {
        voids += dots.map { ($0.origin, $0.sequence...$0.sequence) }
    }

    var isEmpty: Bool {
        changed.isEmpty && removed.isEmpty && dots.isEmpty && voids.isEmpty && !hasCollected
    }
}

extension TableReplica {
    /// Emits the event's changes as one write, and tells what has grown.
    mutating func commit(emit: (TableEffect) -> Void) {
        if !writes.refused.isEmpty {
            // What is asked for may be among what the disk refused: it is vouched for with that.
            writes.refused[writes.refused.count - 1].acks += writes.acks
            writes.acks = []
        }
        let grown = writes.grown
        writes.grown = []
        var told: Set<TaskID> = []
        for id in grown where told.insert(id).inserted { emit(.changed(id)) }
        guard !writes.isEmpty else {
            acknowledgeKnown(emit: emit)
            return
        }
        var batch: [DurableWrite] = writes.removed.map {
            .delete(.task, key: $0.value.bytes)
        }
        for id in writes.changed.sorted() {
            guard let record = tasks[id] else { continue }
            batch.append(.put(.task, key: id.value.bytes, value: TaskDelta(record).encoded))
        }
        batch += contextRows()
        writes.lastTicket = TableTicket(writes.lastTicket.value + 1)
        writes.outstanding[writes.lastTicket] = TableWrites.Outstanding(
            changed: writes.changed, removed: writes.removed, hasCollected: writes.hasCollected,
            dots: writes.dots, voids: writes.voids, own: writes.own, acks: writes.acks)
        emit(.persist(batch, writes.lastTicket))
        writes.changed = []
        writes.removed = []
        writes.dots = []
        writes.voids = []
        writes.own = []
        writes.acks = []
        writes.hasCollected = false
    }

    /// Nothing new was said: all of it is on disk, or on its way there under earlier tickets.
    private mutating func acknowledgeKnown(emit: (TableEffect) -> Void) {
        let acks = writes.acks
        writes.acks = []
        if let last = writes.outstanding.keys.max() {
            writes.outstanding[last]?.acks += acks
        } else {
            for (peer, ack) in acks { acknowledge(ack, to: peer, emit: emit) }
        }
    }

    private mutating func contextRows() -> [DurableWrite] {
        var touched: Set<UInt64> = []
        for dot in writes.dots where writtenContext.insert(dot) { touched.insert(dot.origin) }
        for (origin, interval) in writes.voids
        where writtenContext.insert(interval, of: origin) {
            touched.insert(origin)
        }
        var rows = touched.sorted().map {
            row(TableWrites.contextKey, of: writtenContext, origin: $0)
        }
        if writes.hasCollected {
            rows += collected.origins.map {
                row(TableWrites.collectedKey, of: collected, origin: $0)
            }
        }
        return rows
    }

    private func row(_ kind: UInt8, of set: DotSet, origin: UInt64) -> DurableWrite {
        var key = ByteWriter()
        key.byte(kind)
        key.fixed64(origin)
        var part = DotSet()
        for interval in set.intervals(of: origin) { part.insert(interval, of: origin) }
        var value = ByteWriter()
        value.dots(part, limit: .max)
        return .put(.context, key: key.bytes, value: value.bytes)
    }

    /// A write is on disk: its dots may be claimed, and who waits for it is told.
    mutating func persisted(_ ticket: TableTicket, emit: (TableEffect) -> Void) {
        guard let done = writes.outstanding.removeValue(forKey: ticket) else { return }
        for dot in done.dots { context.insert(dot) }
        for (origin, interval) in done.voids { context.insert(interval, of: origin) }
        for id in done.own { emit(.storedLocally(id)) }
        for id in done.changed.sorted() where submissions[id]?.isOnOwnDisk == false {
            submissions[id]?.isOnOwnDisk = true
            reportCopies(of: id, emit: emit)
        }
        for (peer, ack) in done.acks { acknowledge(ack, to: peer, emit: emit) }
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
        guard let lost = writes.outstanding.removeValue(forKey: ticket) else { return }
        writtenContext = context
        for outstanding in writes.outstanding.values {
            for dot in outstanding.dots { writtenContext.insert(dot) }
        }
        writes.refused.append(lost)
        for id in lost.own where submissions[id] != nil {
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
        for lost in writes.refused {
            writes.changed.formUnion(lost.changed.filter { tasks[$0] != nil })
            writes.removed += lost.removed.filter { tasks[$0] == nil }
            writes.hasCollected = writes.hasCollected || lost.hasCollected
            writes.own += lost.own
            writes.dots += lost.dots
            writes.voids += lost.voids
            writes.acks += lost.acks
        }
        writes.refused = []
    }

    func acknowledge(_ ack: UInt64, to peer: NodeID, emit: (TableEffect) -> Void) {
        emit(.send(TableMessage.stored(ack: ack).encoded, to: peer, via: .datagram))
    }
}
