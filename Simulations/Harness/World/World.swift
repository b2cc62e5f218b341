import Cluster
import Gossip
import Lock
import Model

/// A cluster in virtual time: the production core on virtual networks, disks, clocks, containers.
///
/// One thread; events are ordered by (time, sequence), and every choice descends from the seed.
/// The world performs effects and decides nothing, like the daemon's driver.
package final class World {
    /// What can happen.
    enum Event {
        /// A node wants `.deadlineReached`.
        case wake(Int)
        /// Something for a node's ears only, in one life of it.
        case tell(Int, life: UInt64, NodeEvent)
        /// A datagram arrives.
        case datagram(Packet, to: Int)
        /// It is time to look at a link's stream.
        case stream(Int)
        /// A frame of a connection that its sender did not outlive arrives.
        case orphan(Packet, to: Int)
        /// A disk has synced.
        case synced(Int, life: UInt64)
        /// The driver hears what became of writes.
        case answered(Int, life: UInt64, WriteQueue.Answer)
        /// A container goes a step further.
        case step(Int, VirtualRuntime.Step)
        /// The driver's clock and pressure reports are due.
        case report(Int, life: UInt64)
        /// A daemon starts, unless it has been started since.
        case start(Int, life: UInt64)
        /// A daemon without a cluster tries to join.
        case join(Int, life: UInt64)
        /// What is outside of an absent daemon looks after its lease.
        case guardDue(Int)
        /// Something goes wrong.
        case incident
        /// Something that went wrong is over.
        case relief(Relief)
        /// A client does something.
        case client(ClientStep)
        /// Something happens to machines in a study.
        case study(StudyStep)
    }

    /// What the run consists of.
    package let scenario: Scenario
    /// The machine on which a copy of one of their disks runs, or did last.
    var impostor: Machine?
    /// What goes wrong in it.
    package internal(set) var faults: Faults
    /// Virtual time in nanoseconds.
    package internal(set) var now: Int64 = 0
    var queue = EventQueue<Event>()
    var machines: [Machine] = []
    var network: VirtualNetwork
    /// What must hold at every step.
    package internal(set) var checker = Checker()
    var clients: Clients
    /// The images that tasks may need.
    let library: ImageLibrary
    var namedImages: Set<Int> = []
    /// The hash of everything that happened, and where its lines go.
    package var trace = Trace()
    /// What the run counts.
    package internal(set) var counts = Counts()
    var random: WorldRandom
    var isSafetyPhase = false
    var lastRequest: UInt64 = 0
    /// Whether the run is a study: then neither a trace is kept nor what tasks are said to be
    /// checked, which other runs are for.
    var isStudy = false
    /// What a study wants to know.
    var log = StudyLog()
    /// Nodes that were lost with their disk.
    var lostNodes: [NodeID] = []
    /// When a disk was last lost, or an old copy of one came back.
    var lastWipe: Int64 = 0
    var hasRolledBack = false
    /// Nothing goes wrong before then.
    var calmUntil: Int64 = 0
    /// Who stays away in the first part of the liveness phase.
    var absentees: Set<Int> = []
    /// The nodes that were shut out for good.
    var evicted: Set<NodeID> = []
    /// Every packet that was sent, when somebody wants them.
    var recorded: [[UInt8]]?
    private var effects: [NodeEffect] = []

    /// The machines' port for gossip.
    static let port: UInt16 = 7_946
    /// How often in a row a node may ask to be woken at once.
    private static let spinMax = 1_000

    /// Builds the machines; nothing runs yet.
    package init(_ scenario: Scenario) {
        self.scenario = scenario
        var seeds = SeededGenerator(seed: scenario.seed)
        random = WorldRandom(&seeds)
        let copies = scenario.faultKinds.contains(.clone) ? 1 : 0
        network = VirtualNetwork(count: scenario.nodeCount + copies, seed: seeds.next())
        clients = Clients(seed: seeds.next())
        library = ImageLibrary(seed: scenario.seed)
        faults = Faults(
            drawnFrom: scenario.faultKinds, isSwarm: scenario.isSwarm, using: &random.incidents)
        for index in 0..<scenario.nodeCount {
            machines.append(newMachine(index, seeds.next()))
        }
    }

    func newMachine(_ index: Int, _ seed: UInt64) -> Machine {
        var own = SeededGenerator(seed: seed)
        let number = index + 1
        let address = PeerAddress(
            ip: [10, UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)],
            port: World.port)
        let drift = faults.driftPartsPerBillionMax
        let clock = VirtualClock(
            offset: Int64(own.next() >> 16),
            driftPartsPerBillion: drift == 0
                ? 0
                : own.nanoseconds(
                    .nanoseconds(-drift), .nanoseconds(drift)),
            wallSkew: own.duration(upTo: faults.wallSkewMax))
        let key = NodeKey(seed: own.bytes(NodeKey.seedSizeBytes), scheme: scenario.scheme)
        return Machine(
            index: index, address: address, key: key, clock: clock,
            runtime: VirtualRuntime(seed: own.next()), driver: scenario.mutation?.driver)
    }

    // MARK: The loop

    /// Handles events until `end`, or until a promise is broken, or `stop` says so.
    package func run(until end: Int64, stop: () -> Bool = { false }) {
        while checker.violation == nil, let due = queue.firstTime, due <= end, !stop() {
            guard let (time, event) = queue.popFirst() else { break }
            now = max(now, time)
            counts.events += 1
            handle(event)
        }
        if checker.violation == nil { now = max(now, end) }
    }

    private func handle(_ event: Event) {
        switch event {
        case .wake(let index): wake(place(index))
        case .tell(let index, let life, let event):
            if place(index).life == life { tell(place(index), event) }
        case .datagram(let packet, let target):
            receive(packet, by: place(target), via: .datagram)
        case .stream(let link): look(at: link)
        case .orphan(let packet, let target):
            if packet.receiverLife == place(target).life {
                receive(packet, by: place(target), via: .stream)
            }
        case .synced(let index, let life): synced(place(index), life)
        case .answered(let index, let life, let answer):
            answered(answer, place(index), life)
        case .step(let index, let step): advance(place(index), step)
        case .report(let index, let life): report(place(index), life)
        case .start(let index, let life):
            if place(index).life == life { start(place(index)) }
        case .join(let index, let life):
            if place(index).life == life { join(place(index)) }
        case .guardDue(let index): guardDue(place(index))
        case .incident: incident()
        case .relief(let relief): self.relieve(relief)
        case .client(let step): perform(step)
        case .study(let step): perform(step)
        }
    }

    // MARK: The node's ears

    /// Hands an event to a node, performs its effects, and looks when it wants to be woken.
    func tell(_ machine: Machine, _ event: NodeEvent) {
        guard machine.node != nil else { return }
        if machine.frozenUntil > now {
            let deferred = Event.tell(machine.index, life: machine.life, event)
            return queue.insert(deferred, at: machine.frozenUntil)
        }
        counts.nodeEvents += 1
        if !isStudy { trace.note(event, by: machine, at: now) }
        machine.node?.handle(event, at: machine.clock.local(at: now)) { effects.append($0) }
        let pending = effects
        effects = []
        var ending: String?
        for effect in pending {
            if !isStudy { trace.note(effect, by: machine, at: now) }
            if case .stop(let reason) = effect { ending = reason }
            perform(effect, of: machine)
        }
        if let ending, machine.node != nil { stopped(machine, ending) }
        checkSpin(machine, event)
        scheduleWake(machine)
        checkLock(of: machine)
    }

    private func wake(_ machine: Machine) {
        guard machine.wakeAt <= now else { return }
        guard machine.frozenUntil <= now else {
            machine.wakeAt = machine.frozenUntil
            return queue.insert(.wake(machine.index), at: machine.wakeAt)
        }
        machine.wakeAt = .max
        tell(machine, .deadlineReached)
    }

    private func scheduleWake(_ machine: Machine) {
        guard let deadline = machine.node?.nextDeadline else { return }
        let due = max(machine.clock.virtual(of: deadline), now)
        guard due < machine.wakeAt else { return }
        machine.wakeAt = due
        queue.insert(.wake(machine.index), at: due)
    }

    /// A real daemon would burn a core: a deadline that has come must be taken off.
    private func checkSpin(_ machine: Machine, _ event: NodeEvent) {
        guard case .deadlineReached = event, let deadline = machine.node?.nextDeadline,
            deadline <= machine.clock.local(at: now)
        else {
            machine.spinCount = 0
            return
        }
        machine.spinCount += 1
        if machine.spinCount > World.spinMax {
            checker.fail("\(machine.name) wants to be woken at once again and again", at: now)
        }
    }

    // MARK: The node's hands

    private func perform(_ effect: NodeEffect, of machine: Machine) {
        switch effect {
        case .send(let bytes, let address, _, let channel):
            send(bytes, from: machine, to: address, via: channel)
        case .persist(let writes, let ticket):
            checkRecords(writes, by: machine)
            machine.disk.submit(writes, ticket)
            workDisk(of: machine)
        case .container(let id, let command):
            var mayCreate = true
            if case .start = command { checkStart(of: id, on: machine) }
            if case .create(let spec) = command, spec.onPartition == .rerun {
                mayCreate = isGuarded(machine)
            }
            let steps = machine.runtime.perform(command, on: id, mayCreate: mayCreate)
            if case .create(let spec) = command {
                checkImage(of: spec, id, on: machine)
                counts.creates += 1
                checker.created(id, on: machine.name, at: now)
            }
            schedule(steps, on: machine)
        case .armGuard(let deadline):
            arm(machine, until: deadline)
        case .image(let command):
            perform(command, of: machine)
        case .readLog(let read, let container, let start, let waitAtMost):
            readLog(read, container, start, waitAtMost, on: machine)
        case .logCopy(let container, let command):
            copyLog(container, command, on: machine)
        case .measure(let id, _):
            // Nothing is used in this world.
            queue.insert(
                .tell(machine.index, life: machine.life, .measured(id, nil)), at: now + 1_000_000)
        case .call(let id, _, _, _):
            let answer = CallAnswer.refused(.gone, "nobody can be called in this world")
            queue.insert(
                .tell(machine.index, life: machine.life, .called(id, answer)), at: now + 1_000_000)
        case .keepKey:
            break  // Nobody renews a key in this world.
        case .reply(let request, let reply):
            replied(request, reply, by: machine)
        case .observe(let observation):
            observe(observation, by: machine)
        case .stop:
            break  // As the daemon does it: once all that the event asked for is done.
        }
    }

    private func readLog(
        _ read: LogReadID, _ container: ContainerID, _ start: LogStart, _ wait: Duration,
        on machine: Machine
    ) {
        var chunk: LogChunk?
        if let found = machine.runtime[container] {
            var isEnd = false
            if case .ended = found.phase { isEnd = true }
            chunk = LogChunk(entries: [], next: start.fallback, isEnd: isEnd)
        }
        let delay = chunk?.isEnd == false ? wait.nanoseconds : 1_000_000
        queue.insert(
            .tell(machine.index, life: machine.life, .logRead(read, chunk)), at: now + delay)
    }

    private func report(_ machine: Machine, _ life: UInt64) {
        guard machine.life == life else { return }
        checkQueues(of: machine)
        tell(machine, .wallClock(machine.clock.wall(at: now)))
        tell(
            machine,
            .pressure(
                MachinePressure(
                    memoryAvailableBytes: scenario.capacity(of: machine.index).memoryBytes,
                    isDiskFull: machine.disk.isFull)))
        queue.insert(
            .report(machine.index, life: life), at: now + scenario.reportInterval.nanoseconds)
    }
}

