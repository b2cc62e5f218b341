import Model
import Raft

@testable import Lock

/// Locks of a few machines on a virtual network, with virtual disks and clocks that drift.
///
/// One thread, one seed. Containers outlive the daemon that started them, until the guard ends
/// them with the lease. What must hold is checked at each effect.
final class LockBench {
    /// A message under way.
    struct Wire {
        var from: Int
        var to: Int
        var bytes: [UInt8]
        var arrives: Int64
    }

    /// A direction in which nothing arrives.
    struct Cut: Hashable {
        var from: Int
        var to: Int
    }

    let configuration: LockConfiguration
    /// Machines whose operators configured something else.
    var otherConfigurations: [Int: LockConfiguration] = [:]
    var random: SeededGenerator
    /// Real time, in nanoseconds; no machine knows it.
    private(set) var now: Int64 = 0
    var machines: [Int: Machine] = [:]
    var wires: [Wire] = []
    var cuts: Set<Cut> = []
    /// The chance of a message to get lost, to be doubled, and to be late by up to a second.
    var loss = 0.0
    var doubling = 0.0
    var lateness = 0.0
    /// How long a message takes at least.
    var delay: Duration = .milliseconds(1)
    /// How long a write takes.
    var syncTime: Duration = .microseconds(300)
    var partitionPolicies: [TaskID: PartitionPolicy] = [:]
    var restartPolicies: [TaskID: RestartPolicy] = [:]
    /// Where machines stand, if their operators say so.
    var zones: [Int: String] = [:]
    /// Whether a node asks for a session at once when it has none, as a daemon does.
    var opensSessions = true
    /// Sees each message that is sent; returns what travels in its place, if anything.
    var filter: ((Wire, LockMessage) -> LockMessage?)?
    /// How much longer than usual messages take in some directions.
    var detours: [Cut: Duration] = [:]
    /// Which of the machines with one identity gets the mail for it; else the first one.
    var mailboxes: [Int: Int] = [:]
    /// The same for the mail of one sender alone.
    var privateMail: [Cut: Int] = [:]
    /// Whether copies of a voter's disk know what they are, as a node's do.
    var knowsCopies = false
    /// After how much silence a machine is taken for dead.
    var deathAfter: Duration = .milliseconds(1_500)
    var record = BenchRecord()
    /// What clients asked and heard, if anybody wants to judge it.
    var history: LockHistory?
    private var nextLook: Int64 = 0

    init(seed: UInt64, configuration: LockConfiguration = LockConfiguration(profile: .local)) {
        random = SeededGenerator(seed: seed)
        self.configuration = configuration
    }

    /// Machines whose disks are found damaged at their next start.
    var lostLogs: Set<Int> = []

    convenience init(seed: UInt64, mutation: LockMutation) {
        var configuration = LockConfiguration(profile: .local)
        configuration.mutation = mutation
        self.init(seed: seed, configuration: configuration)
    }

