import Gossip
import Model

@testable import Cluster
@testable import Lock

/// One node that has founded a cluster, on a disk that takes everything in at once; containers do
/// what the test says.
struct NodeRig {
    private(set) var node: Node
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var commands: [(id: ContainerID, command: ContainerCommand)] = []
    private(set) var replies: [RequestID: NodeReply] = [:]
    /// What the disk holds: the value of each key.
    private(set) var disk: [DurableSpace: [[UInt8]: [UInt8]]] = [:]
    private var lastRequest: UInt64 = 0
    private let policy: StealPolicy
    private let mutation: NodeMutation?
    private let settings: (inout NodeConfiguration) -> Void
    private(set) var measured: [MeasureID] = []
    /// When the guard is to end what hangs on the lease, as it was last told in this life.
    private(set) var guardDeadline: Instant?
    private(set) var called:
        [(id: CallQueryID, container: ContainerID, key: CallKey, command: CallCommand)] = []

    init(
        policy: StealPolicy = .none, mutation: NodeMutation? = nil,
        with settings: @escaping (inout NodeConfiguration) -> Void = { _ in }
    ) throws {
        self.policy = policy
        self.mutation = mutation
        self.settings = settings
        node = try NodeRig.node(
            policy, mutation, settings, boot: 5, origin: .found(nonce: 3), image: DurableImage(),
            containers: [],
            at: now)
        step(.wallClock(WallTime(milliseconds: 1_000_000)))
    }

    /// The daemon starts again, on the same machine if nothing else is said, and finds these
    /// containers.
    mutating func restart(
        finding containers: [AdoptedContainer], on machine: UInt64 = 1
    ) throws {
        node = try NodeRig.node(
            policy, mutation, settings, boot: 6, origin: .resume, image: image,
            containers: containers, machine: machine, at: now)
        commands = []
        guardDeadline = nil
        step(.wallClock(WallTime(milliseconds: 2_000_000)))
    }

    /// All that is on the disk.
    var image: DurableImage {
        var image = DurableImage()
        for (space, rows) in disk {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        return image
    }

    /// The disk has what another one holds in one of its spaces.
    mutating func copy(_ space: DurableSpace, from other: NodeRig) {
        disk[space] = other.disk[space]
    }

    /// The disk forgets what came after `earlier` in one of its spaces.
    mutating func forget(_ space: DurableSpace, since earlier: NodeRig) {
        disk[space] = earlier.disk[space]
    }

    private static func node(
        _ policy: StealPolicy, _ mutation: NodeMutation?,
        _ settings: (inout NodeConfiguration) -> Void, boot bootID: UInt64,
        origin: NodeOrigin, image: DurableImage, containers: [AdoptedContainer],
        machine: UInt64 = 1, at now: Instant
    ) throws -> Node {
        var configuration = NodeConfiguration(
            name: "one", advertise: PeerAddress(ip: [127, 0, 0, 1], port: 7_946),
            capacity: Resources(cpuMillis: 4_000, memoryBytes: 4 << 30))
        configuration.profile = .local
        configuration.policy = policy
        configuration.mutation = mutation
        settings(&configuration)
        let key = NodeKey(seed: Array(repeating: 7, count: NodeKey.seedSizeBytes))
        let boot = NodeBoot(
            image: image, key: key, bootID: BootID(bootID), seed: 9 + bootID,
            containers: containers, isSameMachineBoot: true, machine: MachineID(machine),
            wallTime: WallTime(milliseconds: 1_000_000))
        return try Node(boot: boot, configuration: configuration, origin: origin, at: now)
    }

    private mutating func write(_ writes: [DurableWrite]) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value): disk[space, default: [:]][key] = value
            case .delete(let space, let key): disk[space]?[key] = nil
            case .deleteRange(let space, let from, let to):
                disk[space] = disk[space]?.filter { key, _ in
                    key.lexicographicallyPrecedes(from)
                        || to.map { !key.lexicographicallyPrecedes($0) } ?? false
                }
            }
        }
    }

    /// Hands an event to the node, and writes what it wants written.
    mutating func step(_ event: NodeEvent) {
        var events = [event]
        while !events.isEmpty {
            var heard: [NodeEffect] = []
            node.handle(events.removeFirst(), at: now) { heard.append($0) }
            events += perform(heard)
        }
    }

    /// The lock's part of the node tells the rest something.
    mutating func lockSays(_ effect: LockEffect) {
        var heard: [NodeEffect] = []
        node.apply(effect, at: now) { heard.append($0) }
        for event in perform(heard) { step(event) }
    }

    /// Does what the node wants done; returns what it is to hear of that.
    private mutating func perform(_ effects: [NodeEffect]) -> [NodeEvent] {
        var events: [NodeEvent] = []
        for effect in effects {
            switch effect {
            case .persist(let writes, let ticket):
                write(writes)
                events.append(.persisted(ticket))
            case .container(let id, let command): commands.append((id, command))
            case .measure(let id, _): measured.append(id)
            case .armGuard(let until): guardDeadline = until
            case .call(let id, let container, let key, let command):
                called.append((id, container, key, command))
            case .reply(let request, let reply): replies[request] = reply
            default: break
            }
        }
        return events
    }

    /// Lets time pass, and the node do what is due.
    mutating func run(for span: Duration) {
        let end = now + span
        while let due = node.nextDeadline, due <= end {
            now = max(now, due)
            step(.deadlineReached)
        }
        now = end
    }

    /// Time passes, and the node is not told.
    mutating func sleep(for span: Duration) { now = now + span }

    mutating func ask(_ request: NodeRequest) -> RequestID {
        lastRequest += 1
        step(.request(RequestID(lastRequest), request))
        return RequestID(lastRequest)
    }

    /// Submits a task, and waits until its container is asked for.
    mutating func submit(_ spec: TaskSpec, id: TaskID) -> ContainerID? {
        _ = ask(.submit(spec, id: id, ack: .copies(1)))
        for _ in 0..<100 where creates(of: id).isEmpty { run(for: .milliseconds(50)) }
        return creates(of: id).first
    }

    /// The containers that were asked for.
    func creates(of task: TaskID) -> [ContainerID] {
        commands.compactMap { entry in
            guard entry.id.task == task, case .create = entry.command else { return nil }
            return entry.id
        }
    }

    func wasTold(_ id: ContainerID, _ command: ContainerCommand) -> Bool {
        commands.contains { $0.id == id && $0.command == command }
    }
}
