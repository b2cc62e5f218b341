import CShims
import Cluster
import Foundation
import Gossip
import Lock
import Model
import NIOCore
import NIOPosix
import NodeIO

/// A node that does nothing but claim: the shipped membership, lock, transport and store, on one
/// event loop, with real sockets and a real disk; no table and no containers.
final class ClaimNode: @unchecked Sendable {
    let loop: any EventLoop
    private let transport: Transport
    private var store: DurableStore?
    private var membership: Membership
    private var lock: LockNode
    private var tickets: [PersistTicket: LockTicket] = [:]
    private var lastTicket: UInt64 = 0
    private var wake: (due: Instant, task: Scheduled<Void>)?
    private var gathered: [AcquireRequest] = []
    /// What the parts have asked for, and nobody has done yet.
    private var undone: [PartEffect] = []
    private var isSettling = false

    /// Who waits for an answer about a task: since when, and what to do then.
    private var waiting: [TaskID: (since: Instant, answer: (Bool) -> Void)] = [:]
    private var births: UInt64 = 0
    private let origin: UInt64
    private var joined: EventLoopPromise<Void>?

    /// Opens sockets and disk; `isFounder` begins the cluster.
    static func open(
        _ number: Int, in folder: String, isFounder: Bool
    ) async throws -> ClaimNode {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        var random = SystemRandomNumberGenerator()
        let seed = (0..<NodeKey.seedSizeBytes).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        let transport = Transport(loop: loop, identity: try StreamIdentity(seed: seed))
        let address = PeerAddress(ip: [127, 0, 0, 1], port: 0)
        let box = Box()
        try await transport.open(
            address,
            hooks: TransportHooks(
                receive: { box.node?.gossip(.received($0, from: $1, via: $2)) },
                standing: {
                    box.node?.membership.standing(ofKey: $0)
                        ?? .stranger($0, frameSizeBytesMax: 0)
                }, refused: { _ in }))
        let node = try ClaimNode(
            number, NodeKey(seed: seed), loop: loop, transport: transport, isFounder: isFounder)
        let store = try DurableStore(path: "\(folder)/claims\(number).sqlite") { answer in
            loop.execute { node.persisted(answer) }
        }
        try await loop.submit {
            box.node = node
            node.begin(store, isFounder: isFounder)
        }.get()
        return node
    }

    /// Joins a node to its transport, on the event loop.
    private final class Box: @unchecked Sendable {
        var node: ClaimNode?
    }

    private init(
        _ number: Int, _ key: NodeKey, loop: any EventLoop, transport: Transport, isFounder: Bool
    ) throws {
        self.loop = loop
        self.transport = transport
        var random = SystemRandomNumberGenerator()
        let now = ClaimNode.now
        origin = random.next()
        let boot = BootID(random.next())
        let metadata = NodeMetadata(
            name: "claim\(number)", version: SoftwareVersion.text,
            capacity: Resources(cpuMillis: 1_000, memoryBytes: 1 << 30), labels: [],
            isEligible: true)
        membership = try Membership(
            key: key, bootID: boot, scheme: Ed25519(),
            configuration: GossipConfiguration(profile: .local), metadata: metadata,
            advertise: transport.address,
            genesis: isFounder ? Genesis(founder: key.publicKey, nonce: random.next()) : nil,
            restored: DurableImage(), seed: random.next(), wallTime: ClaimNode.wallTime, at: now)
        lock = try LockNode(
            id: key.id, bootID: boot, configuration: LockConfiguration(profile: .local),
            restored: DurableImage(), isFounder: isFounder, isSameMachineBoot: false,
            seed: random.next(), at: now)
    }

    private static var now: Instant { Instant(nanoseconds: magpie_boottime()) }
    private static var wallTime: WallTime {
        WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
    }

    private func begin(_ store: DurableStore, isFounder: Bool) {
        self.store = store
        if isFounder {
            persist(membership.foundingRows, nil)
            share()
            tell(.openSession(keeping: []))
        }
        arm()
    }

    var address: PeerAddress { transport.address }

    func token() async throws -> JoinToken {
        try await loop.submit { [self] in
            guard
                let token = try? membership.issueToken(
                    lifetime: .seconds(600), at: ClaimNode.now
                ).token
            else { throw BenchFailure("the founder makes no token") }
            return token
        }.get()
    }

    func join(_ seed: PeerAddress, _ token: JoinToken) async throws {
        try await loop.flatSubmit { [self] in
            let promise = loop.makePromise(of: Void.self)
            joined = promise
            gossip(.join(seeds: [seed], token: token))
            return promise.futureResult
        }.get()
    }

    /// How many voters there are, whether this node leads them, and whether it may claim.
    func state() async throws -> (voters: Int, leads: Bool, mayClaim: Bool) {
        try await loop.submit { [self] in (lock.voters.count, lock.isLeader, lock.mayAcquire) }
            .get()
    }

    func close() async {
        await transport.close()
        try? await loop.submit { [self] in wake?.task.cancel() }.get()
        store?.flush()
    }

    // MARK: Claiming

