import Model
import Testing

@testable import Gossip

/// Packets of every kind, damaged in every way: nothing happens but that one is counted.
@Suite struct AdversaryTests {
    /// Everything about a node that a packet could change, limits and clocks left out.
    private struct State: Equatable {
        var members: [MemberInfo]
        var fingerprint: UInt64
        var own: AliveStatement
        var rumours: Int
        var admissions: Int
        var lives: [NodeID: BootID?]
        var suspects: Set<NodeID>
        var delivered: Int
        var isStopped: Bool

        init(_ network: VirtualNetwork, _ number: Int) throws {
            let membership = try #require(network.machines[number].membership)
            members = membership.members
            fingerprint = membership.fingerprint
            own = membership.own
            rumours = membership.rumourCount
            admissions = membership.ring?.admissions.count ?? 0
            lives = membership.lives.mapValues(\.boot)
            suspects = membership.suspects
            delivered = network.machines[number].notes.delivered.count
            isStopped = membership.isStopped
        }
    }

    /// Three members that are at rest; the second has fallen silent, and its key is the adversary's.
    private func cluster(seed: UInt64) throws -> (network: VirtualNetwork, boot: BootID) {
        let network = VirtualNetwork(seed: seed, count: 3)
        try network.form(settling: .seconds(40))
        let boot = try #require(network.machines[1].membership?.boot)
        network.kill(1)
        return (network, boot)
    }

    private func dropped(_ network: VirtualNetwork) -> Int {
        network.machines[0].notes.dropped.values.reduce(0, +)
    }

    /// The packet in which the second member says this to the first.
    private func packet(
        _ payload: [UInt8], in network: VirtualNetwork, boot: BootID, counter: UInt64,
        via channel: Channel
    ) throws -> [UInt8] {
        network.packet(
            payload, by: network.machines[1].key, boot: boot, counter: counter, to: 0,
            via: channel)
    }

    /// Hands over a packet that must change nothing and be counted once.
    private func expectInert(
        _ bytes: [UInt8], via channel: Channel, in network: VirtualNetwork, _ before: State
    ) throws {
        let count = dropped(network)
        // Each at a time of its own: what is measured here is not the limit on rates.
        network.now = network.now + .microseconds(300)
        network.tell(0, .received(bytes, from: VirtualNetwork.address(1), via: channel))
        try #require(dropped(network) == count + 1, "\(bytes)")
        try #require(try State(network, 0) == before, "\(bytes)")
    }

    /// The next good packet is handled.
    private func expectHeard(_ network: VirtualNetwork, boot: BootID, counter: UInt64) throws {
        let good = try packet(
            GossipMessage.application([9, 9][...]).encoded, in: network, boot: boot,
            counter: counter, via: .datagram)
        network.tell(0, .received(good, from: VirtualNetwork.address(1), via: .datagram))
        #expect(network.machines[0].notes.delivered.last?.payload == [9, 9])
    }

    // MARK: Damage under way

