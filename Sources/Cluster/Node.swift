import Gossip
import Lock
package import Model

/// One node's whole behaviour: membership, task table, claims, stealing and recovery.
///
/// A value without surroundings: events come in with the time at which they happen, effects go
/// out, and the same events always give the same effects. The daemon's driver and the simulator
/// are the two interpreters. The parts do not know each other; this type carries what one part
/// says to the part that it concerns:
///
///     Membership ──members──▶ TableReplica, LockNode        (who is there)
///     TableReplica ──changed──▶ StealQueue ──acquire──▶ LockNode ──granted──▶ container
///     container ──exited──▶ TableReplica (row), LockNode (close) ──closed──▶ TableReplica (outcome)
package struct Node: Sendable {
    /// The node's identity.
    package let id: NodeID
    /// What its operator set.
    package let configuration: NodeConfiguration

    var membership: Membership
    var table: TableReplica
    var lock: LockNode
    var images: ImageReplica
    /// Containers that wait for their image.
    var imageWaits: [ImageDigest: Set<ContainerID>] = [:]
    var random: SeededGenerator
    /// What the wall clock showed, and when; for display only.
    var wallSample: (time: WallTime, at: Instant)
    var activity: Activity = .starting
    var persistence = PersistDesk()
    /// When people may be told again that the disk refuses writes, and of how many.
    var nextDiskNotice: Instant?
    var diskFailures = 0
    /// Whether the founding record is still to be written.
    var isFounding: Bool
    var timers = TimerHeap<Timer>()

    /// Whether the disk was last used on another machine, and the node can't vote for that.
    let isCopy: Bool
    /// Whether own attempts of which nothing is left here may go on on another machine; until a
    /// session of this life takes the place of the one that they hang on.
    var mayRunElsewhere: Bool

    /// Containers of an earlier life, until the first event decides about them.
    var adopted: [AdoptedContainer]
    var holdings: [ContainerID: Holding] = [:]
    /// Containers of an earlier life that are being killed, and belong to no claim known here.
    var doomed: Set<ContainerID> = []
    /// Until when the guard is to be armed, once nothing lives that the session has not kept.
    var guardWish: Instant?
    /// Whether the node wants a session, and opens it as soon as it may.
    var needsSession = false
    /// Tasks that the lock was asked for, and what they reserve.
    var claimsInFlight: [TaskID: Resources] = [:]
    /// Dead nodes' claims at or below this token are void: the lock expired their session.
    var voidBelow: [NodeID: FencingToken] = [:]
    var reserved = HolderIndex.Usage()
    var queue = StealQueue()
    /// Where this node stands among those who could take tasks.
    var ring = CandidateRing()
    var holders = HolderIndex()
    var nextSteal: Instant?
    /// The revision of the members that table and lock were told of last.
    var sharedRevision: UInt64 = 0
    /// Who was in reach then; nobody has been told yet while it is `nil`.
    var sharedPeers: [NodeID]?
    var isStealPassNeeded = false
    var pressure: MachinePressure?

    /// What the parts have asked for, and nobody has done yet.
    var undone: [PartEffect] = []
    private var isPerforming = false

    var submissions: [TaskID: [PendingSubmission]] = [:]
    var cancelReplies: [TaskID: [RequestID]] = [:]
    var joinRequest: RequestID?
    var forgetReplies: [NodeID: [RequestID]] = [:]
    /// An eviction that was asked for here, and that the lock has not answered.
    var evicting: Evicting?
    /// A renewal of this node's key that was asked for here, and that the lock has not answered.
    var rotating: Rotating?
    /// Whoever has asked for a new generation of the lock.
    var recoverReply: RequestID?
    /// Whether the lock was asked to let this node go.
    var isLeavingLock = false
    var reads: [LogReadID: LogReader] = [:]
    var measurements: [MeasureID: MeasureAsker] = [:]
    var callQueries: [CallQueryID: CallAsker] = [:]
    /// Begins anywhere, so that an answer to an earlier life of this node fits nothing.
    var lastRead: UInt64
    /// Sends the ends of this node's logs to others.
    var copier: LogCopier
    /// Readings of this node's logs for the copier.
    var copyReads: [LogReadID: ContainerID] = [:]

    /// What the node is up to.
    enum Activity: Hashable {
        /// The first event has not come yet.
        case starting
        /// Takes work.
        case active
        /// Takes no more work; what runs goes on.
        case draining
        /// Hands everything back, then leaves and answers the request.
        case leaving(RequestID)
        /// An elder daemon has this node's key: it has ended.
        case halted
        /// The node was shut out of its cluster: what runs ends with its lease at the latest.
        case shutOut
    }

    /// What one of the parts asks for.
    enum PartEffect: Sendable {
        case gossip(GossipEffect)
        case table(TableEffect)
        case lock(LockEffect)
        case images(ImageEffect)
    }

    /// What becomes due.
    enum Timer: Hashable {
        /// The grace after SIGTERM is over.
        case graceEnded(ContainerID)
        /// The task has used up its run time.
        case timedOut(ContainerID)
        /// The submission has waited long enough for other nodes' disks.
        case ackWaitEnded(TaskID)
        /// The other node has not answered in time.
        case readUnanswered(LogReadID)
        /// It is time to look after the copies of a log.
        case logCopyDue(ContainerID)
        /// Nobody has measured the task in time.
        case measureUnanswered(MeasureID)
        /// The other node has not answered a call's command in time.
        case callUnanswered(CallQueryID)
        /// The lock has not said in time whether the node is forgotten.
        case forgetUnanswered(NodeID)
        /// The lock has not said in time whether the eviction stands.
        case evictionUnanswered(RequestID)
        /// The lock has not said in time whether the key is renewed.
        case rotationUnanswered(RequestID)
    }

    /// How many submissions and cancels may wait for disks at a time.
    package static let requestsPendingMax = 65_536
    /// How many log readings may be under way at a time.
    package static let readsMax = 4_096
    /// How many claims one request to the lock may hold.
    package static let claimBatchMax = 64

    /// Brings a node to life.
    ///
    /// - Throws: `Refusal` when disk and origin contradict each other (`conflict`), or the disk's
    ///   records can't be read (`storage`); nothing was changed.
    package init(
        boot: NodeBoot, configuration: NodeConfiguration, origin: NodeOrigin, at now: Instant
    ) throws(Refusal) {
        var random = SeededGenerator(seed: boot.seed)
        self.configuration = configuration
        membership = try Node.membership(
            boot, configuration, origin, seed: random.next(), at: now)
        id = membership.id
        table = TableReplica(
            node: id, bootID: boot.bootID, restored: boot.image,
            configuration: TableConfiguration(of: configuration),
            seed: random.next(), at: now)
        mayRunElsewhere = LockNode.isElsewhere(boot.image, boot.machine)
        isCopy = LockNode.isCopyWithoutVote(
            boot.image, of: id, on: boot.machine, mutation: configuration.lock.mutation)
        do {
            lock = try LockNode(
                id: id, bootID: boot.bootID, machine: boot.machine,
                configuration: configuration.lock, restored: boot.image,
                isFounder: origin.isFounding,
                isSameMachineBoot: boot.isSameMachineBoot, hasLostLog: boot.hasLostLock || isCopy,
                seed: random.next(), at: now)
        } catch {
            throw Refusal(.storage, "the lock's rows on disk can't be read (\(error))")
        }
        images = ImageReplica(node: id, restored: boot.image, seed: random.next(), at: now)
        isFounding = origin.isFounding
        adopted = boot.containers
        wallSample = (boot.wallTime, now)
        lastRead = random.next() >> 16
        copier = LogCopier(at: now)
        self.random = random
    }

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: NodeEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if activity == .starting, !membership.isProving { start(at: now, emit: emit) }
        switch event {
        case .received(let bytes, let source, let channel):
            gossip(.received(bytes, from: source, via: channel), at: now, emit: emit)
        case .persisted(let ticket):
            persisted(ticket, at: now, emit: emit)
        case .persistFailed(let ticket, let reason):
            persistFailed(ticket, reason: reason, at: now, emit: emit)
        case .container(let id, let event):
            container(id, event, at: now, emit: emit)
        case .request(let id, let request):
            self.request(id, request, at: now, emit: emit)
        case .image(let event):
            images(.store(event), at: now, emit: emit)
        case .measured(let id, let sample):
            measured(id, sample, at: now, emit: emit)
        case .called(let id, let answer):
            called(id, answer, at: now, emit: emit)
        case .logRead(let id, let chunk):
            logRead(id, chunk, at: now, emit: emit)
        case .wallClock(let time):
            wallSample = (time, now)
            gossip(.wallClock(time), at: now, emit: emit)
        case .pressure(let pressure):
            self.pressure = pressure
            isStealPassNeeded = true
            speakNewer(at: now, emit: emit)
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
        if activity == .starting, !membership.isProving { start(at: now, emit: emit) }
        if isStealPassNeeded { steal(at: now, emit: emit) }
    }

    /// Does what the parts ask for, each part's effects in their order.
    ///
    /// Doing one may lead to more events for the same part: their effects come after those that
    /// are there already, so that no write overtakes another.
    mutating func perform(at now: Instant, emit: (NodeEffect) -> Void) {
        guard !isPerforming else { return }
        isPerforming = true
        var next = 0
        while next < undone.count {
            switch undone[next] {
            case .gossip(let effect): apply(effect, at: now, emit: emit)
            case .table(let effect): apply(effect, at: now, emit: emit)
            case .lock(let effect): apply(effect, at: now, emit: emit)
            case .images(let effect): apply(effect, at: now, emit: emit)
            }
            next += 1
        }
        undone.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    /// When the node next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        if membership.isProving || activity == .halted { return membership.nextDeadline }
        var next = membership.nextDeadline
        next.bringForward(to: table.nextDeadline)
        next.bringForward(to: lock.nextDeadline)
        next.bringForward(to: images.nextDeadline)
        next.bringForward(to: timers.next)
        next.bringForward(to: nextSteal)
        return next
    }

    /// What the wall clock shows at `now`, as far as the node knows.
    func wallTime(at now: Instant) -> WallTime {
        wallSample.time + (now - wallSample.at)
    }

    private mutating func deadlineReached(at now: Instant, emit: (NodeEffect) -> Void) {
        if let due = membership.nextDeadline, due <= now {
            gossip(.deadlineReached, at: now, emit: emit)
        }
        // As long as a former life may go on elsewhere, this one does nothing.
        guard !membership.isProving, activity != .halted else { return }
        if let due = table.nextDeadline, due <= now {
            table(.deadlineReached, at: now, emit: emit)
        }
        if let due = lock.nextDeadline, due <= now {
            lock(.deadlineReached, at: now, emit: emit)
        }
        if let due = images.nextDeadline, due <= now {
            images(.deadlineReached, at: now, emit: emit)
        }
        while let timer = timers.popDue(at: now) {
            expired(timer, at: now, emit: emit)
        }
        if let due = nextSteal, due <= now { isStealPassNeeded = true }
    }

    private mutating func expired(_ timer: Timer, at now: Instant, emit: (NodeEffect) -> Void) {
        switch timer {
        case .graceEnded(let id): graceEnded(id, emit: emit)
        case .timedOut(let id): end(id, because: .timedOut, at: now, emit: emit)
        case .ackWaitEnded(let task): settleSubmissions(of: task, at: now, emit: emit)
        case .readUnanswered(let read): readUnanswered(read, at: now, emit: emit)
        case .measureUnanswered(let id): measureUnanswered(id, emit: emit)
        case .callUnanswered(let id): callUnanswered(id, emit: emit)
        case .logCopyDue(let id): logCopyDue(id, at: now, emit: emit)
        case .forgetUnanswered(let node): forgetUnanswered(node, emit: emit)
        case .evictionUnanswered(let request): evictionUnanswered(request, emit: emit)
        case .rotationUnanswered(let request): rotationUnanswered(request, emit: emit)
        }
    }

    private static func membership(
        _ boot: NodeBoot, _ configuration: NodeConfiguration, _ origin: NodeOrigin, seed: UInt64,
        at now: Instant
    ) throws(Refusal) -> Membership {
        let isEmpty = boot.image[.identity].isEmpty
        var genesis: Genesis?
        switch origin {
        case .found(let nonce):
            guard isEmpty else { throw Refusal(.conflict, "the data directory has a cluster") }
            genesis = Genesis(founder: boot.key.publicKey, nonce: nonce)
        case .resume:
            guard !isEmpty else { throw Refusal(.conflict, "the data directory is empty") }
        case .join:
            guard isEmpty else { throw Refusal(.conflict, "the data directory has a cluster") }
        }
        let membership: Membership
        do {
            membership = try Membership(
                key: boot.key, next: boot.nextKey, bootID: boot.bootID,
                scheme: configuration.signatures,
                configuration: GossipConfiguration(of: configuration),
                metadata: configuration.metadata, advertise: configuration.advertise,
                genesis: genesis, restored: boot.image, seed: seed, wallTime: boot.wallTime,
                at: now)
        } catch {
            throw Refusal(.storage, "the membership rows on disk can't be read (\(error))")
        }
        if let eviction = membership.shutOut {
            throw Node.refusal(of: eviction, seenBy: membership)
        }
        if membership.isSuperseded { throw Node.supersededRefusal }
        return membership
    }
}

extension NodeOrigin {
    /// Whether the node founds its cluster with this start.
    package var isFounding: Bool {
        if case .found = self { true } else { false }
    }
}

extension NodeConfiguration {
    /// What the node tells about itself.
    var metadata: NodeMetadata {
        NodeMetadata(
            name: name, version: version, capacity: capacity, labels: labels,
            isEligible: takesTasks)
    }
}

extension TableConfiguration {
    init(of configuration: NodeConfiguration) {
        self.init(retention: configuration.retention)
        newerFields = configuration.newerFields
        mutation = configuration.tableMutation
    }
}

extension GossipConfiguration {
    init(of configuration: NodeConfiguration) {
        self.init(profile: configuration.profile)
        mutation = configuration.gossipMutation
    }
}