    /// Machines whose numbers differ by a hundred have the same identity.
    static func id(_ number: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(number % 100))) }
    static func number(_ id: NodeID) -> Int { Int(id.value.low) }
    static func task(_ number: Int) -> TaskID { TaskID(Wide128(high: 7, low: UInt64(number))) }

    static func birth(_ task: TaskID) -> BirthDot {
        BirthDot(origin: BootID(99), sequence: task.value.low)
    }

    /// What passes for a good signature.
    static let signature: [UInt8] = [7]

    // MARK: Machines

    /// Makes a machine whose clock is off by `drift` (a fraction), and starts it.
    func add(_ number: Int, drift: Double = 0) {
        let offset = Int64(random.next() % 1_000_000_000_000)
        machines[number] = Machine(number: number, rate: 1 + drift, offset: offset, since: now)
        start(number)
    }

    /// Makes machines 1…count and lets their locks settle.
    func found(_ count: Int, settle: Duration = .seconds(4)) {
        for number in 1...count { add(number) }
        run(for: settle)
    }

    func start(_ number: Int) {
        guard let machine = machines[number], machine.node == nil else { return }
        let local = machine.local(now)
        let isCopy =
            knowsCopies
            && LockNode.isCopyWithoutVote(
                machine.disk.image, of: LockBench.id(number), on: MachineID(UInt64(number)),
                mutation: configuration.mutation)
        do {
            machine.node = try LockNode(
                id: LockBench.id(number), bootID: BootID(random.next()),
                machine: MachineID(UInt64(number)),
                configuration: otherConfigurations[number] ?? configuration,
                restored: machine.disk.image,
                isFounder: number == 1, isSameMachineBoot: !machine.hasRebooted,
                hasLostLog: lostLogs.remove(number) != nil || isCopy, seed: random.next(), at: local
            )
        } catch {
            return record.fail("machine \(number) can't read its disk: \(error)", at: now)
        }
        machine.hasRebooted = false
        machine.session = machine.node?.session?.id
        machine.view = [:]
        look()
        for task in machine.running.keys.sorted() where !isLive(task, on: machine) {
            machine.running[task] = nil
        }
        if machine.node?.session == nil { kill(on: machine) }
        if opensSessions { openSession(number) }
    }

    /// Another machine comes up with a copy of this one's disk; mail still goes to the first one.
    func clone(_ number: Int, as place: Int = 100) {
        guard let original = machines[number] else { return }
        let offset = Int64(random.next() % 1_000_000_000_000)
        let copy = Machine(number: number + place, rate: 1, offset: offset, since: now)
        copy.disk = original.disk
        copy.hasRebooted = true
        machines[copy.number] = copy
        start(copy.number)
    }

    /// Stops a daemon; of its pending writes the first `survivors` had reached the disk.
    ///
    /// Containers go on, unless the machine itself restarts: then its clock begins anew as well.
    func crash(_ number: Int, survivors: Int = 0, isReboot: Bool = false) {
        guard let machine = machines[number] else { return }
        for write in machine.writes.prefix(survivors) { machine.disk.apply(write.writes) }
        machine.writes = []
        machine.asked = []
        history?.crashed(number)
        machine.node = nil
        guard isReboot else { return }
        machine.hasRebooted = true
        machine.running = [:]
        machine.promises = [:]
        machine.leaseUntil = .zero
        machine.offset = Int64(random.next() % 1_000_000_000_000)
    }

    func openSession(_ number: Int) {
        guard let machine = machines[number], machine.node != nil else { return }
        let kept = machine.running.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        step(number, .openSession(keeping: kept))
    }

    func acquire(_ number: Int, _ tasks: [Int]) {
        claim(number, tasks.map(LockBench.task))
    }

    /// Asks for tasks for which this machine does not ask already.
    func claim(_ number: Int, _ tasks: [TaskID]) {
        guard let machine = machines[number], machine.node != nil else { return }
        let fresh = tasks.filter { machine.running[$0] == nil && !machine.asked.contains($0) }
        guard !fresh.isEmpty else { return }
        machine.asked.formUnion(fresh)
        step(number, .acquire(fresh.map(request)))
    }

    func request(_ task: TaskID) -> AcquireRequest {
        AcquireRequest(
            task: task, birth: LockBench.birth(task), restart: restartPolicies[task] ?? .onNodeLoss,
            onPartition: partitionPolicies[task] ?? .rerun)
    }

    /// The container ends, then its claim is given back.
    func release(_ number: Int, _ task: TaskID, rest: Duration = .zero) {
        guard let token = machines[number]?.running.removeValue(forKey: task) else { return }
        step(number, .release(task, token, notBefore: rest))
    }

    /// The container ends, and with it the task.
    func close(_ number: Int, _ task: TaskID) {
        guard let token = machines[number]?.running.removeValue(forKey: task) else { return }
        let outcome = TaskOutcome(kind: .complete, exit: ExitStatus(code: Int32(number)))
        step(number, .close(task, token, outcome))
    }

    /// Ends what hangs on the lease.
    func kill(on machine: Machine) {
        machine.running = machine.running.filter { partitionPolicies[$0.key] == .wait }
    }

    func isLive(_ task: TaskID, on machine: Machine) -> Bool {
        guard machine.running[task] != nil else { return false }
        return partitionPolicies[task] == .wait || machine.local(now) < machine.leaseUntil
    }

    // MARK: Network

    func cut(_ number: Int, from others: [Int]) {
        for other in others where other != number {
            cuts.insert(Cut(from: number, to: other))
            cuts.insert(Cut(from: other, to: number))
        }
    }

    func isolate(_ number: Int) { cut(number, from: machines.keys.sorted()) }

    func heal() { cuts = [] }

    private func transmit(_ bytes: [UInt8], from: Int, to: Int) {
        let to = privateMail[Cut(from: from, to: to)] ?? mailboxes[to] ?? to
        var wire = Wire(from: from, to: to, bytes: bytes, arrives: now)
        guard let message = try? LockMessage(decoding: bytes), message.encoded == bytes else {
            return record.fail("a message does not survive its encoding", at: now)
        }
        record.messages += 1
        if case .renew(let session, let number, _) = message {
            history?.sentRenewal(session, number, by: from, at: now)
        }
        let way = Cut(from: from, to: to)
        guard !cuts.contains(way) else { return }
        if let filter {
            guard let passed = filter(wire, message) else { return }
            wire.bytes = passed.encoded
        }
        for copy in 0..<2 where copy == 0 ? random.fraction() >= loss : random.fraction() < doubling
        {
            var travel = delay + random.duration(upTo: delay) + (detours[way] ?? .zero)
            if random.fraction() < lateness { travel += random.duration(upTo: .seconds(1)) }
            var wire = wire
            wire.arrives = now + travel.nanoseconds
            wires.append(wire)
        }
    }

    // MARK: Time

    /// Lets everything happen that is due within `span`.
    func run(for span: Duration) {
        let end = now + span.nanoseconds
        while let due = nextDue, due <= end { advance(to: due) }
        now = max(now, end)
    }

    /// Runs until `isDone`, at most `limit`; returns whether it was done in time.
    func run(atMost limit: Duration, until isDone: () -> Bool) -> Bool {
        let end = now + limit.nanoseconds
        while !isDone() {
            guard let due = nextDue, due <= end else { return false }
            advance(to: due)
        }
        return true
    }

    private var nextDue: Int64? {
        var due = nextLook
        for wire in wires { due = min(due, wire.arrives) }
        for machine in machines.values {
            if let own = machine.nextDue { due = min(due, own) }
        }
        return due
    }

    private func advance(to due: Int64) {
        now = max(now, due)
        if let index = wires.indices.first(where: { wires[$0].arrives <= now }) {
            let wire = wires.remove(at: index)
            if let machine = machines[wire.to], machine.frozenUntil > now {
                wires.append(
                    Wire(
                        from: wire.from, to: wire.to, bytes: wire.bytes,
                        arrives: machine.frozenUntil))
                return
            }
            return arrive(wire)
        }
        for number in machines.keys.sorted() { wake(number) }
        if nextLook <= now {
            nextLook = now + 250_000_000
            look()
        }
    }

    private func arrive(_ wire: Wire) {
        if history != nil, machines[wire.to]?.node != nil,
            case .renewed(let session, let number, _, _)? = try? LockMessage(decoding: wire.bytes)
        {
            history?.gotRenewal(session, number, by: wire.to, at: now)
        }
        step(wire.to, .received(wire.bytes, from: LockBench.id(wire.from)))
    }

    private func wake(_ number: Int) {
        guard let machine = machines[number], machine.frozenUntil <= now else { return }
        while let write = machine.writes.first, write.due <= now, machine.node != nil {
            machine.writes.removeFirst()
            if machine.refusesWrites {
                machine.writes = []
                step(number, .persistFailed(write.ticket))
            } else {
                machine.disk.apply(write.writes)
                step(number, .persisted(write.ticket))
            }
        }
        if let deadline = machine.node?.nextDeadline, deadline <= machine.local(now) {
            step(number, .deadlineReached)
        }
    }

    // MARK: Events and effects

    func step(_ number: Int, _ event: LockEvent) {
        guard let machine = machines[number], var node = machine.node else { return }
        history?.called(event, by: machine, at: now)
        // One owner: else every event would copy the whole node.
        machine.node = nil
        var effects: [LockEffect] = []
        node.handle(event, at: machine.local(now)) { effects.append($0) }
        machine.node = node
        record.note(appliedBy: node, of: number, at: now)
        for effect in effects { perform(effect, machine) }
    }

    private func perform(_ effect: LockEffect, _ machine: Machine) {
        switch effect {
        case .send(let bytes, let peer):
            transmit(bytes, from: machine.number, to: LockBench.number(peer))
        case .persist(let writes, let ticket):
            let due = max(now, machine.writes.last?.due ?? 0) + syncTime.nanoseconds
            machine.writes.append((ticket, writes, due))
        default:
            observe(effect, machine)
        }
    }
}
