import Model

@testable import Raft

/// Several engines with disks and wires that a test controls message by message.
final class RaftBench {
    struct Wire {
        var from: Int
        var to: Int
        var message: RaftMessage
    }

    var configuration = RaftConfiguration(profile: .local)
    var engines: [Int: RaftEngine] = [:]
    var disks: [Int: RaftDisk] = [:]
    var writes: [Int: [(write: RaftWrite, ticket: RaftTicket)]] = [:]
    var wires: [Wire] = []
    var now = Instant(nanoseconds: 1)
    var random: SeededGenerator
    /// How many voters a given disk names.
    var givenVoters = 3
    /// Nodes whose writes stay under way until a test completes them.
    var slowDisks: Set<Int> = []
    private(set) var checker = RaftChecker()
    private(set) var reads: [(node: Int, context: UInt64, index: UInt64)] = []
    /// What the engines answered, for people.
    private(set) var notices: [String] = []

    var violations: [String] { checker.violations }

    init(seed: UInt64, mutation: RaftMutation? = nil) {
        random = SeededGenerator(seed: seed)
        configuration.mutation = mutation
    }

    static func id(_ number: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(number))) }
    static func number(_ id: NodeID) -> Int { Int(truncatingIfNeeded: id.value.low) }

    /// Makes nodes that all know the first log entry: the voters.
    func found(_ numbers: [Int]) {
        for number in numbers { start(number) }
        let voters = numbers.map(RaftBench.id)
        for number in numbers { step(number, .bootstrap(voters: voters)) }
    }

    /// Fills a disk: the first entry names the voters, 1...7, the others are commands.
    func give(_ number: Int, term: UInt64, terms: [UInt64]) {
        var write = RaftWrite()
        write.hardState = RaftHardState(term: term, vote: nil)
        let voters = RaftMembers(voters: (1...givenVoters).map(RaftBench.id))
        for (offset, term) in terms.enumerated() {
            let content = offset == 0 ? RaftEntry.Content.members(voters) : .command([])
            write.entries.append((UInt64(offset + 1), RaftEntry(term: term, content: content)))
        }
        disks[number, default: RaftDisk()].apply(write.durableWrites)
        start(number)
    }

    func start(_ number: Int) {
        guard let image = try? disks[number, default: RaftDisk()].image else {
            return checker.fail("node \(number) can't read its disk")
        }
        let engine = RaftEngine(
            id: RaftBench.id(number), configuration: configuration, restored: image,
            seed: random.next(), at: now)
        engines[number] = engine
        writes[number] = []
        checker.started(number, from: image, members: engine.members)
    }

    /// Stops a node; of its pending writes the first `survivors` had reached the disk.
    func crash(_ number: Int, survivors: Int = 0) {
        for (write, _) in (writes[number] ?? []).prefix(survivors) {
            disks[number]?.apply(write.durableWrites)
        }
        engines[number] = nil
        writes[number] = []
    }

    func step(_ number: Int, _ event: RaftEvent) {
        // One owner: else every event would copy the whole log.
        guard var engine = engines.removeValue(forKey: number) else { return }
        if case .readIndex(let context) = event { checker.asked(context) }
        var effects: [RaftEffect] = []
        engine.handle(event, at: now) { effects.append($0) }
        for effect in effects { perform(effect, number, engine) }
        checker.check(number, engine, disks: disks)
        engines[number] = engine
        if !slowDisks.contains(number) { while persistOne(number) {} }
    }

    private func perform(_ effect: RaftEffect, _ number: Int, _ engine: RaftEngine) {
        switch effect {
        case .send(let message, let peer):
            guard let copy = try? RaftMessage(decoding: message.encoded), copy == message else {
                return checker.fail("a message does not survive its encoding")
            }
            checker.sent(message, by: number, to: peer, disk: disks[number] ?? RaftDisk())
            wires.append(Wire(from: number, to: RaftBench.number(peer), message: message))
        case .persist(let write, let ticket):
            checker.wrote(write, by: number, engine)
            writes[number, default: []].append((write, ticket))
        case .readReady(let context, let index):
            checker.answered(context, at: index)
            reads.append((number, context, index))
            notices.append("read \(context) is ready at \(index)")
        case .readDropped(let context): notices.append("read \(context) is dropped")
        case .apply(let index, let term, let payload):
            checker.applied(number, index, term, payload)
        case .applied(let index): checker.applied(number, upTo: index)
        case .installSnapshot(let index, _, let payload):
            checker.installed(number, index, payload)
        case .dropped: notices.append("the proposal is dropped")
        case .proposed, .leaderChanged, .membersChanged: break
        }
    }

    /// What each node believes, for people.
    var states: String {
        engines.sorted { $0.key < $1.key }.map { number, engine in
            "\(number) \(engine.role) term \(engine.term) log \(engine.firstIndex)..."
                + "\(engine.lastIndex) last term \(engine.log.lastTerm) commit "
                + "\(engine.commitIndex) members at \(engine.membersIndex) \(engine.members)"
        }.joined(separator: "\n")
    }

    @discardableResult
    func persistOne(_ number: Int) -> Bool {
        guard let first = writes[number]?.first else { return false }
        writes[number]?.removeFirst()
        disks[number, default: RaftDisk()].apply(first.write.durableWrites)
        step(number, .persisted(first.ticket))
        return true
    }

    func deliver(_ index: Int) {
        let wire = wires.remove(at: index)
        step(wire.to, .received(wire.message, from: RaftBench.id(wire.from)))
    }

    /// Delivers everything among these nodes until they are quiet.
    func exchange(_ nodes: Set<Int>, where isWanted: (Wire) -> Bool = { _ in true }) {
        for _ in 0..<10_000 {
            guard
                let index = wires.firstIndex(where: {
                    nodes.contains($0.from) && nodes.contains($0.to) && isWanted($0)
                })
            else { return }
            deliver(index)
        }
        checker.fail("messages go to and fro without end")
    }

    /// Lets time pass until the node's deadline, and tells it.
    func tick(_ number: Int) {
        guard let due = engines[number]?.nextDeadline else { return }
        now = max(now, due)
        step(number, .deadlineReached)
    }

    /// Lets the application's state at `index` stand for the entries up to there.
    func compact(_ number: Int, upTo index: UInt64, sizeBytes: Int) {
        guard let state = checker.states[index] else { return }
        step(
            number,
            .compact(
                upTo: index, snapshot: RaftChecker.payload(of: state, sizeBytes: sizeBytes)))
    }
}
