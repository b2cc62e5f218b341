import Model
import Testing

@testable import Gossip

/// What floods can't do: silence others, fill disks, or make one node work for ever.
@Suite struct FloodTests {
    private let garbage = [UInt8](repeating: 0xA5, count: 300)

    /// Whether node 1 can still make itself heard at node 0.
    private func isHeard(_ network: VirtualNetwork) -> Bool {
        network.machines[0].notes.delivered = []
        network.tell(1, .send(payload: [42], to: network.id(0), via: .stream))
        network.run(for: .milliseconds(5))
        return network.machines[0].notes.delivered.contains { $0.payload == [42] }
    }

    @Test func `datagrams that bear a member's address do not use up its streams`() throws {
        let network = VirtualNetwork(seed: 1, count: 3)
        try network.form()
        let begin = network.now
        for _ in 0..<300 {
            for _ in 0..<500 {
                let source = VirtualNetwork.address(1)
                network.tell(0, .received(garbage, from: source, via: .datagram))
            }
            #expect(isHeard(network))
            network.run(for: .milliseconds(95))
        }
        #expect(network.machines[0].notes.dropped["rate"] ?? 0 > 0)
        #expect(network.deaths(of: 0..<3, seenBy: 0..<3, since: begin) == 0)
    }

    @Test func `datagrams from more addresses than are told apart do not stop streams`() throws {
        let network = VirtualNetwork(seed: 2, count: 3)
        try network.form()
        let begin = network.now
        for round in 0..<20 {
            for number in 0..<10_000 {
                let source = PeerAddress(
                    ip: [192, 168, UInt8(number / 256), UInt8(number % 256)], port: 9)
                network.tell(0, .received(garbage, from: source, via: .datagram))
            }
            #expect(isHeard(network), "round \(round)")
            network.run(for: .seconds(1))
        }
        #expect(network.deaths(of: 0..<3, seenBy: 0..<3, since: begin) == 0)
    }

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

    @Test func `accusations are refuted so often in a second, and not once more`() throws {
        let (network, boot) = try clusterWithThief(seed: 3, count: 3)
        let max = UInt64(GossipConfiguration.refutationsPerSecondMax)
        let before = try #require(network.machines[0].membership?.own.incarnation)
        for _ in 0..<(4 * max) {
            let incarnation = network.machines[0].membership?.own.incarnation ?? 0
            let accusation = network.accusation(of: 0, incarnation: incarnation, by: 2)
            network.speak(as: 2, boot: boot, to: 0, .rumours([accusation]))
        }
        #expect(network.machines[0].membership?.own.incarnation == before + max)
        network.run(for: .seconds(1))
        let incarnation = network.machines[0].membership?.own.incarnation ?? 0
        let accusation = network.accusation(of: 0, incarnation: incarnation, by: 2)
        network.speak(as: 2, boot: boot, to: 0, .rumours([accusation]))
        #expect(network.machines[0].membership?.own.incarnation == incarnation + 1)
    }

    @Test func `a member is accused without end, and lives`() throws {
        let (network, boot) = try clusterWithThief(seed: 4, count: 4)
        let begin = network.now
        for _ in 0..<3_000 {
            for victim in 0..<3 {
                let incarnation = network.machines[0].membership?.own.incarnation ?? 0
                let accusation = network.accusation(of: 0, incarnation: incarnation, by: 3)
                network.speak(as: 3, boot: boot, to: victim, .rumours([accusation]))
            }
            network.run(for: .milliseconds(20))
        }
        #expect(network.deaths(of: 0..<3, seenBy: 0..<3, since: begin) == 0)
    }

    @Test func `a member's word changes so often in a second, and the last one is learned`()
        throws
    {
        let network = VirtualNetwork(seed: 5, count: 4)
        try network.form()
        let max = GossipConfiguration.wordsPerSecondMax
        let begin = network.now
        for change in 0..<500 {
            let metadata = VirtualNetwork.metadata(3, labels: ["change=\(change)"])
            network.tell(3, .updateMetadata(metadata))
            network.run(for: .milliseconds(2))
        }
        for observer in 0..<3 {
            let taken = network.machines[observer].notes.changes.count {
                $0.member == network.id(3) && $0.at >= begin
            }
            #expect(taken <= 2 * max + 1)
        }
        network.run(for: .seconds(30)) {
            (0..<3).allSatisfy { observer in
                let member = network.machines[observer].membership?.member(network.id(3))
                return member?.metadata.labels == ["change=499"]
            }
        }
        for observer in 0..<3 {
            let member = network.machines[observer].membership?.member(network.id(3))
            #expect(member?.metadata.labels == ["change=499"])
            #expect(member?.state == .alive)
        }
    }

    @Test func `one member is shown the view so often in a second, and not once more`() throws {
        let (network, boot) = try clusterWithThief(seed: 6, count: 3)
        network.recorded = []
        for _ in 0..<(5 * PeerLife.viewsPerSecondMax) {
            network.speak(as: 2, boot: boot, to: 0, .exchange([], wantsReply: true), via: .stream)
        }
        let shown = network.recorded?.count { $0.from == 0 && $0.to == 2 && $0.channel == .stream }
        #expect(shown == PeerLife.viewsPerSecondMax)
        // The others do not suffer for it.
        network.tell(0, .updateMetadata(VirtualNetwork.metadata(0, labels: ["new=1"])))
        network.run(for: .seconds(5))
        let member = network.machines[1].membership?.member(network.id(0))
        #expect(member?.metadata.labels == ["new=1"])
    }

    @Test func `one member's questions are answered so often in a second`() throws {
        let (network, boot) = try clusterWithThief(seed: 7, count: 3)
        network.recorded = []
        for _ in 0..<(3 * PeerLife.questionsPerSecondMax) {
            network.speak(as: 2, boot: boot, to: 0, .wantAdmission(network.id(1)))
        }
        let answers = network.recorded?.count { $0.from == 0 && $0.to == 2 }
        #expect(answers == PeerLife.questionsPerSecondMax)
    }
}
