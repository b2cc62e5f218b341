import Model

@testable import Gossip

/// Memberships on a virtual network in virtual time: one seed, one run.
final class VirtualNetwork {
    /// One machine: its disk outlives the process.
    struct Machine {
        var number: Int
        var key: NodeKey
        /// A key that is to take its place, on disk beside it.
        var nextKey: NodeKey?
        var membership: Membership?
        /// The key that its streams prove.
        var streamKey: PublicKey?
        var disk: [DurableSpace: [[UInt8]: [UInt8]]] = [:]
        /// A frozen process neither hears nor speaks; what arrives meanwhile waits for it.
        var isFrozen = false
        var backlog: [Event] = []
        var nextWake: Instant?
        var packetsSent = 0
        var bytesSent = 0
        var notes: Notes = Notes()
    }

    /// What a machine has told its surroundings.
    struct Notes {
        var delivered: [(from: NodeID, payload: [UInt8])] = []
        var dropped: [String: Int] = [:]
        var changes: [(at: Instant, member: NodeID, state: MembershipState)] = []
        var joinedAt: Instant?
        var refusal: JoinRefusal?
        var isUnreachable = false
        /// Where younger lives of the machine's key were met.
        var clonesRefused: [PeerAddress] = []
        /// The elder for which it has stopped.
        var elder: PeerAddress?
        var hasLeft = false
        /// Changes of the ring of keys that it has taken in.
        var amendments: [Amendment] = []
        var isShutOut = false
        var keysRenewed = 0
        var isSuperseded = false
    }

    /// Something on its way to a machine.
    enum Event {
        case packet([UInt8], from: Int, Channel)
        case wake
    }

    /// A packet as it was sent, for replays.
    struct Recorded {
        var from: Int
        var to: Int
        var bytes: [UInt8]
        var channel: Channel
    }

    private struct Due {
        var at: Instant
        var sequence: UInt64
        var to: Int
        var event: Event
    }

    let profile: TimingProfile
    let scheme: any SignatureScheme
    let mutation: GossipMutation?
    var now = Instant(nanoseconds: 5_000_000_000)
    var machines: [Machine] = []
    var random: SeededGenerator
    var delayMax: Duration = .milliseconds(1)
    /// The share of datagrams that are lost, and of stream frames.
    var datagramLoss = 0.0
    var streamLoss = 0.0
    /// The share of datagrams that arrive twice.
    var duplication = 0.0
    /// Whether bytes pass from one machine to another.
    var isOpen: (_ from: Int, _ to: Int, Channel) -> Bool = { _, _, _ in true }
    /// By how much later than they wish machines are woken.
    var lag: [Int: Duration] = [:]
    /// Set to keep every packet that is sent.
    var recorded: [Recorded]?
    private var heap: [Due] = []
    private var sequence: UInt64 = 0
    private var boots: UInt64 = 0
    private var forgedCounter: UInt64 = 1_000_000
    private var streamFree: [Int: Instant] = [:]

    init(
        seed: UInt64, count: Int, profile: TimingProfile = .lan,
        scheme: any SignatureScheme = CheapSignatures(), mutation: GossipMutation? = nil
    ) {
        self.mutation = mutation
        random = SeededGenerator(seed: seed)
        self.profile = profile
        self.scheme = scheme
        for number in 0..<count { addMachine(number, scheme: scheme) }
    }

    private func addMachine(_ number: Int, scheme: any SignatureScheme) {
        var seed = [UInt8](repeating: 7, count: NodeKey.seedSizeBytes)
        seed[0] = UInt8(number % 256)
        seed[1] = UInt8(number / 256)
        machines.append(Machine(number: number, key: NodeKey(seed: seed, scheme: scheme)))
    }

    static func address(_ number: Int) -> PeerAddress {
        PeerAddress(ip: [10, 0, UInt8(number / 256), UInt8(number % 256)], port: 7_946)
    }

