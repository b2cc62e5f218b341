import Model

@testable import Raft

/// Several engines with disks and wires that a test controls message by message.
///
/// After every step the checker compares the term and content of all committed entries, no-ops
/// included, across all replicas, and that no term has two leaders.
final class RaftBench {
    struct Wire {
        var from: Int
        var to: Int
        var message: RaftMessage
    }

    struct Disk {
        var rows: [DurableSpace: [[UInt8]: [UInt8]]] = [:]

        mutating func apply(_ writes: [DurableWrite]) {
            for write in writes {
                switch write {
                case .put(let space, let key, let value): rows[space, default: [:]][key] = value
                case .delete(let space, let key): rows[space]?[key] = nil
                case .deleteRange(let space, let from, let to):
                    rows[space] = rows[space]?.filter { key, _ in
                        key.lexicographicallyPrecedes(from)
                            || to.map { !key.lexicographicallyPrecedes($0) } ?? false
                    }
                }
            }
        }

        var image: RaftImage {
            get throws {
                var image = DurableImage()
                for (space, rows) in rows {
                    image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                        .map { DurableImage.Row(key: $0.key, value: $0.value) }
                }
                return try RaftImage(restoring: image)
            }
        }
    }

    var configuration = RaftConfiguration(profile: .local)
    var engines: [Int: RaftEngine] = [:]
    var disks: [Int: Disk] = [:]
    var writes: [Int: [(write: RaftWrite, ticket: RaftTicket)]] = [:]
    var wires: [Wire] = []
    var now = Instant(nanoseconds: 1)
    var random: SeededGenerator
    var persistsAtOnce = true
    private(set) var violations: [String] = []
    private(set) var reads: [(node: Int, context: UInt64, index: UInt64)] = []
    private(set) var droppedReads: [UInt64] = []
    private(set) var committed: [UInt64: RaftEntry] = [:]
    private var leaders: [UInt64: Int] = [:]
    private var applied: [Int: [UInt64: [UInt8]]] = [:]

    init(seed: UInt64, mutation: RaftMutation? = nil) {
        random = SeededGenerator(seed: seed)
        configuration.mutation = mutation
    }

    static func id(_ number: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(number))) }
    static func number(_ id: NodeID) -> Int { Int(id.value.low) }

    /// Makes nodes that all know the first log entry: the voters.
    func found(_ numbers: [Int]) {
        for number in numbers {
            disks[number] = Disk()
            start(number)
        }
        let voters = numbers.map(RaftBench.id)
        for number in numbers { step(number, .bootstrap(voters: voters)) }
    }

    func start(_ number: Int) {
        guard let image = try? disks[number, default: Disk()].image else {
            return violations.append("node \(number) can't read its disk")
        }
        engines[number] = RaftEngine(
            id: RaftBench.id(number), configuration: configuration, restored: image,
            seed: random.next(), at: now)
        writes[number] = []
    }

    /// Stops a node; of its pending writes the first `survivors` had reached the disk.
    func crash(_ number: Int, survivors: Int = 0) {
        for (write, _) in (writes[number] ?? []).prefix(survivors) {
            disks[number]?.apply(write.durableWrites)
        }
        engines[number] = nil
        writes[number] = []
        wires.removeAll { $0.from == number && random.next() % 2 == 0 }
    }

    func step(_ number: Int, _ event: RaftEvent) {
        guard var engine = engines[number] else { return }
        var effects: [RaftEffect] = []
        engine.handle(event, at: now) { effects.append($0) }
        engines[number] = engine
        for effect in effects { perform(effect, number) }
        check(number)
        if persistsAtOnce { while persistOne(number) {} }
    }

    private func perform(_ effect: RaftEffect, _ number: Int) {
        switch effect {
        case .send(let message, let peer):
            guard let copy = try? RaftMessage(decoding: message.encoded), copy == message else {
                return violations.append("a message does not survive its encoding")
            }
            wires.append(Wire(from: number, to: RaftBench.number(peer), message: message))
        case .persist(let write, let ticket):
            writes[number, default: []].append((write, ticket))
        case .readReady(let context, let index):
            reads.append((number, context, index))
        case .readDropped(let context):
            droppedReads.append(context)
        case .apply(let index, _, let payload):
            applied[number, default: [:]][index] = payload
        case .applied, .installSnapshot, .proposed, .dropped, .leaderChanged, .membersChanged:
            break
        }
    }

    @discardableResult
    func persistOne(_ number: Int) -> Bool {
        guard let first = writes[number]?.first else { return false }
        writes[number]?.removeFirst()
        disks[number]?.apply(first.write.durableWrites)
        step(number, .persisted(first.ticket))
        return true
    }

    func deliver(_ index: Int) {
        let wire = wires.remove(at: index)
        step(wire.to, .received(wire.message, from: RaftBench.id(wire.from)))
    }

    /// Lets time pass until the node's deadline, and tells it.
    func tick(_ number: Int) {
        guard let due = engines[number]?.nextDeadline else { return }
        now = max(now, due)
        step(number, .deadlineReached)
    }

    private func check(_ number: Int) {
        guard let engine = engines[number] else { return }
        if engine.role == .leader {
            if let other = leaders[engine.term], other != number {
                violations.append("term \(engine.term) has leaders \(other) and \(number)")
            }
            leaders[engine.term] = number
        }
        guard engine.commitIndex >= engine.firstIndex else { return }
        for index in engine.firstIndex...engine.commitIndex {
            guard let entry = engine.log.entry(at: index) else { continue }
            if let known = committed[index], known != entry {
                violations.append(
                    "index \(index) is committed with terms \(known.term) and \(entry.term)")
            }
            committed[index] = entry
        }
    }
}