/// Independent sequences for independent choices, so that a change of one leaves the others.
struct WorldRandom {
    var boots: SeededGenerator
    var disks: SeededGenerator
    var incidents: SeededGenerator
    var crashes: SeededGenerator

    init(_ seeds: inout SeededGenerator) {
        boots = seeds.split()
        disks = seeds.split()
        incidents = seeds.split()
        crashes = seeds.split()
    }
}

/// What a run counts.
package struct Counts: Sendable {
    /// Events of the world.
    package var events = 0
    /// Events that nodes took in.
    package var nodeEvents = 0
    /// Datagrams that were sent.
    package var datagrams = 0
    /// Stream frames that were sent.
    package var frames = 0
    /// Bytes that were sent.
    package var bytes = 0
    /// Requests to the lock for claims.
    package var claimRequests = 0
    /// Tasks that were asked for in them.
    package var claims = 0
    /// Claims that were granted.
    package var grants = 0
    /// Claims that were not granted.
    package var denials = 0
    /// Committed entries of the lock that were compared.
    package var entries = 0
    /// Containers that were made.
    package var creates = 0
    /// Programs that were started.
    package var starts = 0
    /// Leases that ended before they were renewed.
    package var lapses = 0
    /// Minorities that stayed away while the rest had to go on.
    package var minorities = 0
    /// Daemons that stopped since another one had their key.
    package var clonesStopped = 0
    /// What went wrong, by kind.
    package var incidents: [FaultKind: Int] = [:]
}

extension Scenario {
    /// What a node gives to tasks.
    func capacity(of index: Int) -> Resources {
        index < capacities.count ? capacities[index] : capacity
    }

    /// How often drivers report clock and pressure.
    var reportInterval: Duration { .seconds(5) }

    var scheme: any SignatureScheme {
        switch signatures {
        case .simulated: SimulatedSignatures()
        case .ed25519: Ed25519()
        }
    }
}