    /// Runs claimers, each of which asks for the next task once the last is its node's.
    func claim(by claimers: Int, for span: TimeAmount) async throws -> ClaimCount {
        let count = ClaimCount()
        try await loop.flatSubmit { [self] in
            let end = ClaimNode.now + .nanoseconds(span.nanoseconds)
            let ends = (0..<claimers).map { _ in loop.makePromise(of: Void.self) }
            for promise in ends { claimNext(until: end, count, promise) }
            settle()
            return EventLoopFuture.andAllSucceed(ends.map(\.futureResult), on: loop)
        }.get()
        return count
    }

    private func claimNext(
        until end: Instant, _ count: ClaimCount, _ promise: EventLoopPromise<Void>
    ) {
        guard ClaimNode.now < end else { return promise.succeed() }
        births += 1
        var random = SystemRandomNumberGenerator()
        let task = TaskID(at: ClaimNode.wallTime, using: &random)
        gathered.append(
            AcquireRequest(
                task: task, birth: BirthDot(origin: BootID(origin), sequence: births),
                restart: .onNodeLoss, onPartition: .rerun))
        let begin = ClaimNode.now
        waiting[task] = (
            begin,
            { [self] isGranted in
                if isGranted {
                    count.latencies.append((ClaimNode.now - begin).seconds * 1_000)
                } else {
                    count.denials += 1
                }
                claimNext(until: end, count, promise)
            }
        )
    }

    private func answered(_ task: TaskID, isGranted: Bool) {
        waiting.removeValue(forKey: task)?.answer(isGranted)
    }

    // MARK: The parts

    /// What one of the parts asks for.
    private enum PartEffect {
        case gossip(GossipEffect)
        case lock(LockEffect)
    }

    private func gossip(_ event: GossipEvent) {
        membership.handle(event, at: ClaimNode.now) { undone.append(.gossip($0)) }
        settle()
    }

    private func tell(_ event: LockEvent) {
        lock.handle(event, at: ClaimNode.now) { undone.append(.lock($0)) }
        settle()
    }

    /// Does what the parts ask for, each part's effects in their order; then asks for what claimers
    /// want meanwhile, together, as a node does it.
    private func settle() {
        guard !isSettling else { return }
        isSettling = true
        while true {
            var next = 0
            while next < undone.count {
                switch undone[next] {
                case .gossip(let effect): perform(effect)
                case .lock(let effect): perform(effect)
                }
                next += 1
            }
            undone = []
            guard !gathered.isEmpty else { break }
            let batch = Array(gathered.prefix(LockConfiguration.operationsMax))
            gathered.removeFirst(batch.count)
            lock.handle(.acquire(batch), at: ClaimNode.now) { undone.append(.lock($0)) }
        }
        isSettling = false
        arm()
    }

    private func perform(_ effect: GossipEffect) {
        switch effect {
        case .send(let bytes, let peer, let node, let channel):
            transport.send(bytes, to: peer, of: node, via: channel)
        case .deliver(let bytes, let peer, _): tell(.received(bytes, from: peer))
        case .memberChanged: share()
        case .persist(let writes): persist(writes, nil)
        case .joined:
            share()
            tell(.openSession(keeping: []))
            joined?.succeed()
            joined = nil
        case .joinRefused(let refusal): joined?.fail(refusal)
        case .joinUnreachable: joined?.fail(BenchFailure("the seed does not answer"))
        case .dropped, .cloneRefused, .refusedAsClone, .left, .amended, .shutOut, .keyRenewed,
            .superseded:
            break
        }
    }

    private func share() {
        tell(.members(membership.members.map(LockMember.init)))
    }

    private func perform(_ effect: LockEffect) {
        switch effect {
        case .send(let bytes, let peer):
            gossip(.send(payload: bytes, to: peer, via: .stream))
        case .persist(let writes, let ticket): persist(writes, ticket)
        case .granted(let task, _, _, _): answered(task, isGranted: true)
        case .denied(let task, _): answered(task, isGranted: false)
        default: break
        }
    }

    private func persist(_ writes: [DurableWrite], _ ticket: LockTicket?) {
        lastTicket += 1
        tickets[PersistTicket(lastTicket)] = ticket
        store?.submit(writes, PersistTicket(lastTicket))
    }

    private func persisted(_ answer: WriteQueue.Answer) {
        answer.deliver(
            resume: { store?.resume(after: $0) },
            tell: { ticket, failure in
                guard let owner = tickets.removeValue(forKey: ticket) else { return }
                tell(failure == nil ? .persisted(owner) : .persistFailed(owner))
            })
    }

    private func arm() {
        guard let due = [membership.nextDeadline, lock.nextDeadline].compactMap({ $0 }).min()
        else { return }
        if let wake, wake.due <= due { return }
        wake?.task.cancel()
        let delay = max(due - ClaimNode.now, .zero)
        let task = loop.scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
            wake = nil
            let now = ClaimNode.now
            if let due = membership.nextDeadline, due <= now { gossip(.deadlineReached) }
            if let due = lock.nextDeadline, due <= now { tell(.deadlineReached) }
            arm()
        }
        wake = (due, task)
    }
}

/// What claimers have got; touched by one event loop at a time.
final class ClaimCount: @unchecked Sendable {
    /// From asking to having, in milliseconds.
    var latencies: [Double] = []
    var denials = 0
}
