package import Model

/// One node's membership: who is there, who is alive, and whose packets are believed.
///
/// Source: Das, Gupta, Motivala, "SWIM" (DSN 2002); Dadgar, Phillips, Currey, "Lifeguard" (2017).
/// Deviations: nobody's word makes a member dead, each node runs its own probe and timer; what a
/// member says of itself is signed by it; reconnection to dead members never ends.
package struct Membership: Sendable {
    /// The node.
    package let id: NodeID
    let key: NodeKey
    let boot: BootID
    let scheme: any SignatureScheme
    let configuration: GossipConfiguration
    var random: SeededGenerator
    var counter: UInt64 = 0
    var wallSample: (time: WallTime, at: Instant)

    var ring: KeyRing?
    /// What this node says of itself.
    var own: AliveStatement
    var metadata: NodeMetadata
    var table: [NodeID: Member] = [:]
    /// The IDs of `table`, sorted.
    var order: [NodeID] = []
    /// Those of `table` with a suspicion that runs.
    var suspects: Set<NodeID> = []

    var lives: [NodeID: PeerLife] = [:]
    var limiter = SourceLimiter()
    var rumours = RumourQueue()

    var probe: Probe?
    var probeRing: [NodeID] = []
    var urgentProbes: [NodeID] = []
    var relays: [UInt64: Relay] = [:]
    /// Reconnection pings, by number.
    var trials: [UInt64: NodeID] = [:]
    var health = 0
    var schedule: Schedule

    var joining: Joining?
    /// When the next question for an unknown sender's admission may be asked.
    var nextAdmissionAsk: Instant = .zero
    var leaving: Instant?

    /// A probe that is under way.
    struct Probe: Sendable {
        var target: NodeID
        var number: UInt64
        var helpAt: Instant
        var endsAt: Instant
        var hasAskedForHelp = false
        var nacksExpected = 0
        var nacks = 0
    }

    /// A ping on behalf of another member.
    struct Relay: Sendable {
        var requester: NodeID
        var theirNumber: UInt64
        var nackAt: Instant
        var endsAt: Instant
        var isNacked = false
    }

    /// When the periodic work is due.
    struct Schedule: Sendable {
        var probe: Instant
        var rumour: Instant
        var exchange: Instant
        var reconnect: Instant
    }

    /// The most pings on behalf of others at a time.
    static let relaysMax = 256

    /// Begins as the founder, or as a member that the rows describe, or as nobody yet.
    ///
    /// `genesis` is the founding record, for the founder's first start; else it is read from the
    /// rows of `.identity`.
    ///
    /// - Throws: A `CodecError` when a row can't be read.
    package init(
        key: NodeKey, bootID: BootID, scheme: any SignatureScheme,
        configuration: GossipConfiguration, metadata: NodeMetadata, advertise: PeerAddress,
        genesis: Genesis?, restored image: DurableImage, seed: UInt64, wallTime: WallTime,
        at now: Instant
    ) throws(CodecError) {
        self.key = key
        id = key.id
        boot = bootID
        self.scheme = scheme
        self.configuration = configuration
        self.metadata = metadata
        random = SeededGenerator(seed: seed)
        wallSample = (wallTime, now)
        own = AliveStatement(
            subject: key.id, incarnation: 1, address: advertise, metadata: metadata.encoded)
        schedule = Schedule(
            probe: now + configuration.probeInterval, rumour: .distantFuture,
            exchange: now + configuration.exchangeInterval,
            reconnect: now + configuration.reconnectInterval)
        if let genesis { ring = KeyRing(genesis: genesis, scheme: scheme) }
        try restore(image, at: now)
        if ring != nil { enter(at: now) }
    }

    // MARK: Queries

    /// The cluster; `nil` before the node has joined one.
    package var clusterID: ClusterID? { ring?.cluster }

    /// Whether the node belongs to a cluster.
    package var isMember: Bool { ring != nil }

    /// All members, this node included, in order of their IDs.
    package var members: [MemberInfo] { order.compactMap { table[$0]?.info } }

    /// What is known about one member.
    package func member(_ node: NodeID) -> MemberInfo? { table[node]?.info }

    /// The rows that a founder must have on disk before anybody hears of the cluster.
    package var foundingRows: [DurableWrite] {
        guard let ring, let member = table[id] else { return [] }
        return [
            .put(.identity, key: MembershipRows.genesisKey, value: ring.genesis.encoded),
            MembershipRows.member(member.alive),
        ]
    }

    /// Makes a token that lets nodes join until it expires.
    package mutating func issueToken(lifetime: Duration, at now: Instant) -> JoinToken? {
        guard let ring else { return nil }
        let seed = (0..<NodeKey.seedSizeBytes / 8).flatMap { _ in
            Wide128(high: random.next(), low: 0).bytes.prefix(8)
        }
        return JoinToken(
            cluster: ring.cluster, inviter: key, seed: seed,
            expiry: wallTime(at: now) + lifetime, scheme: scheme)
    }

    func wallTime(at now: Instant) -> WallTime { wallSample.time + (now - wallSample.at) }

    // MARK: Events

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: GossipEvent, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        switch event {
        case .received(let bytes, let source, let channel):
            receive(bytes, from: source, via: channel, at: now, emit: emit)
        case .send(let payload, let peer, let channel):
            transmit(.application(payload[...]), to: peer, via: channel, emit: emit)
        case .join(let seeds, let token):
            beginJoin(seeds: seeds, token: token, at: now, emit: emit)
        case .leave:
            leave(at: now, emit: emit)
        case .updateMetadata(let newer):
            metadata = newer
            own.metadata = newer.encoded
            restate(above: own.incarnation, at: now, emit: emit)
        case .wallClock(let time):
            wallSample = (time, now)
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
    }

    /// When membership next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        if let joining { return joining.due }
        guard ring != nil else { return nil }
        var next = min(schedule.probe, schedule.exchange, schedule.reconnect)
        if !rumours.isEmpty { next = min(next, schedule.rumour) }
        if let probe { next = min(next, probe.hasAskedForHelp ? probe.endsAt : probe.helpAt) }
        for relay in relays.values {
            next = min(next, relay.isNacked ? relay.endsAt : relay.nackAt)
        }
        for suspect in suspects {
            if let suspicion = table[suspect]?.suspicion { next = min(next, suspicion.deadline) }
        }
        if let leaving { next = min(next, leaving) }
        return next
    }

    private mutating func deadlineReached(at now: Instant, emit: (GossipEffect) -> Void) {
        if joining != nil { return continueJoin(at: now, emit: emit) }
        guard ring != nil, let due = nextDeadline, due <= now else { return }
        forgiveStandstill(of: now - due, at: now)
        if let leaving, leaving <= now {
            self.leaving = .distantFuture
            emit(.left)
        }
        checkProbe(at: now, emit: emit)
        checkRelays(at: now, emit: emit)
        checkSuspicions(at: now, emit: emit)
        if schedule.probe <= now { beginProbe(at: now, emit: emit) }
        if schedule.exchange <= now { exchange(at: now, emit: emit) }
        if schedule.reconnect <= now { reconnect(at: now, emit: emit) }
        if schedule.rumour <= now { tellRumours(at: now, emit: emit) }
    }

    // MARK: Own statement

    /// Signs what this node says of itself, and becomes a member in its own eyes.
    mutating func enter(at now: Instant) {
        guard let ring else { return }
        own.signature = key.sign(own.statement(in: ring.cluster))
        place(
            Member(alive: own, metadata: metadata, state: .alive, stateSince: now))
        rumours.insert(.alive(own))
        schedule.rumour = now
    }

    /// Says again what this node is, with a higher incarnation: a refutation, or a change.
    mutating func restate(
        above incarnation: UInt64, at now: Instant, emit: (GossipEffect) -> Void
    ) {
        guard let ring, leaving == nil, incarnation < .max else { return }
        own.incarnation = max(own.incarnation, incarnation) + 1
        own.signature = key.sign(own.statement(in: ring.cluster))
        guard var member = table[id] else { return }
        member.alive = own
        member.metadata = metadata
        place(member)
        emit(.persist([MembershipRows.member(own)]))
        emit(.memberChanged(member.info, previous: .alive))
        spread(.alive(own), at: now)
    }

    mutating func place(_ member: Member) {
        if member.suspicion == nil {
            suspects.remove(member.id)
        } else {
            suspects.insert(member.id)
        }
        if table.updateValue(member, forKey: member.id) == nil {
            let index = order.firstIndex { $0 > member.id } ?? order.count
            order.insert(member.id, at: index)
            if member.id != id {
                let place = Int(random.next() % UInt64(probeRing.count + 1))
                probeRing.insert(member.id, at: place)
            }
        }
    }

    /// Queues a rumour; it goes out soon, also without a probe to travel on.
    mutating func spread(_ rumour: Rumour, at now: Instant) {
        rumours.insert(rumour)
        schedule.rumour = min(schedule.rumour, now + configuration.rumourInterval / 8)
    }

    /// How often each rumour is told.
    var tellingsMax: Int {
        Int((configuration.retransmitFactor * Logarithm.scale(order.count + 1)).rounded(.up))
    }
}
