import Model
import Testing

@testable import Gossip

/// What the holder of one stolen node key, or a mere eavesdropper, can not do.
@Suite struct ThiefTests {
    /// A formed cluster whose last machine is silent, its key stolen; and that machine's boot ID.
    private func clusterWithThief(
        seed: UInt64, count: Int
    ) throws -> (network: VirtualNetwork, boot: BootID) {
        let network = VirtualNetwork(seed: seed, count: count)
        try network.form()
        let boot = try #require(network.machines[count - 1].membership?.boot)
        network.kill(count - 1)
        return (network, boot)
    }

    @Test func `accusations of one member kill nobody who answers`() throws {
        let (network, boot) = try clusterWithThief(seed: 1, count: 5)
        let begin = network.now
        for _ in 0..<200 {
            for victim in 0..<4 {
                for subject in 0..<4 where subject != victim {
                    let member = network.machines[victim].membership?.member(network.id(subject))
                    let accusation = network.accusation(
                        of: subject, incarnation: member?.incarnation ?? 0, by: 4)
                    network.speak(as: 4, boot: boot, to: victim, .rumours([accusation]))
                }
            }
            network.run(for: .milliseconds(200))
        }
        #expect(network.deaths(of: 0..<4, seenBy: 0..<4, since: begin) == 0)
    }

    @Test func `a suspicion that nobody's own probe bears out ends in no death`() throws {
        let (network, boot) = try clusterWithThief(seed: 2, count: 4)
        // Node 1 hears nothing from node 2 that could clear it: no refutation reaches it.
        let accusation = network.accusation(
            of: 2,
            incarnation: network.machines[1].membership?.member(network.id(2))?.incarnation
                ?? 0, by: 3)
        network.speak(as: 3, boot: boot, to: 1, .rumours([accusation]))
        #expect(network.state(of: 2, at: 1) == .suspect)
        var membership = try #require(network.machines[1].membership)
        // Time passes for the timer alone; the own probe has not even begun.
        for node in membership.suspects { membership.probes.abandon(); _ = node }
        membership.now = membership.now + .seconds(3_600)
        membership.checkSuspicions { _ in Issue.record("nothing may come of it") }
        #expect(membership.member(network.id(2))?.state == .suspect)
    }

    @Test func `nobody drives another one's incarnation up`() throws {
        let (network, boot) = try clusterWithThief(seed: 3, count: 3)
        let before = network.machines[0].membership?.own.incarnation ?? 0
        for incarnation in [before + 1, before + 1_000, .max - 1, .max] {
            let accusation = network.accusation(of: 0, incarnation: incarnation, by: 2)
            network.speak(as: 2, boot: boot, to: 0, .rumours([accusation]))
        }
        #expect(network.machines[0].membership?.own.incarnation == before)
        // A true one is refuted, by one step.
        let accusation = network.accusation(of: 0, incarnation: before, by: 2)
        network.speak(as: 2, boot: boot, to: 0, .rumours([accusation]))
        #expect(network.machines[0].membership?.own.incarnation == before + 1)
    }

    @Test func `nobody says for another one that it is alive, or leaves`() throws {
        let (network, boot) = try clusterWithThief(seed: 4, count: 3)
        let before = network.machines[0].membership?.members
        guard var alive = network.machines[1].membership?.own,
            let cluster = network.machines[0].membership?.clusterID
        else { return }
        alive.incarnation += 1
        alive.address = VirtualNetwork.address(2)
        alive.signature = network.machines[2].key.sign(alive.statement(in: cluster))
        var leave = LeaveStatement(subject: network.id(1), incarnation: 99)
        leave.signature = network.machines[2].key.sign(leave.statement(in: cluster))
        var suspect = SuspectStatement(
            subject: network.id(2), incarnation: 1, accuser: network.id(1))
        suspect.signature = network.machines[2].key.sign(suspect.statement(in: cluster))
        network.speak(as: 2, boot: boot, to: 0, .rumours([.alive(alive)]))
        network.speak(as: 2, boot: boot, to: 0, .rumours([.leave(leave)]))
        network.speak(as: 2, boot: boot, to: 0, .rumours([.suspect(suspect)]))
        #expect(network.machines[0].membership?.members == before)
        #expect(network.machines[0].notes.dropped["forged statement"] ?? 0 >= 2)
    }

    @Test func `one forged statement ends the reading of a message`() throws {
        let (network, boot) = try clusterWithThief(seed: 5, count: 3)
        var forged = LeaveStatement(subject: network.id(1), incarnation: 99)
        forged.signature = Samples.signature
        let flood = [Rumour](repeating: .leave(forged), count: 10_000)
        network.speak(as: 2, boot: boot, to: 0, .exchange(flood, wantsReply: false), via: .stream)
        #expect(network.machines[0].notes.dropped["forged statement"] == 1)
    }

