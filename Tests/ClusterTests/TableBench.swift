import CRDT
import Model
import Testing

@testable import Cluster

/// Several replicas on a lossy network, with disks that forget what was not written.
struct TableBench {
    struct Packet {
        var to: Int
        var from: NodeID
        var bytes: [UInt8]
    }

    var replicas: [TableReplica] = []
    var disks: [[DurableSpace: [[UInt8]: [UInt8]]]] = []
    var pending: [[(writes: [DurableWrite], ticket: TableTicket)]] = []
    var packets: [Packet] = []
    var copies: [TaskID: Int] = [:]
    /// Replicas that are gone for good.
    var lost: Set<Int> = []
    /// How often a replica has drawn a new origin.
    var cloneSuspicions = 0
    var submitFailures: [TaskID] = []
    var now = Instant(nanoseconds: 1)
    var random: SeededGenerator
    var configuration = TableConfiguration(retention: .seconds(3_600))

    init(
        seed: UInt64, count: Int, retention: Duration = .seconds(3_600),
        mutation: TableMutation? = nil
    ) {
        random = SeededGenerator(seed: seed)
        configuration.mutation = mutation
        configuration.retention = retention
        for index in 0..<count {
            disks.append([:])
            pending.append([])
            replicas.append(replica(index))
        }
        for index in 0..<count { step(index, .peers(peers(of: index))) }
    }

    static func id(_ index: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(index + 1))) }

    private func peers(of index: Int) -> [NodeID] {
        replicas.indices.filter { $0 != index && !lost.contains($0) }.map(TableBench.id)
    }

    private mutating func replica(_ index: Int) -> TableReplica {
        var image = DurableImage()
        for (space, rows) in disks[index] {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        return TableReplica(
            node: TableBench.id(index), bootID: BootID(random.next()), restored: image,
            configuration: configuration, seed: random.next(), at: now)
    }

    mutating func restart(_ index: Int) {
        pending[index] = []
        replicas[index] = replica(index)
        step(index, .peers(peers(of: index)))
    }

    /// The machine and its disk are gone for good.
    mutating func lose(_ index: Int) {
        lost.insert(index)
        pending[index] = []
        for other in replicas.indices where !lost.contains(other) {
            step(other, .peers(peers(of: other)))
        }
    }

    /// Whether all replicas that are left know the same.
    var isConverged: Bool {
        Set(replicas.indices.filter { !lost.contains($0) }.map { replicas[$0].canonicalBytes() })
            .count == 1
    }

    mutating func step(_ index: Int, _ event: TableEvent) {
        var effects: [TableEffect] = []
        guard !lost.contains(index) else { return }
        replicas[index].handle(event, at: now) { effects.append($0) }
        for effect in effects {
            switch effect {
            case .send(let bytes, let peer, _):
                packets.append(
                    Packet(
                        to: Int(peer.value.low) - 1, from: TableBench.id(index), bytes: bytes))
            case .persist(let writes, let ticket): pending[index].append((writes, ticket))
            case .stored(let task, let count): copies[task] = max(copies[task] ?? 0, count)
            case .submitFailed(let task, _): submitFailures.append(task)
            case .cloneSuspected: cloneSuspicions += 1
            case .changed, .storedLocally, .collected: break
            }
        }
    }

    mutating func persistOne(_ index: Int) -> Bool {
        guard let first = pending[index].first else { return false }
        pending[index].removeFirst()
        for write in first.writes {
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
        step(index, .persisted(first.ticket))
        return true
    }

    /// The disk refuses the oldest write.
    mutating func refuseOne(_ index: Int) {
        guard let first = pending[index].first else { return }
        pending[index].removeFirst()
        step(index, .persistFailed(first.ticket))
    }

    mutating func deliver(_ position: Int) {
        let packet = packets.remove(at: position)
        step(packet.to, .received(packet.bytes, from: packet.from))
    }

    /// Takes the packets under way that say something of this kind, to deliver or to lose them.
    mutating func takePackets(where isTaken: (TableMessage) -> Bool) -> [Packet] {
        let taken = packets.filter { packet in
            (try? TableMessage(decoding: packet.bytes)).map(isTaken) ?? false
        }
        packets.removeAll { packet in
            (try? TableMessage(decoding: packet.bytes)).map(isTaken) ?? false
        }
        return taken
    }

    mutating func persistAll(_ index: Int) {
        while persistOne(index) {}
    }

    static func task(_ number: UInt64) -> TaskID { TaskID(Wide128(high: 9, low: number)) }

    mutating func submit(_ number: UInt64, at index: Int, copies: Int = 2) {
        step(
            index,
            .submit(
                TaskSpec(command: ["run", "\(number)"]), id: TableBench.task(number),
                wall: WallTime(milliseconds: Int64(number)), wantedCopies: copies))
    }

    /// One more attempt at a task, at an own token.
    mutating func attempt(_ number: UInt64, token: UInt64, at index: Int, reason: String = "") {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: token), session: SessionID(UInt64(index)),
            node: TableBench.id(index), phase: .running)
        row.reason = reason
        step(index, .writeAttempt(TableBench.task(number), row))
    }

    mutating func close(_ number: UInt64, at index: Int) {
        step(
            index,
            .close(
                TableBench.task(number), TaskOutcome(kind: .complete), token: nil,
                wall: WallTime(milliseconds: 5)))
    }

    /// Lets time pass without losses until all replicas are quiet and equal, or the rounds end.
    mutating func settle(rounds: Int = 60) {
        for _ in 0..<rounds {
            now = now + .seconds(1)
            for index in replicas.indices { step(index, .deadlineReached) }
            var isBusy = true
            while isBusy {
                isBusy = false
                while !packets.isEmpty {
                    deliver(0)
                    isBusy = true
                }
                for index in replicas.indices {
                    while persistOne(index) { isBusy = true }
                }
                now = now + .milliseconds(3)
                for index in replicas.indices { step(index, .deadlineReached) }
                isBusy = isBusy || !packets.isEmpty
            }
        }
    }
}
