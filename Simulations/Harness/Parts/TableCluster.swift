import Cluster
package import Model

/// The production task tables of many nodes, and nothing else of them: what dissemination does by
/// itself, without anti-entropy and disks.
package final class TableCluster {
    private enum Event {
        case message([UInt8], from: Int, to: Int)
        case wake(Int)
    }

    private var replicas: [TableReplica]
    private var queue = EventQueue<Event>()
    private var now = Instant(nanoseconds: 5_000_000_000)
    private let ids: [NodeID]
    private var isNextLost = false
    /// How long a message takes.
    private static let delay: Duration = .milliseconds(1)
    /// Repair is far off: pushing alone is looked at.
    private static let never: Duration = .seconds(1_000_000)

    /// Makes a cluster whose tables are empty, and in which all know each other.
    package init(count: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        ids = (0..<count).map { _ in
            NodeID(Wide128(high: random.next(), low: random.next()))
        }
        var configuration = TableConfiguration(retention: TableCluster.never)
        configuration.repairInterval = TableCluster.never
        configuration.rangesInterval = TableCluster.never
        configuration.resendInterval = TableCluster.never
        replicas = []
        for id in ids {
            replicas.append(
                TableReplica(
                    node: id, bootID: BootID(random.next()), restored: DurableImage(),
                    configuration: configuration, seed: random.next(), at: now))
        }
        for number in replicas.indices {
            let peers = ids.filter { $0 != ids[number] }
            _ = tell(number, .peers(peers))
        }
    }

    /// What came of one submission's push.
    package struct Outcome: Sendable {
        /// The share of nodes that did not hear of it.
        package var residue: Double
        /// How many messages carried it, per node.
        package var traffic: Double
    }

    /// Submits a task at one node, and lets its push run out; when it `losesFirst`, the first message
    /// is lost, and with it all whom its receiver was to tell.
    package func spread(_ task: TaskID, from origin: Int, losesFirst: Bool = false) -> Outcome {
        isNextLost = losesFirst
        var messages = tell(
            origin,
            .submit(
                TaskSpec(command: ["true"]), id: task, wall: WallTime(milliseconds: 1),
                wantedCopies: 1))
        let end = now + .seconds(60)
        while let time = queue.firstTime, time < end.nanoseconds,
            let (due, event) = queue.popFirst()
        {
            now = max(now, Instant(nanoseconds: due))
            switch event {
            case .message(let bytes, let from, let to):
                messages += tell(to, .received(bytes, from: ids[from]))
            case .wake(let number): messages += tell(number, .deadlineReached)
            }
        }
        now = end
        let missed = replicas.count { $0.record(task) == nil }
        return Outcome(
            residue: Double(missed) / Double(replicas.count),
            traffic: Double(messages) / Double(replicas.count))
    }

    /// Hands an event to a table; returns how many messages with news it sent.
    private func tell(_ number: Int, _ event: TableEvent) -> Int {
        var sent = 0
        var tickets: [TableTicket] = []
        let before = replicas[number].nextDeadline
        replicas[number].handle(event, at: now) { effect in
            switch effect {
            case .send(let bytes, let peer, _):
                guard let to = places[peer] else { return }
                // Answers to the origin carry no news.
                guard TableReplica.isPush(bytes) else { return }
                sent += 1
                if isNextLost {
                    isNextLost = false
                    return
                }
                queue.insert(
                    .message(bytes, from: number, to: to),
                    at: (now + TableCluster.delay).nanoseconds)
            case .persist(_, let ticket): tickets.append(ticket)
            default: break
            }
        }
        for ticket in tickets { sent += tell(number, .persisted(ticket)) }
        if let due = replicas[number].nextDeadline, before.map({ due < $0 }) ?? true {
            queue.insert(.wake(number), at: max(due, now).nanoseconds)
        }
        return sent
    }

    private lazy var places = Dictionary(
        uniqueKeysWithValues: ids.enumerated().map { ($0.element, $0.offset) })
}
