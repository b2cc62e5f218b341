package import Model

/// One node's membership: who is there, who is alive, and whose packets are believed.
///
/// Source: Das, Gupta, Motivala, "SWIM" (DSN 2002); Dadgar, Phillips, Currey, "Lifeguard" (2017).
/// Deviations: nobody's word makes a member dead, each node runs its own probe and timer; what a
/// member says of itself is signed by it, indirect answers too; probes carry a fingerprint of the
/// view; reconnection to dead members never ends.
package struct Membership: Sendable {
    /// The node.
    package let id: NodeID
    /// The key under which the node speaks.
    var key: NodeKey
    /// The key that is to take its place, once the lock has agreed.
    var nextKey: NodeKey?
    /// Whether the lock was asked for that in this life.
    var isRenewing = false
    /// Whether the surroundings have not heard yet that the next key took its place.
    var isKeyNews = false
    let boot: BootID
    let scheme: any SignatureScheme
    let configuration: GossipConfiguration
    var random: SeededGenerator
    /// The time of the event that is being handled.
    var now: Instant
    var wallSample: (time: WallTime, at: Instant)

    // Who may speak, and what was heard of whom.
    var ring: KeyRing?
    var lives: [NodeID: PeerLife] = [:]
    /// Datagrams can bear any source address, streams can't: who floods with the one must not use
    /// up what a member may send by the other.
    var datagramLimiter: SourceLimiter
    var streamLimiter: SourceLimiter
    var strangers: RateLimit
    var questions: RateLimit
    /// When the next question for an unknown sender's admission may be asked.
    var nextAdmissionAsk: Instant = .zero
    var counter: UInt64 = 0
    var veil: DatagramVeil
    var marks: CounterMarks
    /// Who votes in the lock, as far as this node knows.
    var voters: Set<NodeID> = []
    var lastWords: RateLimit
    /// The tokens that this node has made.
    var tokens = TokenBook()
    var tokensIssued: UInt64 = 0

    // What this node says of itself.
    var own: AliveStatement
    var metadata: NodeMetadata
    /// Whether the disk does not know the own statement yet.
    var isOwnRowStale = false
    let born: Instant
    /// Where the disk says that the node was before, if that is elsewhere.
    var formerAddress: PeerAddress?
    /// Looks for a former life at another address, and does nothing else meanwhile.
    var proving: Proving?
    /// Another life of this node's key that has answered.
    var twin: Twin?
    /// The members that keep to another life of this node's key; at most as many as there are.
    var refusers: Set<NodeID> = []
    /// Where that life is, as the last of them said.
    var rival: PeerAddress?
    /// Whether this is the younger life of the two, and silent for good.
    var isStopped = false
    var twinWords: RateLimit
    /// Whether nothing is received any more: a mutation alone makes it so.
    var isDeaf = false
    var refutations: RateLimit

    // The members.
    var table = MemberTable()
    /// Rises with each change of a member, so that others need not compare them all.
    package internal(set) var revision: UInt64 = 0
    /// Those of `table` with a suspicion that runs.
    var suspects: Set<NodeID> = []
    /// Whom this node has heard of last, the latest first; those help with probes.
    var recentlyHeard: [NodeID] = []
    /// What the members have said of themselves, as one number.
    var fingerprint: UInt64 = 0

    // Failure detection and dissemination.
    var probes = Probes()
    var probeRing: [NodeID] = []
    var relays = Relays()
    var inquiries = Inquiries()
    var health: LocalHealth
    var rumours = RumourQueue()
    /// Since when the views of all that were heard differ from this one.
    var divergedSince: Instant?
    var schedule: Schedule

    var joining: Joining?
    var leaving: Instant?

    /// When the periodic work is due.
    struct Schedule: Sendable {
        var probe: Instant
        /// When waiting suspects are probed.
        var urgent: Instant
        var rumour: Instant
        var exchange: Instant
        var reconnect: Instant
    }

    /// Begins as the founder, or as a member that the rows describe, or as nobody yet.
    ///
    /// `genesis` is the founding record, for the founder's first start; else it is read from the
    /// rows of `.identity`.
    ///
    /// - Throws: A `CodecError` when a row can't be read, and `outOfBounds` when the metadata is
    ///   not within its bounds (`NodeMetadata.isWithinBounds`).
    package init(
        key first: NodeKey, next: NodeKey? = nil, bootID: BootID, scheme: any SignatureScheme,
        configuration: GossipConfiguration, metadata: NodeMetadata, advertise: PeerAddress,
        genesis: Genesis?, restored image: DurableImage, seed: UInt64, wallTime: WallTime,
        at now: Instant
    ) throws(CodecError) {
        guard metadata.isWithinBounds else { throw .outOfBounds }
        let rows = try MembershipRows(image)
        id = rows.owner ?? first.id
        key = first.owned(by: id)
        nextKey = next?.owned(by: id)
        boot = bootID
        self.scheme = scheme
        veil = DatagramVeil(scheme: scheme)
        self.configuration = configuration
        self.metadata = metadata
        self.now = now
        born = now
        twinWords = RateLimit(perSecond: GossipConfiguration.twinWordsPerSecondMax, at: now)
        random = SeededGenerator(seed: seed)
        wallSample = (wallTime, now)
        datagramLimiter = SourceLimiter(at: now)
        streamLimiter = SourceLimiter(at: now)
        refutations = RateLimit(perSecond: GossipConfiguration.refutationsPerSecondMax, at: now)
        strangers = RateLimit(perSecond: GossipConfiguration.strangersPerSecondMax, at: now)
        questions = RateLimit(perSecond: GossipConfiguration.questionsPerSecondMax, at: now)
        lastWords = RateLimit(perSecond: GossipConfiguration.lastWordsPerSecondMax, at: now)
        marks = CounterMarks(at: now)
        health = LocalHealth(scoreMax: configuration.healthMax)
        own = AliveStatement(
            subject: id, incarnation: 1, boot: bootID, address: advertise,
            metadata: metadata.encoded)
        schedule = Schedule(
            probe: now + configuration.probeInterval, urgent: now, rumour: .distantFuture,
            exchange: now + configuration.exchangeInterval,
            reconnect: now + configuration.reconnectInterval)
        if let genesis = genesis ?? rows.genesis {
            ring = KeyRing(genesis: genesis, scheme: scheme)
            ring?.mutation = configuration.mutation
            isOwnRowStale = true
            restore(rows)
            takeUpKey()
            isStopped = shutOut != nil || isSuperseded
            enter()
        }
    }

    // MARK: Queries

    /// The cluster; `nil` before the node has joined one.
    package var clusterID: ClusterID? { ring?.cluster }

    /// Whether the node belongs to a cluster.
    package var isMember: Bool { ring != nil }

    /// All members, this node included, in order of their IDs.
    package var members: [MemberInfo] { table.all.map(\.info) }

    /// Goes through all members, this node included, in order of their IDs: who it is, how it looks, since
    /// when on this node's clock, and its labels.
    package func forEachMember(
        _ body: (NodeID, MembershipState, Instant, [String]) -> Void
    ) {
        table.forEach { body($0.id, $0.state, $0.stateSince, $0.metadata.labels) }
    }

    /// How many members there are, this node included, whatever their state.
    package var memberCount: Int { table.count }

    /// How many members look alive from here, this node included.
    package var aliveCount: Int { table.aliveCount }

    /// What is known about one member.
    package func member(_ node: NodeID) -> MemberInfo? { table[node]?.info }

    /// The rows that a founder must have on disk before anybody hears of the cluster.
    package var foundingRows: [DurableWrite] {
        guard let ring else { return [] }
        return [MembershipRows.genesis(ring.genesis), MembershipRows.member(own)]
    }

    /// How many are alive or suspect, this node included.
    var livingCount: Int { table.livingCount }

    func wallTime(at now: Instant) -> WallTime { wallSample.time + (now - wallSample.at) }

    // MARK: Events

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: GossipEvent, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        self.now = max(self.now, now)
        guard !isStopped else { return }
        if isKeyNews {
            isKeyNews = false
            emit(.keyRenewed(key.publicKey))
        }
        if isOwnRowStale, proving == nil {
            isOwnRowStale = false
            emit(.persist([MembershipRows.member(own)]))
        }
        switch event {
        case .received(let bytes, let source, let channel):
            receive(bytes, from: source, via: channel, emit: emit)
        case .send(let payload, let peer, let channel):
            if configuration.mutation == .starvesPayloads, !rumours.isEmpty { break }
            transmit(.application(payload[...]), to: peer, via: channel, emit: emit)
        case .join(let seeds, let token):
            beginJoin(seeds: seeds, token: token, emit: emit)
        case .leave:
            leave(emit: emit)
        case .updateMetadata(let newer):
            update(newer, emit: emit)
        case .amend(let amendment):
            agreed(amendment, emit: emit)
        case .showAmendments(let amendments, let member):
            show(amendments, to: member, emit: emit)
        case .voters(let list):
            heard(ofVoters: list, emit: emit)
        case .wallClock(let time):
            wallSample = (time, self.now)
        case .deadlineReached:
            deadlineReached(emit: emit)
        }
    }

    /// When membership next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        if isStopped { return nil }
        if let joining { return joining.due }
        guard ring != nil else { return nil }
        if let proving { return min(proving.nextAsk, proving.endsAt) }
        var next: Instant? = min(schedule.probe, schedule.exchange, schedule.reconnect)
        if !rumours.isEmpty { next.bringForward(to: schedule.rumour) }
        if !probes.waiting.isEmpty, probes.hasRoom { next.bringForward(to: schedule.urgent) }
        next.bringForward(to: probes.nextDue)
        next.bringForward(to: relays.nextDue)
        next.bringForward(to: inquiries.nextDue)
        next.bringForward(to: nextVerdict)
        next.bringForward(to: leaving)
        return next
    }

    private mutating func deadlineReached(emit: (GossipEffect) -> Void) {
        if joining != nil { return continueJoin(emit: emit) }
        guard ring != nil, let due = nextDeadline, due <= now else { return }
        if proving != nil { return goOnProving(emit: emit) }
        forgiveStandstill(of: now - due)
        if let leaving, leaving <= now {
            self.leaving = .distantFuture
            emit(.left)
        }
        checkProbes(emit: emit)
        checkRelays(emit: emit)
        checkInquiries(emit: emit)
        checkSuspicions(emit: emit)
        if schedule.probe <= now { beginRound(emit: emit) }
        if schedule.urgent <= now { probeWaiting(emit: emit) }
        if schedule.exchange <= now { exchange(emit: emit) }
        if schedule.reconnect <= now { reconnect(emit: emit) }
        if schedule.rumour <= now { tellRumours(emit: emit) }
    }
}
