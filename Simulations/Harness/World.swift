import Cluster
import Gossip
import Lock
import Model

/// A cluster in virtual time: the production core on virtual networks, disks, clocks and containers.
///
/// Single-threaded; events are ordered by (time, sequence), and every choice comes from the seed.
package struct World {
    /// What can happen in the world.
    enum Event {
        case wake(Int)
        case wallClock(Int)
        case deliver([UInt8], from: PeerAddress, to: Int, Channel, VirtualNetwork.Link)
        case diskDone(Int, life: UInt64)
        case containerStep(Int, ContainerID, generation: UInt64, ContainerStep)
        case fault
        case heal
        case restart(Int)
        case submit(Int)
        case retry(Int)
        case cancel(Int)
    }

    /// What a virtual container does next.
    enum ContainerStep: Equatable {
        case created
        case started
        case exits(Int32)
    }

    /// What the run consists of.
    package let scenario: Scenario
    var random: SeededGenerator
    var heap = EventHeap<Event>()
    /// Virtual time in nanoseconds.
    package internal(set) var time: Int64 = 0
    var machines: [VirtualMachine] = []
    var indices: [PeerAddress: Int] = [:]
    var network: VirtualNetwork
    var checker = Checker()
    var workload = Workload()
    var trace = Trace()
    var lastGeneration: UInt64 = 0
    var lastRequest: UInt64 = 0
    var isSafetyPhase = false
    /// The newest join token that a node has made.
    var joinToken: String?
    /// What the run counts.
    package internal(set) var counts = Counts()

    /// What a run counts.
    package struct Counts: Sendable {
        /// Events that were handled.
        package var events = 0
        /// Datagrams and frames that were sent.
        package var packets = 0
        /// Requests to the lock for claims.
        package var claimRequests = 0
        /// Tasks that were asked for in them.
        package var claims = 0
        /// Claims that were not granted.
        package var claimsDenied = 0
        /// Attempts that were started.
        package var starts = 0
        /// Crashes of daemons and machines.
        package var crashes = 0
    }

    /// Builds the machines; nothing runs yet.
    package init(_ scenario: Scenario) {
        self.scenario = scenario
        random = SeededGenerator(seed: scenario.seed)
        network = VirtualNetwork(faults: .none)
        network.faults.delayMax = min(scenario.faults.delayMax, .milliseconds(2))
        trace.keepsTrail = scenario.keepsTrail
        let scheme: any SignatureScheme =
            scenario.usesRealSignatures ? Ed25519() : SimulatedSignatures()
        for index in 0..<scenario.nodeCount {
            let seed = (0..<4).flatMap { _ in Wide128(high: random.next(), low: 0).bytes.prefix(8) }
            let address = PeerAddress(
                ip: [10, 0, UInt8(index / 250), UInt8(index % 250 + 1)], port: 7_946)
            let rate = 1 + scenario.faults.drift * (2 * random.fraction() - 1)
            machines.append(
                VirtualMachine(
                    index: index, address: address, key: NodeKey(seed: seed, scheme: scheme),
                    clockOffset: Int64(random.next() >> 8), clockRate: rate))
            indices[address] = index
        }
    }

    // MARK: The loop

    /// Handles events until `end`, or until `condition` holds after one.
    mutating func run(until end: Int64, _ condition: ((inout World) -> Bool)? = nil) {
        while checker.violation == nil, let (due, event) = heap.popFirst() {
            guard due <= end else {
                heap.insert(event, at: due)
                time = end
                return
            }
            time = max(time, due)
            counts.events += 1
            handle(event)
            if counts.events % 64 == 0, let condition, condition(&self) { return }
        }
    }

    private mutating func handle(_ event: Event) {
        if let machine = event.machine, machines[machine].frozenUntil > time {
            return heap.insert(event, at: machines[machine].frozenUntil)
        }
        switch event {
        case .wake(let machine):
            guard machines[machine].wakeAt <= time else { return }
            machines[machine].wakeAt = .max
            tell(machine, .deadlineReached)
        case .wallClock(let machine):
            guard machines[machine].node != nil else { return }
            tell(machine, .wallClock(wallTime))
            heap.insert(.wallClock(machine), at: time + 30_000_000_000)
        case .deliver(let bytes, let source, let machine, let channel, let link):
            guard network.isOpen(link) else { return }
            tell(machine, .received(bytes, from: source, via: channel))
        case .diskDone(let machine, let life):
            guard machines[machine].life == life,
                let ticket = machines[machine].disk.commitFirst()
            else { return }
            tell(machine, .persisted(ticket))
        case .containerStep(let machine, let id, let generation, let step):
            advance(machine, id, generation, step)
        case .fault: injectFault()
        case .heal: network.heal()
        case .restart(let machine): start(machine, .resume)
        case .submit(let task): submit(task)
        case .retry(let task): retry(task)
        case .cancel(let task): cancel(task)
        }
    }

    /// What a wall clock shows; true for everybody, since nothing hangs on it.
    var wallTime: WallTime { WallTime(milliseconds: 1_800_000_000_000 + time / 1_000_000) }

    // MARK: Daemons

    /// Starts the daemon of a machine.
    mutating func start(_ index: Int, _ origin: NodeOrigin) {
        guard machines[index].node == nil else { return }
        var configuration = NodeConfiguration(
            name: "node\(index + 1)", advertise: machines[index].address,
            capacity: scenario.capacity)
        configuration.profile = scenario.profile
        configuration.policy = scenario.policy
        configuration.lock.mutation = scenario.mutation
        configuration.signatures =
            scenario.usesRealSignatures ? Ed25519() : SimulatedSignatures()
        let boot = NodeBoot(
            image: machines[index].disk.image, key: machines[index].key,
            bootID: BootID(random.next()), seed: random.next(),
            containers: machines[index].adoptable,
            isSameMachineBoot: !machines[index].hasRebooted, wallTime: wallTime)
        machines[index].life += 1
        machines[index].hasRebooted = false
        do {
            let resumed: NodeOrigin =
                origin == .resume && boot.image[.identity].isEmpty ? .join : origin
            machines[index].node = try Node(
                boot: boot, configuration: configuration, origin: resumed,
                at: machines[index].localTime(at: time))
        } catch {
            return checker.fail("node \(index + 1) does not start: \(error.message)", at: time)
        }
        heap.insert(.wallClock(index), at: time)
    }

    /// Hands an event to a node, performs its effects, and looks when it wants to be woken.
    mutating func tell(_ index: Int, _ event: NodeEvent) {
        guard var node = machines[index].node else { return }
        let now = machines[index].localTime(at: time)
        trace.note(event, index, time)
        var effects: [NodeEffect] = []
        machines[index].node = nil  // so that the value is not copied while it changes
        node.handle(event, at: now) { effects.append($0) }
        machines[index].node = node
        for effect in effects { perform(effect, for: index) }
        guard let deadline = machines[index].node?.nextDeadline else { return }
        let due = max(machines[index].virtualTime(of: deadline), time)
        if due < machines[index].wakeAt {
            machines[index].wakeAt = due
            heap.insert(.wake(index), at: due)
        }
    }

    private mutating func perform(_ effect: NodeEffect, for index: Int) {
        trace.note(effect, index, time)
        switch effect {
        case .send(let bytes, let address, let channel):
            send(bytes, from: index, to: address, channel)
        case .persist(let writes, let ticket):
            machines[index].disk.submit(writes, ticket)
            let latency = 100_000 + Int64(random.next() % 400_000)
            heap.insert(.diskDone(index, life: machines[index].life), at: time + latency)
        case .container(let id, let command):
            perform(command, on: id, of: index)
        case .readLog(let read, _, let cursor, _):
            let nothing = LogChunk(entries: [], next: cursor, isEnd: true)
            tell(index, .logRead(read, nothing))
        case .reply(let request, let reply):
            answered(request, reply, by: index)
        case .observe(let observation):
            observe(observation, by: index)
        }
    }

    private mutating func send(
        _ bytes: [UInt8], from index: Int, to address: PeerAddress, _ channel: Channel
    ) {
        counts.packets += 1
        guard let target = indices[address] else { return }
        let link = VirtualNetwork.Link(from: index, to: target)
        for arrival in network.arrivals(of: channel, on: link, at: time, using: &random) {
            heap.insert(
                .deliver(bytes, from: machines[index].address, to: target, channel, link),
                at: arrival)
        }
    }

    private mutating func observe(_ observation: Observation, by index: Int) {
        switch observation {
        case .claimsRequested(let count):
            counts.claimRequests += 1
            counts.claims += count
        case .claimGranted(let task, let token):
            checker.granted(task, token, to: index, at: time)
        case .claimDenied:
            counts.claimsDenied += 1
        case .taskChanged(let id):
            if let status = machines[index].node?.task(id) {
                checker.saw(status, by: index, at: time)
                workload.saw(status, at: time)
            }
        case .memberChanged, .dropped, .leaseLapsed, .leaseExtended, .lockLeader, .votersChanged,
            .notice:
            break
        }
    }
}

extension World.Event {
    /// The machine that must not stand still for this to happen.
    fileprivate var machine: Int? {
        switch self {
        case .wake(let machine), .wallClock(let machine), .diskDone(let machine, _): machine
        case .deliver(_, _, let machine, _, _): machine
        case .containerStep(let machine, _, _, _): machine
        case .fault, .heal, .restart, .submit, .retry, .cancel: nil
        }
    }
}
