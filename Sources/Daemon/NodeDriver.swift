import CShims
import Cluster
import ControlAPI
import Foundation
import Glibc
import Gossip
import Logging
import Model
import NIOCore
import NodeIO
import Runner

/// The interpreter of the core for the real world: hands it events, performs its effects, decides nothing.
///
/// Everything here happens on one event loop; the core is touched by nobody else.
final class NodeDriver: @unchecked Sendable {
    private let loop: any EventLoop
    let transport: Transport
    private let runner: ContainerRunner?
    private let copies: LogCopyStore
    /// This node's images.
    let images: ImageDesk
    let dataDirectory: String
    let logger: Logger
    private var store: DurableStore?
    private var node: Node?
    private var wake: (due: Instant, task: Scheduled<Void>)?
    private var replies: [RequestID: EventLoopPromise<NodeReply>] = [:]
    private var lastRequest: UInt64 = 0
    private var watchers: [TaskID: [UInt64: EventLoopPromise<Void>]] = [:]
    private var lastWatcher: UInt64 = 0
    private var followers: [UInt64: AsyncStream<ClusterEvent>.Continuation] = [:]
    private var counters: [Counter: UInt64] = [:]
    /// Called once the node has left its cluster, or must not go on.
    private var endHandler: (@Sendable () -> Void)?
    /// Why the node must not go on, if so.
    private var stopReason: String?

    /// A change that event streams tell.
    enum ClusterEvent: Sendable {
        case task(TaskStatus)
        case member(NodeStatus)
        /// Now and then, so that a listener that went away is noticed.
        case nothing
    }

    /// How many changes wait for a slow reader of events; older ones are dropped.
    static let eventsWaitingMax = 1_024
    /// How many streams of events are open at a time.
    static let followersMax = 1_024
    /// How often a stream of events says something even when nothing happens.
    static let silenceMax: TimeAmount = .seconds(15)

    init(
        loop: any EventLoop, transport: Transport, runner: ContainerRunner?, images: ImageStore,
        dataDirectory: String, logger: Logger
    ) {
        self.images = ImageDesk(store: images)
        self.dataDirectory = dataDirectory
        copies = LogCopyStore(directory: "\(dataDirectory)/log-copies")
        self.loop = loop
        self.transport = transport
        self.runner = runner
        self.logger = logger
    }

    // MARK: Life

