import Model

@testable import Gossip

/// Memberships on a virtual network, driven event by event.
final class GossipBench {
    struct Packet {
        var due: Instant
        var to: PeerAddress
        var from: PeerAddress
        var bytes: [UInt8]
        var channel: Channel
    }

    var now = Instant(nanoseconds: 1_000_000_000)
    var nodes: [PeerAddress: Membership] = [:]
    var packets: [Packet] = []
    var sent: [Packet] = []
    var rows: [PeerAddress: [DurableSpace: [[UInt8]: [UInt8]]]] = [:]
    var dropped: [String: Int] = [:]
    var delivered: [(to: PeerAddress, from: NodeID, payload: [UInt8])] = []
    var joined: Set<PeerAddress> = []
    var refusals: [PeerAddress: JoinRefusal] = [:]
    var unreachable: Set<PeerAddress> = []
    /// Who has met a younger life of its key.
    var elders: Set<PeerAddress> = []
    /// Who has stopped for an elder life of its key.
    var stopped: Set<PeerAddress> = []
    /// Every state that a node has seen a member in.
    var seen: [PeerAddress: [NodeID: Set<MembershipState>]] = [:]
    var random: SeededGenerator
    var loss = 0.0
    var isOpen: (PeerAddress, PeerAddress) -> Bool = { _, _ in true }
    private var boots: UInt64 = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    static func address(_ number: Int) -> PeerAddress {
        PeerAddress(ip: [10, 0, 0, UInt8(number)], port: 7_946)
    }

    static func key(_ number: Int) -> NodeKey {
        NodeKey(seed: [UInt8](repeating: UInt8(number), count: 32))
    }

    static func metadata(_ number: Int) -> NodeMetadata {
        NodeMetadata(
            name: "node\(number)", version: "1",
            capacity: Resources(cpuMillis: 1_000, memoryBytes: 1 << 30), labels: [],
            isEligible: true)
    }

    var wallTime: WallTime { WallTime(milliseconds: now.nanoseconds / 1_000_000) }

    /// Starts a node from its rows; with a genesis it founds.
    func start(_ number: Int, genesis: Genesis? = nil) throws {
        let address = GossipBench.address(number)
        var image = DurableImage()
        for (space, table) in rows[address] ?? [:] {
            image[space] = table.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { DurableImage.Row(key: $0.key, value: $0.value) }
        }
        boots += 1
        var membership = try Membership(
            key: GossipBench.key(number), bootID: BootID(1_000 + boots), scheme: Ed25519(),
            configuration: GossipConfiguration(profile: .lan),
            metadata: GossipBench.metadata(number), advertise: address, genesis: genesis,
            restored: image, seed: random.next(), wallTime: wallTime, at: now)
        if genesis != nil { store(membership.foundingRows, address) }
        nodes[address] = membership
        membership.handle(.wallClock(wallTime), at: now) { _ in }
    }

    /// Founds with node 1, and lets the others join by its token.
    func form(_ count: Int) throws {
        try start(1, genesis: Genesis(founder: GossipBench.key(1).publicKey, nonce: 9))
        for number in 2...max(count, 2) where number <= count {
            try start(number)
            try join(number, token: token())
        }
        run(for: .seconds(10))
    }

    func token(lifetime: Duration = .seconds(3_600)) throws -> JoinToken {
        let founder = GossipBench.address(1)
        guard var membership = nodes[founder] else { throw CodecError.malformed }
        let issued = try membership.issueToken(lifetime: lifetime, at: now)
        nodes[founder] = membership
        store(issued.rows, founder)
        return issued.token
    }

    func join(_ number: Int, token: JoinToken) throws {
        step(
            GossipBench.address(number),
            .join(seeds: [GossipBench.address(1)], token: token))
    }

    func step(_ address: PeerAddress, _ event: GossipEvent) {
        guard var membership = nodes[address] else { return }
        var effects: [GossipEffect] = []
        membership.handle(event, at: now) { effects.append($0) }
        nodes[address] = membership
        for effect in effects { perform(effect, address) }
    }

    private func perform(_ effect: GossipEffect, _ address: PeerAddress) {
        switch effect {
        case .send(let bytes, let target, _, let channel):
            let delay = random.duration(upTo: .milliseconds(2))
            let packet = Packet(
                due: now + delay, to: target, from: address, bytes: bytes, channel: channel)
            sent.append(packet)
            guard isOpen(address, target) else { return }
            if channel == .datagram, random.fraction() < loss { return }
            packets.append(packet)
        case .deliver(let payload, let sender, _): delivered.append((address, sender, payload))
        case .memberChanged(let member, _):
            seen[address, default: [:]][member.id, default: []].insert(member.state)
        case .persist(let writes): store(writes, address)
        case .joined: joined.insert(address)
        case .joinRefused(let refusal): refusals[address] = refusal
        case .joinUnreachable: unreachable.insert(address)
        case .dropped(let reason): dropped[reason, default: 0] += 1
        case .cloneRefused: elders.insert(address)
        case .refusedAsClone: stopped.insert(address)
        case .left, .amended, .shutOut, .keyRenewed, .superseded: break
        }
    }

    private func store(_ writes: [DurableWrite], _ address: PeerAddress) {
        for case .put(let space, let key, let value) in writes {
            rows[address, default: [:]][space, default: [:]][key] = value
        }
    }

    /// Lets virtual time pass.
    func run(for duration: Duration, until condition: (() -> Bool)? = nil) {
        let end = now + duration
        while true {
            if let condition, condition() { return }
            let packet = packets.map(\.due).min()
            let deadline = nodes.values.compactMap(\.nextDeadline).min()
            guard let next = [packet, deadline].compactMap({ $0 }).min(), next <= end else {
                now = end
                return
            }
            now = max(now, next)
            if let index = packets.indices.filter({ packets[$0].due <= now }).min(by: {
                packets[$0].due < packets[$1].due
            }) {
                let packet = packets.remove(at: index)
                guard isOpen(packet.from, packet.to) else { continue }
                step(packet.to, .received(packet.bytes, from: packet.from, via: packet.channel))
                continue
            }
            for address in nodes.keys.sorted() {
                if let due = nodes[address]?.nextDeadline, due <= now {
                    step(address, .deadlineReached)
                }
            }
        }
    }

    /// Whether every node sees exactly these alive.
    func allSee(_ numbers: [Int]) -> Bool {
        let wanted = Set(numbers.map { GossipBench.key($0).id })
        return numbers.allSatisfy { number in
            let members = nodes[GossipBench.address(number)]?.members ?? []
            return Set(members.filter { $0.state == .alive }.map(\.id)) == wanted
        }
    }
}
