import Cluster
import Model

/// Replicas of the task table in one process, over a network that loses nothing and disks that
/// answer at once.
struct TableCluster {
    /// A message under way.
    private struct Packet {
        var from: Int
        var to: Int
        var bytes: [UInt8]
    }

    var replicas: [TableReplica] = []
    private(set) var now = Instant(nanoseconds: 1)
    private var packets: [Packet] = []
    private var head = 0
    private var disks: [[DurableSpace: [[UInt8]: [UInt8]]]]
    private let keepsDisks: Bool
    /// Whether what is sent gets lost.
    var dropsPackets = false
    /// Whether what is sent is kept in place of being delivered.
    var keepsPackets = false
    /// What was kept.
    private var kept: [[UInt8]] = []
    /// Told of everything that is written.
    var onWrite: ([DurableWrite]) -> Void = { _ in }
    /// Whether deltas are counted as they arrive; that takes time.
    var countsDeltas = true

    /// How many bytes were sent, envelopes not counted.
    var sentSizeBytes = 0
    /// How many messages were sent.
    var messageCount = 0
    /// How many deltas arrived anywhere.
    var deltaCount = 0
    /// The largest message.
    var messageSizeBytesMax = 0

    /// Makes `count` empty replicas that know each other; with `keepsDisks`, one may be restarted.
    init(count: Int, keepsDisks: Bool = false) {
        disks = Array(repeating: [:], count: count + 1)
        self.keepsDisks = keepsDisks
        for index in 0..<count { replicas.append(replica(index)) }
        introduce()
    }

    private func replica(_ index: Int) -> TableReplica {
        var image = DurableImage()
        for (space, rows) in disks[index] {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        return TableReplica(
            node: TableCluster.id(index), bootID: BootID(UInt64(index) + 1_000), restored: image,
            configuration: TableConfiguration(retention: .seconds(3_600)),
            seed: UInt64(index) + 1, at: now)
    }

    static func id(_ index: Int) -> NodeID { NodeID(Wide128(high: 1, low: UInt64(index))) }

    private mutating func introduce() {
        let all = replicas.indices.map(TableCluster.id)
        for index in replicas.indices {
            step(index, .peers(all.filter { $0 != TableCluster.id(index) }))
        }
    }

    /// Adds an empty replica, once; returns its number.
    mutating func add() -> Int {
        replicas.append(replica(replicas.count))
        introduce()
        return replicas.count - 1
    }

    /// Restarts a replica whose disk has lost these tasks' rows.
    mutating func restart(_ index: Int, without lost: [TaskID]) {
        for id in lost { disks[index][.task]?[id.value.bytes] = nil }
        replicas[index] = replica(index)
        introduce()
    }

    mutating func step(_ index: Int, _ event: TableEvent) {
        var effects: [TableEffect] = []
        replicas[index].handle(event, at: now) { effects.append($0) }
        var tickets: [TableTicket] = []
        for effect in effects {
            switch effect {
            case .send(let bytes, let peer, _):
                sentSizeBytes += bytes.count
                messageCount += 1
                messageSizeBytesMax = max(messageSizeBytesMax, bytes.count)
                guard !dropsPackets else { break }
                guard !keepsPackets else {
                    kept.append(bytes)
                    break
                }
                packets.append(Packet(from: index, to: Int(peer.value.low), bytes: bytes))
            case .persist(let writes, let ticket):
                tickets.append(ticket)
                if keepsDisks { write(writes, to: index) }
                onWrite(writes)
            default: break
            }
        }
        for ticket in tickets { step(index, .persisted(ticket)) }
    }

    /// What was kept since this was called last.
    mutating func takeKept() -> [[UInt8]] {
        defer { kept = [] }
        return kept
    }

    private mutating func write(_ writes: [DurableWrite], to index: Int) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value): disks[index][space, default: [:]][key] = value
            case .delete(let space, let key): disks[index][space]?[key] = nil
            case .deleteRange(let space, let from, let to):
                disks[index][space] = disks[index][space]?.filter { key, _ in
                    key.lexicographicallyPrecedes(from)
                        || (to.map { !key.lexicographicallyPrecedes($0) } ?? false)
                }
            }
        }
    }

    /// Delivers what is under way, and what that sends, until all is quiet.
    mutating func deliver() {
        while head < packets.count {
            let packet = packets[head]
            head += 1
            if countsDeltas {
                deltaCount += PacketInspection.deltaCount(table: packet.bytes)
            }
            step(packet.to, .received(packet.bytes, from: TableCluster.id(packet.from)))
        }
        packets.removeAll(keepingCapacity: true)
        head = 0
    }

    /// Lets time pass; whoever wants to be woken is.
    mutating func wait(_ duration: Duration) {
        now = now + duration
        for index in replicas.indices where replicas[index].nextDeadline ?? now <= now {
            step(index, .deadlineReached)
        }
        deliver()
    }

    /// Lets rounds of anti-entropy pass until all replicas know the same; returns how many.
    mutating func converge(roundsMax: Int) -> Int {
        for round in 0..<roundsMax {
            if isConverged { return round }
            wait(.seconds(2))
        }
        return roundsMax
    }

    /// Whether all replicas have the same fingerprints.
    var isConverged: Bool {
        replicas.allSatisfy { $0.contentFingerprint == replicas[0].contentFingerprint }
    }

    mutating func resetCounters() {
        sentSizeBytes = 0
        messageCount = 0
        deltaCount = 0
        messageSizeBytesMax = 0
    }
}