    @Test(arguments: Samples.messages.indices)
    func `every cut and every flipped bit of every kind of packet is counted and no more`(
        index: Int
    ) throws {
        let (network, boot) = try cluster(seed: 40)
        let before = try State(network, 0)
        let bytes = try packet(
            Samples.messages[index].encoded, in: network, boot: boot, counter: 1_000_000,
            via: .datagram)
        for count in bytes.indices {
            try expectInert(
                Array(bytes.prefix(count)), via: .datagram, in: network, before)
        }
        for bit in 0..<(8 * bytes.count) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            try expectInert(flipped, via: .datagram, in: network, before)
        }
        try expectHeard(network, boot: boot, counter: 1_000_001)
    }

    @Test func `a packet of the largest size is looked at, and no larger one`() throws {
        let (network, boot) = try cluster(seed: 41)
        let before = try State(network, 0)
        for (channel, sizeMax) in [
            (Channel.datagram, Channel.datagramSizeBytesMax),
            (.stream, Channel.frameSizeBytesMax),
        ] {
            let room = sizeMax - Envelope.overheadSizeBytes(via: channel)
            let largest = GossipMessage.application([UInt8](repeating: 1, count: room - 1)[...])
            let good = try packet(
                largest.encoded, in: network, boot: boot, counter: 2_000_000, via: channel)
            #expect(good.count == sizeMax)
            try expectInert(good + [0], via: channel, in: network, before)
            #expect(network.machines[0].notes.dropped["oversize"] ?? 0 > 0)
        }
        let whole = try packet(
            [UInt8](repeating: 15, count: 1_279), in: network, boot: boot, counter: 2_000_001,
            via: .datagram)
        #expect(whole.count == Channel.datagramSizeBytesMax)
        network.tell(0, .received(whole, from: VirtualNetwork.address(1), via: .datagram))
        #expect(network.machines[0].notes.dropped["oversize"] == 2)
    }

    // MARK: What a member's own key can sign

    @Test(arguments: Samples.messages.indices)
    func `a member's packet that says nothing readable is counted and no more`(
        index: Int
    ) throws {
        let (network, boot) = try cluster(seed: 42)
        let before = try State(network, 0)
        let payload = Samples.messages[index].encoded
        var counter: UInt64 = 3_000_000
        // Cut, with too much behind it, and with counts of which there can't be as many.
        var wrong = payload.indices.dropFirst().map { Array(payload.prefix($0)) } + [payload + [0]]
        for place in payload.indices {
            for count in [[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [UInt8](repeating: 0xFF, count: 10)] {
                wrong.append(payload[..<place] + count + payload[(place + 1)...])
            }
        }
        for bytes in wrong + [[0], [0xFF]] where (try? GossipMessage(decoding: bytes)) == nil {
            for channel in [Channel.datagram, .stream] {
                counter += 1
                let sealed = try packet(
                    bytes, in: network, boot: boot, counter: counter, via: channel)
                guard sealed.count <= Channel.datagramSizeBytesMax else { continue }
                try expectInert(sealed, via: channel, in: network, before)
            }
        }
        try expectHeard(network, boot: boot, counter: counter + 1)
    }

    @Test(arguments: Samples.messages.indices)
    func `a datagram that its member has signed and not veiled is counted and no more`(
        index: Int
    ) throws {
        let (network, boot) = try cluster(seed: 44)
        let before = try State(network, 0)
        let cluster = try #require(network.machines[0].membership?.clusterID)
        let plain = Samples.messages[index].encoded
        let veiled = try #require(
            Envelope.payload(
                of: packet(plain, in: network, boot: boot, counter: 4_000_000, via: .datagram)))
        // As it is, veiled for another counter, and cut within the tag.
        let wrong = [plain, Array(veiled)] + (1...16).map { Array(veiled.dropLast($0)) }
        for (number, payload) in wrong.enumerated() where payload.count <= 1_295 {
            let bytes = Envelope.seal(
                payload, by: network.machines[1].key, boot: boot,
                counter: 4_000_001 + UInt64(number), cluster: cluster, to: network.id(0),
                via: .datagram)
            try expectInert(bytes, via: .datagram, in: network, before)
        }
        let unreadable = try #require(network.machines[0].notes.dropped["unreadable"])
        #expect(unreadable > 0)
        // Repeated, it is a packet like any other.
        let again = Envelope.seal(
            plain, by: network.machines[1].key, boot: boot, counter: 4_000_001, cluster: cluster,
            to: network.id(0), via: .datagram)
        try expectInert(again, via: .datagram, in: network, before)
        #expect(network.machines[0].notes.dropped["unreadable"] == unreadable)
        try expectHeard(network, boot: boot, counter: 4_001_000)
    }

    // MARK: Replay

    @Test func `an answer to an older probe does not bring a dead member back`() throws {
        let network = VirtualNetwork(seed: 43, count: 3)
        network.recorded = []
        try network.form()
        let boot = try #require(network.machines[1].membership?.boot)
        let old = try #require(network.recorded).filter {
            $0.from == 1 && $0.to == 0 && GossipInspection.kind(of: $0.bytes) == 2
        }
        #expect(old.count > 3)
        network.recorded = nil
        network.kill(1)
        for _ in 0..<600 {
            network.run(for: .milliseconds(50))
            for packet in old {
                // As it was, and said again by whoever has the key.
                network.tell(
                    0,
                    .received(packet.bytes, from: VirtualNetwork.address(1), via: packet.channel))
                let veiled = try #require(Envelope.payload(of: packet.bytes))
                let payload = veiled.dropLast(DatagramVeil.overheadSizeBytes)
                network.speak(as: 1, boot: boot, to: 0, bytes: Array(payload))
            }
        }
        #expect(network.state(of: 1, at: 0) == .dead)
    }

    // MARK: Strangers

    @Test func `no kind of packet from a stranger is answered to where it came from`() throws {
        let network = VirtualNetwork(seed: 45, count: 2)
        try network.form()
        let stranger = NodeKey(
            seed: [UInt8](repeating: 8, count: 32), scheme: network.scheme)
        let cluster = try #require(network.machines[0].membership?.clusterID)
        let source = PeerAddress(ip: [9, 9, 9, 9], port: 1)
        var sentTo: [PeerAddress] = []
        for (number, message) in Samples.messages.enumerated() {
            for receiver in [network.id(0), .none] {
                let bytes = Envelope.seal(
                    message.encoded, by: stranger, boot: BootID(7), counter: UInt64(number + 1),
                    cluster: cluster, to: receiver, via: .datagram)
                var membership = try #require(network.machines[0].membership)
                membership.handle(
                    .received(bytes, from: source, via: .datagram), at: network.now
                ) { effect in
                    if case .send(_, let target, _, _) = effect { sentTo.append(target) }
                }
            }
        }
        #expect(!sentTo.contains(source))
    }

    @Test func `what one member's unknown lives say takes no more room than it may`() throws {
        let (network, _) = try cluster(seed: 46)
        let payload = GossipMessage.application([UInt8](repeating: 1, count: 1_000)[...]).encoded
        for life in 0..<(3 * PeerLife.pendingMax) {
            for counter in 1...UInt64(2 * PeerLife.heldMax) {
                let bytes = try packet(
                    payload, in: network, boot: BootID(UInt64(life)), counter: counter,
                    via: .datagram)
                network.tell(0, .received(bytes, from: VirtualNetwork.address(1), via: .datagram))
            }
        }
        let life = try #require(network.machines[0].membership?.lives[network.id(1)])
        #expect(life.pending.count == PeerLife.pendingMax)
        #expect(life.pending.allSatisfy { $0.held.count == PeerLife.heldMax })
        #expect(network.machines[0].notes.delivered.isEmpty)
    }
}