    /// Brings the node to life; events flow from now on.
    func start(_ node: Node, store: DurableStore) async throws {
        let box = UnsafeTransfer(node)
        try await loop.submit { [self] in
            self.node = box.value
            self.store = store
            handle(.wallClock(NodeDriver.wallTime))
            _ = loop.scheduleRepeatedTask(initialDelay: .seconds(30), delay: .seconds(30)) {
                [self] _ in handle(.wallClock(NodeDriver.wallTime))
            }
            _ = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(2)) {
                [self] _ in handle(.pressure(pressure))
            }
            _ = loop.scheduleRepeatedTask(
                initialDelay: NodeDriver.silenceMax, delay: NodeDriver.silenceMax
            ) { [self] _ in
                for follower in followers.values { follower.yield(.nothing) }
            }
        }.get()
        if let runner {
            let events = runner.events
            Task { [self] in
                for await (id, event) in events {
                    loop.execute { [self] in handle(.container(id, event)) }
                }
            }
        }
    }

    /// Stops waking the node; nothing is handled any more.
    func stop() async {
        try? await loop.submit { [self] in
            wake?.task.cancel()
            node = nil
            for promise in replies.values { promise.fail(CancellationError()) }
            replies = [:]
            for follower in followers.values { follower.finish() }
        }.get()
    }

    /// Sets what happens once the node has left its cluster, or must not go on.
    func onEnd(_ handler: @escaping @Sendable () -> Void) {
        loop.execute { [self] in
            endHandler = handler
            if stopReason != nil { handler() }
        }
    }

    /// Why the node must not go on; `nil` when it may.
    func failure() async -> StartFailure? {
        let reason = try? await loop.submit { [self] in stopReason }.get()
        return reason.flatMap { $0 }.map { StartFailure($0) }
    }

    /// The clock of the core: goes on while the machine sleeps.
    static var now: Instant { Instant(nanoseconds: magpie_boottime()) }

    static var wallTime: WallTime {
        WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
    }

    // MARK: Events in

    /// What the transport asks and tells.
    var hooks: TransportHooks {
        TransportHooks(
            receive: { [self] in handle(.received($0, from: $1, via: $2)) },
            // Before the node lives and after its end nobody has anything to say to it.
            standing: { [self] in
                node?.standing(ofKey: $0) ?? .stranger($0, frameSizeBytesMax: 0)
            },
            refused: { [self] in count(.streamsRefused($0)) })
    }

    /// The store tells about writes; from its own thread.
    func persisted(_ answer: WriteQueue.Answer) {
        loop.execute { [self] in
            answer.deliver(
                resume: { store?.resume(after: $0) },
                tell: { ticket, failure in
                    handle(
                        failure.map { .persistFailed(ticket, reason: $0) } ?? .persisted(ticket))
                })
        }
    }

    /// Asks the node; answers when it does.
    func request(_ request: NodeRequest) async throws -> NodeReply {
        try await loop.flatSubmit { [self] in
            lastRequest += 1
            let id = RequestID(lastRequest)
            let promise = loop.makePromise(of: NodeReply.self)
            guard node != nil else {
                promise.fail(CancellationError())
                return promise.futureResult
            }
            replies[id] = promise
            handle(.request(id, request))
            return promise.futureResult
        }.get()
    }

    /// Images have left the store.
    func dropped(_ images: [ImageDigest]) {
        loop.execute { [self] in
            for image in images { handle(.image(.dropped(image))) }
        }
    }

    /// Reads something from the node.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Node) -> Value) async throws -> Value {
        try await loop.submit { [self] in
            guard let node else { throw CancellationError() }
            return body(node)
        }.get()
    }

    private func handle(_ event: NodeEvent) {
        guard var node else { return }
        self.node = nil  // so that the value is not copied while it changes
        var effects: [NodeEffect] = []
        node.handle(event, at: NodeDriver.now) { effects.append($0) }
        self.node = node
        for effect in effects { perform(effect) }
        arm()
    }

    private func arm() {
        guard let deadline = node?.nextDeadline else { return }
        if let wake, wake.due <= deadline { return }
        wake?.task.cancel()
        let delay = max(deadline - NodeDriver.now, .zero)
        let task = loop.scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
            wake = nil
            handle(.deadlineReached)
        }
        wake = (deadline, task)
    }

    // MARK: Effects out

    private func perform(_ effect: NodeEffect) {
        switch effect {
        case .send(let bytes, let peer, let node, let channel):
            count(channel == .datagram ? .datagramsSent : .framesSent)
            transport.send(bytes, to: peer, of: node, via: channel)
        case .persist(let writes, let ticket):
            store?.submit(writes, ticket)
        case .container(let id, let command):
            runner?.perform(id, command)
        case .armGuard(let deadline):
            runner?.arm(until: deadline)
        case .readLog(let read, let id, let start, let wait):
            readLog(read, id, start, wait)
        case .logCopy(let id, let command):
            perform(id, command)
        case .measure(let id, let container):
            measure(id, container)
        case .image(let command):
            Task { [self] in
                let event = await images.perform(command)
                loop.execute { [self] in handle(.image(event)) }
            }
        case .call(let id, let container, let key, let command):
            call(id, container, key, command)
        case .keepKey(let key):
            keep(key)
        case .reply(let request, let reply):
            replies.removeValue(forKey: request)?.succeed(reply)
        case .observe(let observation):
            observe(observation)
        case .stop(let reason):
            stopReason = reason
            endHandler?()
        }
    }

    private func readLog(
        _ read: LogReadID, _ id: ContainerID, _ start: LogStart, _ wait: Duration
    ) {
        guard let runner else {
            // Not within the handling of the event that asked: its other effects come first.
            return loop.execute { [self] in handle(.logRead(read, nil)) }
        }
        Task { [self] in
            let chunk = await runner.readLog(id, from: start, waitAtMost: wait)
            loop.execute { [self] in handle(.logRead(read, chunk)) }
        }
    }

    private func perform(_ id: ContainerID, _ command: LogCopyCommand) {
        switch command {
        case .keep(let chunk): copies.keep(chunk, of: id)
        case .remove: copies.remove(id)
        case .read(let read, let start):
            copies.read(id, from: start) { [self] chunk in
                loop.execute { [self] in handle(.logRead(read, chunk)) }
            }
        }
    }

    private func measure(_ id: MeasureID, _ container: ContainerID) {
        guard let runner else {
            return loop.execute { [self] in handle(.measured(id, nil)) }
        }
        runner.measure(container) { [self] sample in
            loop.execute { [self] in handle(.measured(id, sample)) }
        }
    }

    private func call(
        _ id: CallQueryID, _ container: ContainerID, _ key: CallKey, _ command: CallCommand
    ) {
        guard let runner else {
            let answer = CallAnswer.refused(.gone, "this node runs no tasks")
            return loop.execute { [self] in handle(.called(id, answer)) }
        }
        runner.call(container, key, command) { [self] answer in
            loop.execute { [self] in handle(.called(id, answer)) }
        }
    }

    private func observe(_ observation: Observation) {
        switch observation {
        case .taskChanged(let id): taskChanged(id)
        case .memberChanged(let id, let state):
            if state == .left, id == node?.id {
                // The answer to the request goes out first.
                _ = loop.scheduleTask(in: .milliseconds(500)) { [self] in endHandler?() }
            }
            logger.info(
                "member changed", metadata: ["node": "\(id)", "state": "\(state.rawValue)"])
            guard !followers.isEmpty,
                let status = node?.nodes(at: NodeDriver.now).first(where: { $0.id == id })
            else { return }
            for follower in followers.values { follower.yield(.member(status)) }
        case .dropped(let reason): count(.packetsDropped(reason: reason))
        case .claimsRequested(let number): count(.claimsRequested, by: UInt64(number))
        case .claimGranted(let task, let token):
            count(.claimsGranted)
            logger.debug("claimed", metadata: ["task": "\(task)", "token": "\(token)"])
        case .claimDenied: count(.claimsDenied)
        case .leaseLapsed(let session):
            count(.leasesLapsed)
            logger.warning("lease lapsed", metadata: ["session": "\(session)"])
        case .leaseExtended: count(.leasesExtended)
        case .lockLeader(let isLeader):
            logger.info("lock leader changed", metadata: ["self": "\(isLeader)"])
        case .votersChanged(let voters):
            logger.info("voters changed", metadata: ["voters": "\(voters)"])
        case .notice(let severity, let text):
            switch severity {
            case .info: logger.info("\(text)")
            case .warning: logger.warning("\(text)")
            case .error: logger.error("\(text)")
            }
        }
    }

    private func count(_ name: Counter, by number: UInt64 = 1) {
        counters[name, default: 0] += number
    }

    /// How many streams of events are open.
    func followerCount() async throws -> Int {
        try await loop.submit { [self] in followers.count }.get()
    }

    /// The counters so far.
    func metrics() async throws -> [Counter: UInt64] {
        try await loop.submit { [self] in counters }.get()
    }

    // MARK: Watching

    private func taskChanged(_ id: TaskID) {
        for promise in (watchers.removeValue(forKey: id) ?? [:]).values { promise.succeed() }
        guard !followers.isEmpty, let status = node?.task(id) else { return }
        for follower in followers.values { follower.yield(.task(status)) }
    }

    /// Waits until a task fulfils a condition, or the time is up; returns the task as it is then.
    func task(
        _ id: TaskID, waitAtMost limit: Duration,
        until condition: @escaping @Sendable (TaskStatus) -> Bool
    ) async throws -> TaskStatus? {
        let end = NodeDriver.now + limit
        while true {
            let left = end - NodeDriver.now
            let (status, change) = try await loop.submit { [self] in
                let status = node?.task(id)
                guard let status, !condition(status), left > .zero else {
                    return (status, nil as EventLoopFuture<Void>?)
                }
                return (status, watch(id, atMost: left))
            }.get()
            guard let change else { return status }
            try await change.get()
        }
    }

    private func watch(_ id: TaskID, atMost limit: Duration) -> EventLoopFuture<Void> {
        lastWatcher += 1
        let number = lastWatcher
        let promise = loop.makePromise(of: Void.self)
        watchers[id, default: [:]][number] = promise
        let timer = loop.scheduleTask(in: .nanoseconds(limit.nanoseconds)) { [self] in
            if let promise = watchers[id]?.removeValue(forKey: number) { promise.succeed() }
            if watchers[id]?.isEmpty == true { watchers[id] = nil }
        }
        promise.futureResult.assumeIsolated().whenComplete { _ in timer.cancel() }
        return promise.futureResult
    }

    /// All changes from now on; slow readers lose the oldest.
    func events() async throws -> AsyncStream<ClusterEvent> {
        let (stream, continuation) = AsyncStream<ClusterEvent>.makeStream(
            bufferingPolicy: .bufferingNewest(NodeDriver.eventsWaitingMax))
        try await loop.submit { [self] in
            guard node != nil else { throw CancellationError() }
            guard followers.count < NodeDriver.followersMax else {
                throw Refusal(.overloaded, "too many streams of events; try again later")
            }
            lastWatcher += 1
            let number = lastWatcher
            followers[number] = continuation
            continuation.onTermination = { [self] _ in
                loop.execute { [self] in followers[number] = nil }
            }
        }.get()
        return stream
    }

    // MARK: The machine

    private var pressure: MachinePressure {
        var available = UInt64.max
        if let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ UInt64($0) })
        {
            available = kilobytes << 10
        }
        var room = statvfs()
        let isFull =
            statvfs(dataDirectory, &room) == 0
            && UInt64(room.f_bavail) * UInt64(room.f_frsize) < DataDirectory.roomBytesMin
        return MachinePressure(memoryAvailableBytes: available, isDiskFull: isFull)
    }
}

/// Moves a value that is not used any more where it came from.
struct UnsafeTransfer<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