    func id(_ number: Int) -> NodeID { machines[number].key.id }

    var wallTime: WallTime { WallTime(milliseconds: now.nanoseconds / 1_000_000) }

    static func metadata(_ number: Int, labels: [String] = []) -> NodeMetadata {
        NodeMetadata(
            name: "node\(number)", version: "1",
            capacity: Resources(cpuMillis: 1_000, memoryBytes: 1 << 30), labels: labels,
            isEligible: true)
    }

    // MARK: Machines

    /// Starts a machine's process from its disk; with a genesis it founds.
    func start(
        _ number: Int, genesis: Genesis? = nil, key: NodeKey? = nil, address: PeerAddress? = nil
    ) throws {
        var image = DurableImage()
        for (space, rows) in machines[number].disk {
            image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        boots += 1
        if let key { machines[number].key = key }
        var configuration = GossipConfiguration(profile: profile)
        configuration.mutation = mutation
        let membership = try Membership(
            key: machines[number].key, next: machines[number].nextKey,
            bootID: BootID(0xB007_0000 + boots), scheme: scheme,
            configuration: configuration,
            metadata: VirtualNetwork.metadata(number),
            advertise: address ?? VirtualNetwork.address(number), genesis: genesis,
            restored: image, seed: random.next(), wallTime: wallTime, at: now)
        machines[number].isFrozen = false
        machines[number].backlog = []
        machines[number].membership = membership
        machines[number].streamKey = machines[number].key.publicKey
        if genesis != nil { store(membership.foundingRows, number) }
        tell(number, .wallClock(wallTime))
    }

    func kill(_ number: Int) {
        machines[number].membership = nil
        machines[number].nextWake = nil
    }

    func freeze(_ number: Int) { machines[number].isFrozen = true }

    func thaw(_ number: Int) {
        machines[number].isFrozen = false
        let backlog = machines[number].backlog
        machines[number].backlog = []
        for event in backlog { push(event, to: number, at: now) }
        push(.wake, to: number, at: now)
    }

    /// Founds with machine 0 and lets all others join by its token, one after another.
    func form(settling time: Duration = .seconds(20)) throws {
        try found()
        for number in machines.indices.dropFirst() {
            try join(number, by: token())
            run(for: .milliseconds(20))
        }
        run(for: time)
    }

    func found(nonce: UInt64 = 9) throws {
        try start(0, genesis: Genesis(founder: machines[0].key.publicKey, nonce: nonce))
    }

    func token(
        from number: Int = 0, lifetime: Duration = .seconds(3_600), uses: UInt32? = nil
    ) throws -> JoinToken {
        guard
            let issued = try machines[number].membership?.issueToken(
                lifetime: lifetime, usesMax: uses, at: now)
        else { throw CodecError.malformed }
        store(issued.rows, number)
        return issued.token
    }

    func revoke(_ token: JoinToken, on number: Int) throws {
        guard let row = try machines[number].membership?.revokeToken(token.name) else { return }
        store([row], number)
    }

    func join(_ number: Int, by token: JoinToken, seeds: [Int] = [0]) throws {
        try start(number)
        tell(number, .join(seeds: seeds.map(VirtualNetwork.address), token: token))
    }

    // MARK: Events

    func tell(_ number: Int, _ event: GossipEvent) {
        guard var membership = machines[number].membership else { return }
        machines[number].membership = nil
        var effects: [GossipEffect] = []
        membership.handle(event, at: now) { effects.append($0) }
        let due = membership.nextDeadline
        machines[number].membership = membership
        for effect in effects { perform(effect, by: number) }
        if let due, machines[number].nextWake.map({ due < $0 }) ?? true {
            machines[number].nextWake = due
            push(.wake, to: number, at: max(due, now) + lag[number, default: .zero])
        }
    }

    private func perform(_ effect: GossipEffect, by number: Int) {
        switch effect {
        case .send(let bytes, let target, let called, let channel):
            send(bytes, number, target, of: called, channel)
        case .deliver(let payload, let sender, _):
            machines[number].notes.delivered.append((sender, payload))
        case .memberChanged(let member, _):
            machines[number].notes.changes.append((now, member.id, member.state))
        case .persist(let writes): store(writes, number)
        case .joined: machines[number].notes.joinedAt = now
        case .joinRefused(let refusal): machines[number].notes.refusal = refusal
        case .joinUnreachable: machines[number].notes.isUnreachable = true
        case .dropped(let reason): machines[number].notes.dropped[reason, default: 0] += 1
        case .cloneRefused(let address): machines[number].notes.clonesRefused.append(address)
        case .refusedAsClone(let address, _): machines[number].notes.elder = address
        case .left: machines[number].notes.hasLeft = true
        case .amended(let amendment): machines[number].notes.amendments.append(amendment)
        case .shutOut: machines[number].notes.isShutOut = true
        case .keyRenewed(let key):
            machines[number].streamKey = key
            machines[number].notes.keysRenewed += 1
        case .superseded: machines[number].notes.isSuperseded = true
        }
    }

    private func send(
        _ bytes: [UInt8], _ from: Int, _ target: PeerAddress, of called: NodeID, _ channel: Channel
    ) {
        machines[from].packetsSent += 1
        machines[from].bytesSent += bytes.count
        let to = Int(target.ip[2]) * 256 + Int(target.ip[3])
        guard machines.indices.contains(to), target == VirtualNetwork.address(to) else { return }
        recorded?.append(Recorded(from: from, to: to, bytes: bytes, channel: channel))
        guard isOpen(from, to, channel),
            channel == .datagram || isProven(bytes, from, to, called: called)
        else { return }
        let loss = channel == .datagram ? datagramLoss : streamLoss
        guard random.fraction() >= loss else { return }
        var due = now + .microseconds(50) + random.duration(upTo: delayMax)
        if channel == .stream {
            // Frames of one connection keep their order.
            let pair = from * 65_536 + to
            due = max(due, streamFree[pair] ?? .zero)
            streamFree[pair] = due
        } else if random.fraction() < duplication {
            push(.packet(bytes, from: from, channel), to: to, at: due + delayMax)
        }
        push(.packet(bytes, from: from, channel), to: to, at: due)
    }

    /// Whether a stream's handshake lets this frame through, as the daemon's transport would: the right
    /// node answers, and the caller may say it under its key.
    private func isProven(_ bytes: [UInt8], _ from: Int, _ to: Int, called: NodeID) -> Bool {
        guard let caller = machines[from].membership, let key = machines[from].streamKey?.id,
            let answering = machines[to].membership, let answer = machines[to].streamKey?.id
        else { return false }
        let standing = answering.standing(ofKey: key)
        guard caller.standing(ofKey: answer).answers(for: called) else {
            machines[from].notes.dropped["other key", default: 0] += 1
            return false
        }
        guard standing.maySay(bytes, under: key), bytes.count <= standing.frameSizeBytesMax else {
            machines[to].notes.dropped["foreign frame", default: 0] += 1
            return false
        }
        return true
    }

    private func store(_ writes: [DurableWrite], _ number: Int) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value):
                machines[number].disk[space, default: [:]][key] = value
            case .delete(let space, let key): machines[number].disk[space]?[key] = nil
            case .deleteRange: break
            }
        }
    }

    /// Lets time pass, until a condition holds if one is given; returns how long it took.
    @discardableResult
    func run(for duration: Duration, until condition: (() -> Bool)? = nil) -> Duration {
        let begun = now
        let end = now + duration
        while let next = heap.first, next.at <= end {
            if let condition, condition() { return now - begun }
            let due = pop()
            now = max(now, due.at)
            deliver(due)
        }
        if let condition, condition() { return now - begun }
        now = end
        return duration
    }

    private func deliver(_ due: Due) {
        guard machines[due.to].membership != nil else { return }
        if machines[due.to].isFrozen {
            if machines[due.to].backlog.count < 512 { machines[due.to].backlog.append(due.event) }
            return
        }
        switch due.event {
        case .packet(let bytes, let from, let channel):
            tell(due.to, .received(bytes, from: VirtualNetwork.address(from), via: channel))
        case .wake:
            guard let wake = machines[due.to].nextWake else { return }
            guard wake <= now else { return push(.wake, to: due.to, at: wake) }
            machines[due.to].nextWake = nil
            tell(due.to, .deadlineReached)
        }
    }

    // MARK: Queue

    func push(_ event: Event, to number: Int, at instant: Instant) {
        sequence += 1
        heap.append(Due(at: instant, sequence: sequence, to: number, event: event))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func pop() -> Due {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if isBefore(child, least) { least = child }
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].sequence) < (heap[right].at, heap[right].sequence)
    }

    // MARK: Thieves

    /// Says something as another machine would that had its key, under the boot ID that it last had.
    ///
    /// The machine itself should be silent by then: the two would share their counters.
    func speak(
        as thief: Int, boot: BootID, to victim: Int, _ message: GossipMessage,
        via channel: Channel = .datagram
    ) {
        speak(as: thief, boot: boot, to: victim, bytes: message.encoded, via: channel)
    }

    /// Says something that need not be a message.
    func speak(
        as thief: Int, boot: BootID, to victim: Int, bytes payload: [UInt8],
        via channel: Channel = .datagram
    ) {
        forgedCounter += 1
        let bytes = packet(
            payload, by: machines[thief].key, boot: boot, counter: forgedCounter, to: victim,
            via: channel)
        tell(victim, .received(bytes, from: VirtualNetwork.address(thief), via: channel))
    }

    /// A packet for a member of a cluster, signed and veiled as the core of whoever has `key` would.
    func packet(
        _ payload: [UInt8], by key: NodeKey, boot: BootID, counter: UInt64, to receiver: Int,
        via channel: Channel
    ) -> [UInt8] {
        guard let membership = machines[receiver].membership, let cluster = membership.clusterID
        else { return [] }
        var veil = DatagramVeil(scheme: scheme)
        let veiled = veil.cover(
            payload, by: key, for: membership.key.publicKey, boot: boot, counter: counter)
        return Envelope.seal(
            channel == .datagram ? veiled ?? [] : payload, by: key, boot: boot, counter: counter,
            cluster: cluster, to: id(receiver), via: channel)
    }

    /// Signs an accusation.
    func accusation(of subject: Int, incarnation: UInt64, by accuser: Int) -> Rumour {
        var statement = SuspectStatement(
            subject: id(subject), incarnation: incarnation, accuser: id(accuser))
        if let cluster = machines[0].membership?.clusterID {
            statement.signature = machines[accuser].key.sign(statement.statement(in: cluster))
        }
        return .suspect(statement)
    }

    // MARK: Observations

    func state(of member: Int, at observer: Int) -> MembershipState? {
        machines[observer].membership?.member(id(member))?.state
    }

    /// Whether each of these sees exactly these alive.
    func allSee(_ numbers: some Collection<Int>) -> Bool {
        let wanted = Set(numbers.map(id))
        return numbers.allSatisfy { number in
            let members = machines[number].membership?.members ?? []
            return Set(members.filter { $0.state == .alive }.map(\.id)) == wanted
        }
    }

    /// How often some of `observers` took one of `members` for dead since `begin`.
    func deaths(
        of members: some Collection<Int>, seenBy observers: some Collection<Int>,
        since begin: Instant
    ) -> Int {
        let subjects = Set(members.map(id))
        return observers.reduce(0) { sum, observer in
            sum
                + machines[observer].notes.changes.count {
                    $0.at >= begin && $0.state == .dead && subjects.contains($0.member)
                }
        }
    }
}