    @Test func `a helper can't vouch for the dead`() throws {
        let (network, boot) = try clusterWithThief(seed: 6, count: 3)
        network.kill(1)
        network.recorded = []
        // The thief answers each request for help at once, in the target's place.
        for _ in 0..<400 {
            network.run(for: .milliseconds(100))
            for probe in network.machines[0].membership?.probes.due(at: .distantFuture) ?? [] {
                network.speak(as: 2, boot: boot, to: 0, .ack(number: probe.number, view: 0, []))
                network.speak(
                    as: 2, boot: boot, to: 0,
                    .indirectAck(number: probe.number, origin: network.id(0), packet: [1, 2]))
            }
        }
        #expect(network.state(of: 1, at: 0) == .dead)
    }

    @Test func `a helper asks members only, and answers come from their target only`() throws {
        let (network, boot) = try clusterWithThief(seed: 7, count: 4)
        network.recorded = []
        let stranger = NodeID(Wide128(high: 1, low: 1))
        network.speak(as: 3, boot: boot, to: 0, .pingRequest(number: 5, target: stranger))
        network.speak(as: 3, boot: boot, to: 0, .pingRequest(number: 5, target: network.id(0)))
        network.speak(as: 3, boot: boot, to: 0, .pingRequest(number: 5, target: network.id(3)))
        #expect(network.recorded?.isEmpty == true)
        network.speak(as: 3, boot: boot, to: 0, .pingRequest(number: 6, target: network.id(1)))
        #expect(network.recorded?.count == 1)
        // A packet that nobody asked for is not sent on.
        network.recorded = []
        network.speak(
            as: 3, boot: boot, to: 0,
            .indirectAck(number: 6, origin: network.id(2), packet: [UInt8](repeating: 0, count: 9)))
        #expect(network.recorded?.isEmpty == true)
    }

    // MARK: Eavesdroppers

    @Test func `whatever was recorded is inert when it is played back`() throws {
        let network = VirtualNetwork(seed: 8, count: 4)
        network.recorded = []
        try network.form()
        network.tell(1, .send(payload: [7], to: network.id(0), via: .stream))
        network.run(for: .seconds(2))
        let recording = network.recorded ?? []
        network.recorded = nil
        #expect(recording.count > 100)
        let before = network.machines.map { $0.membership?.members }
        let delivered = network.machines.map { $0.notes.delivered.count }
        for packet in recording {
            for to in 0..<4 {
                for channel in [Channel.datagram, .stream] {
                    network.tell(
                        to,
                        .received(
                            packet.bytes, from: VirtualNetwork.address(packet.from), via: channel))
                }
            }
        }
        #expect(network.machines.map { $0.membership?.members } == before)
        #expect(network.machines.map { $0.notes.delivered.count } == delivered)
    }

    @Test func `a recording of a former life does not displace the living one`() throws {
        let network = VirtualNetwork(seed: 9, count: 3)
        network.recorded = []
        try network.form()
        network.tell(1, .send(payload: [7], to: network.id(0), via: .datagram))
        network.run(for: .seconds(1))
        let recording = (network.recorded ?? []).filter { $0.from == 1 && $0.to == 0 }
        network.kill(1)
        try network.start(1)
        network.run(for: .seconds(5))
        let boot = network.machines[1].membership?.boot
        #expect(network.machines[0].membership?.lives[network.id(1)]?.boot == boot)
        let delivered = network.machines[0].notes.delivered.count
        for packet in recording {
            network.tell(
                0, .received(packet.bytes, from: VirtualNetwork.address(9), via: packet.channel))
            network.run(for: .milliseconds(5))
        }
        network.run(for: .seconds(5))
        #expect(network.machines[0].membership?.lives[network.id(1)]?.boot == boot)
        #expect(network.machines[0].notes.delivered.count == delivered)
        #expect(network.allSee(0..<3))
    }

    @Test func `old packets can't keep a restarted node out`() throws {
        let network = VirtualNetwork(seed: 10, count: 3)
        network.recorded = []
        try network.form()
        let recording = (network.recorded ?? []).filter {
            $0.from == 1 && $0.to == 0 && $0.channel == .datagram
        }
        // The receiver restarts as well: it knows no life of the sender.
        for number in [0, 1] { network.kill(number) }
        try network.start(0)
        for packet in recording.prefix(300) {
            network.tell(
                0, .received(packet.bytes, from: VirtualNetwork.address(9), via: .datagram))
        }
        try network.start(1)
        for packet in recording.prefix(300) {
            network.tell(
                0, .received(packet.bytes, from: VirtualNetwork.address(9), via: .datagram))
            network.run(for: .microseconds(500))
        }
        network.run(for: .seconds(3))
        let boot = network.machines[1].membership?.boot
        #expect(network.machines[0].membership?.lives[network.id(1)]?.boot == boot)
        #expect(network.allSee(0..<3))
    }

