package import Gossip
package import Model

/// The production membership of many nodes on a virtual network, and nothing else of them.
///
/// For questions about membership alone, and for more nodes than whole ones could be simulated.
/// Packets are not doubled; how long they take, and how many are lost, is the caller's to say.
package final class MembershipCluster {
    private struct Machine {
        var membership: Membership?
        var key: NodeKey
        var wakesAt: Instant?
    }

    private enum Event {
        case packet([UInt8], from: Int, to: Int, Channel)
        case wake(Int)
    }

    /// Virtual time; does not begin at zero, which some parts of a node take for never.
    package private(set) var now = Instant(nanoseconds: 5_000_000_000)
    /// When a packet that is sent now arrives.
    package var arrival: (Instant) -> Instant = { $0 + .microseconds(200) }
    /// Hears of each change that a machine sees in a member's state.
    package var observe: (_ observer: Int, _ member: NodeID, MembershipState) -> Void = { _, _, _ in
    }
    /// Hears of each packet that is sent, whatever becomes of it.
    package var watch: (_ from: Int, _ to: Int, [UInt8], Channel) -> Void = { _, _, _, _ in }
    /// The share of packets that are lost, by whichever way they go; 0…1.
    package var loss = 0.0
    /// Machines that neither hear nor say anything.
    package var silent: Set<Int> = []
    private var machines: [Machine] = []
    private var numbers: [NodeID: Int] = [:]
    private var effects: [GossipEffect] = []
    private var queue = EventQueue<Event>()
    private var random: SeededGenerator
    private let configuration: GossipConfiguration
    private let scheme = SimulatedSignatures()

    /// Makes a cluster of which nobody is a member yet.
    package init(count: Int, configuration: GossipConfiguration, seed: UInt64) {
        self.configuration = configuration
        random = SeededGenerator(seed: seed)
        for number in 0..<count {
            let key = NodeKey(seed: random.bytes(NodeKey.seedSizeBytes), scheme: scheme)
            numbers[key.id] = number
            machines.append(Machine(key: key))
        }
    }

    /// How many machines there are.
    package var count: Int { machines.count }

    /// The member that a machine is.
    package func id(_ number: Int) -> NodeID { machines[number].key.id }

    /// The machine that a member is.
    package func number(of member: NodeID) -> Int? { numbers[member] }

    /// What a machine knows of a member.
    package func member(_ number: Int, at observer: Int) -> MemberInfo? {
        machines[observer].membership?.member(id(number))
    }

    // MARK: Forming

    /// Lets one machine found a cluster and all others join it, `spacing` apart.
    ///
    /// - Throws: A `CodecError` when a membership refuses to begin: the caller's configuration is
    ///   out of bounds.
    package func form(spacing: Duration = .milliseconds(20)) throws(CodecError) {
        let genesis = Genesis(founder: machines[0].key.publicKey, nonce: random.next())
        try start(0, genesis: genesis)
        guard let token = issueToken() else { return }
        for number in machines.indices.dropFirst() {
            try start(number, genesis: nil)
            tell(number, .join(seeds: [MembershipCluster.address(0)], token: token))
            run(for: spacing)
        }
    }

    /// Begins with the first `count` machines in a cluster in which all know each other; the others
    /// may join it.
    ///
    /// - Throws: As `form` does.
    package func formAtOnce(_ count: Int) throws(CodecError) {
        let seats = (0..<count).map { number in
            FormedCluster.Seat(
                key: machines[number].key, boot: BootID(random.next()),
                address: MembershipCluster.address(number),
                metadata: MembershipCluster.metadata(number, labels: []))
        }
        let formed = try FormedCluster(seats, nonce: random.next(), scheme: scheme, at: now)
        for number in seats.indices {
            machines[number].membership = try Membership(
                seats[number], of: formed, configuration: configuration, seed: random.next(),
                wallTime: wall, at: now)
            tell(number, .wallClock(wall))
        }
    }

    /// Lets a machine join by way of the first one.
    ///
    /// - Throws: As `form` does.
    package func join(_ number: Int) throws(CodecError) {
        guard let token = issueToken() else { return }
        try start(number, genesis: nil)
        tell(number, .join(seeds: [MembershipCluster.address(0)], token: token))
    }

    /// Ends a machine without a word.
    package func kill(_ number: Int) {
        machines[number].membership = nil
        machines[number].wakesAt = nil
    }

    private func issueToken() -> JoinToken? {
        try? machines[0].membership?.issueToken(lifetime: .seconds(86_400), at: now).token
    }

    private func start(_ number: Int, genesis: Genesis?) throws(CodecError) {
        machines[number].membership = try Membership(
            key: machines[number].key, bootID: BootID(random.next()), scheme: scheme,
            configuration: configuration, metadata: MembershipCluster.metadata(number, labels: []),
            advertise: MembershipCluster.address(number), genesis: genesis,
            restored: DurableImage(), seed: random.next(), wallTime: wall, at: now)
        tell(number, .wallClock(wall))
    }

    private var wall: WallTime { WallTime(milliseconds: now.nanoseconds / 1_000_000) }

    /// What a machine tells of itself.
    package static func metadata(_ number: Int, labels: [String]) -> NodeMetadata {
        NodeMetadata(
            name: "node\(number)", version: "1",
            capacity: Resources(cpuMillis: 1_000, memoryBytes: 1 << 30), labels: labels,
            isEligible: true)
    }

    private static func address(_ number: Int) -> PeerAddress {
        PeerAddress(
            ip: [10, UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)],
            port: 7_946)
    }

    // MARK: Running

    /// Hands an event to a machine's membership, and performs what it asks for.
    package func tell(_ number: Int, _ event: GossipEvent) {
        var effects = self.effects
        self.effects = []
        machines[number].membership?.handle(event, at: now) { effects.append($0) }
        let due = machines[number].membership?.nextDeadline
        for effect in effects {
            switch effect {
            case .send(let bytes, let target, _, let channel):
                send(bytes, from: number, to: target, channel)
            case .memberChanged(let member, _): observe(number, member.id, member.state)
            default: break
            }
        }
        // Their room is used again.
        effects.removeAll(keepingCapacity: true)
        self.effects = effects
        guard let due, machines[number].wakesAt.map({ due < $0 }) ?? true else { return }
        machines[number].wakesAt = due
        queue.insert(.wake(number), at: max(due, now).nanoseconds)
    }

    private func send(_ bytes: [UInt8], from: Int, to address: PeerAddress, _ channel: Channel) {
        let ip = address.ip.map(Int.init)
        guard ip.count == 4, !silent.contains(from) else { return }
        let to = ip[1] << 16 | ip[2] << 8 | ip[3]
        guard machines.indices.contains(to) else { return }
        watch(from, to, bytes, channel)
        if loss > 0, random.happens(loss) { return }
        queue.insert(
            .packet(bytes, from: from, to: to, channel), at: arrival(now).nanoseconds)
    }

    /// Lets time pass, until a condition holds if one is given; returns whether it came to hold.
    @discardableResult
    package func run(for duration: Duration, until condition: () -> Bool = { false }) -> Bool {
        let end = now + duration
        while let next = queue.firstTime, next <= end.nanoseconds {
            if condition() { return true }
            guard let (time, event) = queue.popFirst() else { break }
            now = max(now, Instant(nanoseconds: time))
            deliver(event)
        }
        if condition() { return true }
        now = end
        return false
    }

    private func deliver(_ event: Event) {
        switch event {
        case .packet(let bytes, let from, let to, let channel):
            guard !silent.contains(to) else { return }
            tell(to, .received(bytes, from: MembershipCluster.address(from), via: channel))
        case .wake(let number):
            // Whoever put the wake-up elsewhere has sent another one.
            guard let due = machines[number].wakesAt, due <= now else { return }
            machines[number].wakesAt = nil
            tell(number, .deadlineReached)
        }
    }
}
