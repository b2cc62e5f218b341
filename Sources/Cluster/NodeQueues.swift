import Gossip
import Lock

/// Something that waits in a node, and how much of it may.
package struct NodeQueue: Hashable, Sendable {
    /// What waits.
    package var name: String
    /// How many there are.
    package var count: Int
    /// How many there may be.
    package var countMax: Int
}

extension Node {
    /// What grows with what others ask for, beside its bound.
    package var queues: [NodeQueue] {
        [
            NodeQueue(
                name: "requests that wait for disks",
                count: submissions.values.reduce(0) { $0 + $1.count }
                    + cancelReplies.values.reduce(0) { $0 + $1.count },
                countMax: Node.requestsPendingMax),
            NodeQueue(name: "readings of logs", count: reads.count, countMax: Node.readsMax),
            NodeQueue(
                name: "effects that nobody has performed", count: undone.count, countMax: 0),
            NodeQueue(
                name: "candidates to steal", count: queue.count, countMax: table.heldMax),
            NodeQueue(
                name: "rumours", count: membership.rumourCount,
                countMax: GossipConfiguration.rumoursMax),
            NodeQueue(
                name: "writes of the lock that the disk has not taken",
                count: lock.unwrittenCount, countMax: LockNode.unwrittenCountMax),
        ] + table.queues
    }
}

extension TableReplica {
    /// What waits in the table, beside its bound.
    var queues: [NodeQueue] {
        [
            NodeQueue(
                name: "writes of the table under way", count: writes.outstanding.count,
                countMax: TableWrites.underWayMax),
            NodeQueue(
                name: "records that wait for a write", count: writes.next.changed.count,
                countMax: 2 * heldMax),
            NodeQueue(
                name: "acknowledgements that wait for the disk", count: writes.next.acks.count,
                countMax: TableWrites.acksMax),
            NodeQueue(
                name: "acknowledgements that wait for others", count: acks.count,
                countMax: TableConfiguration.acksMax),
            NodeQueue(
                name: "changes that wait to be pushed", count: outbox.count,
                countMax: TableOutbox.countMax + TableMessage.deltasMax),
            NodeQueue(
                name: "submissions that lack copies", count: submissions.count, countMax: heldMax),
            NodeQueue(
                name: "closed tasks in their retention", count: closed.count,
                countMax: 2 * heldMax + TableReplica.closedSlack),
        ]
    }
}