    @Test func `a payload recorded before the receiver's restart is not delivered again`() throws {
        let network = VirtualNetwork(seed: 11, count: 3)
        try network.form()
        network.recorded = []
        network.tell(1, .send(payload: [42], to: network.id(0), via: .datagram))
        let packet = try #require(network.recorded?.first)
        network.run(for: .seconds(5))
        #expect(network.machines[0].notes.delivered.map(\.payload) == [[42]])
        network.kill(0)
        try network.start(0)
        // It arrives first of all, and waits for the sender's life to be proven; which it is.
        let source = VirtualNetwork.address(1)
        network.tell(0, .received(packet.bytes, from: source, via: .datagram))
        network.run(for: .seconds(5))
        #expect(network.allSee(0..<3))
        network.tell(0, .received(packet.bytes, from: source, via: .datagram))
        #expect(network.machines[0].notes.delivered.count == 1)
    }

    @Test func `what waits for a proof of life is delivered with it`() throws {
        let network = VirtualNetwork(seed: 12, count: 3)
        try network.form()
        network.kill(1)
        try network.start(1)
        network.tell(
            1, .send(payload: Array(repeating: 5, count: 40), to: network.id(0), via: .datagram))
        network.run(for: .milliseconds(50))
        #expect(network.machines[0].notes.delivered.count == 1)
    }

    @Test func `every flipped bit and every cut of a packet changes nothing`() throws {
        let network = VirtualNetwork(seed: 13, count: 2, scheme: Ed25519())
        network.recorded = []
        try network.form(settling: .seconds(3))
        network.tell(1, .send(payload: [1, 2, 3], to: network.id(0), via: .datagram))
        let packet = try #require(network.recorded?.last)
        let before = network.machines[0].membership?.members
        network.recorded = []
        let source = VirtualNetwork.address(1)
        for position in packet.bytes.indices {
            for bit in 0..<8 {
                var flipped = packet.bytes
                flipped[position] ^= 1 << UInt8(bit)
                network.tell(0, .received(flipped, from: source, via: .datagram))
            }
            let cut = Array(packet.bytes.prefix(position))
            network.tell(0, .received(cut, from: source, via: .datagram))
            network.now = network.now + .milliseconds(3)
        }
        #expect(network.machines[0].membership?.members == before)
        #expect(network.machines[0].notes.delivered.isEmpty)
        // A sender that is unknown is asked for, but not without end: less goes out than came in.
        let cameIn = packet.bytes.count * 8 * packet.bytes.count
        #expect((network.recorded ?? []).reduce(0) { $0 + $1.bytes.count } < cameIn / 8)
        network.tell(0, .received(packet.bytes, from: source, via: .datagram))
        #expect(network.machines[0].notes.delivered.map(\.payload) == [[1, 2, 3]])
    }

    @Test func `bytes of any kind from anybody never trap`() throws {
        let network = VirtualNetwork(seed: 14, count: 2)
        try network.form()
        var random = SeededGenerator(seed: 1)
        guard let cluster = network.machines[0].membership?.clusterID else { return }
        for round in 0..<5_000 {
            var bytes = (0..<Int(random.next() % 300)).map { _ in
                UInt8(truncatingIfNeeded: random.next())
            }
            if round % 2 == 0, bytes.count > Envelope.overheadSizeBytes {
                var header = ByteWriter()
                header.byte(Envelope.version)
                header.fixed64(cluster.value.high)
                network.id(1).encode(into: &header)
                for (index, byte) in header.bytes.enumerated() { bytes[index] = byte }
            }
            let source = PeerAddress(ip: [1, 1, 1, UInt8(round % 200)], port: 1)
            let channel: Channel = round % 3 == 0 ? .stream : .datagram
            network.tell(0, .received(bytes, from: source, via: channel))
        }
        #expect(network.allSee(0..<2))
    }

    @Test func `a member that says any bytes at all makes nobody trap`() throws {
        let (network, boot) = try clusterWithThief(seed: 15, count: 3)
        var random = SeededGenerator(seed: 2)
        guard let cluster = network.machines[0].membership?.clusterID else { return }
        for counter in 0..<8_000 as Range<UInt64> {
            var payload = Samples.messages[Int(random.next() % UInt64(Samples.messages.count))]
                .encoded
            for _ in 0..<Int(random.next() % 4) where !payload.isEmpty {
                let position = Int(random.next() % UInt64(payload.count))
                payload[position] = UInt8(truncatingIfNeeded: random.next())
            }
            let bytes = Envelope.seal(
                payload, by: network.machines[2].key, boot: boot, counter: 2_000_000 + counter,
                cluster: cluster, to: network.id(0), via: .stream)
            network.tell(
                0, .received(bytes, from: VirtualNetwork.address(2), via: .stream))
            if counter % 1_000 == 0 { network.run(for: .seconds(1)) }
        }
        network.run(for: .seconds(30))
        #expect(network.state(of: 1, at: 0) == .alive)
    }
}
