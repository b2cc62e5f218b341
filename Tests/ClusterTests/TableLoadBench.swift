import Model

@testable import Cluster

/// Replicas in virtual time: links that take time, lose datagrams and carry only so much, and disks
/// that answer late.
struct TableLoadBench {
    /// How a link behaves.
    struct Link {
        var delay: Duration = .milliseconds(1)
        /// The share of datagrams that are lost, in thousandths.
        var lossPerMille: UInt64 = 20
        var sizeBytesPerSecond = 125_000_000
        /// What is sent while so much is under way is lost.
        var queueSizeBytesMax = 8 << 20
        /// When all that was sent will have arrived.
        var idle = Instant.zero
    }

    private enum Event {
        case wake(Int)
        case arrival([UInt8], from: Int, to: Int)
        case written(TableTicket, Int)
    }

    var replicas: [TableReplica] = []
    var links: [[Link]]
    var diskDelay: Duration = .milliseconds(5)
    private(set) var now = Instant(nanoseconds: 1)
    private var events = TimerHeap<Event>()
    private var wakes: [Instant?]
    private var random: SeededGenerator
    /// The most that ever waited in each queue of any node, and what may.
    private(set) var highWater: [String: (count: Int, countMax: Int)] = [:]
    /// The most bytes that were ever under way on a link.
    private(set) var linkSizeBytesMax = 0
    /// What did not fit a link.
    private(set) var overflows = 0
    private(set) var copies: [TaskID: Int] = [:]
    private(set) var sentSizeBytes = 0
    private(set) var messageCount = 0

    init(seed: UInt64, count: Int, configuration: TableConfiguration) {
        random = SeededGenerator(seed: seed)
        links = Array(repeating: Array(repeating: Link(), count: count), count: count)
        wakes = Array(repeating: nil, count: count)
        for index in 0..<count {
            replicas.append(
                TableReplica(
                    node: TableBench.id(index), bootID: BootID(random.next()),
                    restored: DurableImage(), configuration: configuration, seed: random.next(),
                    at: now))
        }
        for index in 0..<count {
            let peers = (0..<count).filter { $0 != index }.map(TableBench.id)
            step(index, .peers(peers))
        }
    }

    mutating func step(_ index: Int, _ event: TableEvent) {
        var effects: [TableEffect] = []
        replicas[index].handle(event, at: now) { effects.append($0) }
        for effect in effects {
            switch effect {
            case .send(let bytes, let peer, let channel):
                send(bytes, from: index, to: Int(peer.value.low) - 1, via: channel)
            case .persist(_, let ticket):
                events.insert(.written(ticket, index), due: now + diskDelay)
            case .stored(let task, let count): copies[task] = max(copies[task] ?? 0, count)
            default: break
            }
        }
        for queue in replicas[index].queues {
            let before = highWater[queue.name]?.count ?? 0
            highWater[queue.name] = (max(before, queue.count), queue.countMax)
        }
        arrangeWake(index)
    }

    private mutating func arrangeWake(_ index: Int) {
        guard let due = replicas[index].nextDeadline else { return }
        if let wake = wakes[index], wake <= due { return }
        wakes[index] = due
        events.insert(.wake(index), due: max(due, now))
    }

    private mutating func send(
        _ bytes: [UInt8], from sender: Int, to target: Int, via channel: Channel
    ) {
        sentSizeBytes += bytes.count
        messageCount += 1
        if channel == .datagram, random.next() % 1_000 < links[sender][target].lossPerMille {
            return
        }
        let link = links[sender][target]
        let begin = max(link.idle, now)
        let perByte = Duration.nanoseconds(1_000_000_000 / link.sizeBytesPerSecond)
        let waiting = Int((begin - now) / perByte)
        guard waiting + bytes.count <= link.queueSizeBytesMax else {
            overflows += 1
            return
        }
        linkSizeBytesMax = max(linkSizeBytesMax, waiting + bytes.count)
        links[sender][target].idle = begin + perByte * bytes.count
        events.insert(
            .arrival(bytes, from: sender, to: target),
            due: links[sender][target].idle + link.delay)
    }

    /// Lets time pass.
    mutating func run(for duration: Duration) {
        let end = now + duration
        while let due = events.next, due <= end, let event = events.popDue(at: due) {
            now = max(now, due)
            switch event {
            case .wake(let index):
                wakes[index] = nil
                if let due = replicas[index].nextDeadline, due <= now {
                    step(index, .deadlineReached)
                } else {
                    arrangeWake(index)
                }
            case .arrival(let bytes, let sender, let target):
                step(target, .received(bytes, from: TableBench.id(sender)))
            case .written(let ticket, let index): step(index, .persisted(ticket))
            }
        }
        now = end
    }

    var isConverged: Bool {
        replicas.allSatisfy { $0.contentFingerprint == replicas[0].contentFingerprint }
    }
}
