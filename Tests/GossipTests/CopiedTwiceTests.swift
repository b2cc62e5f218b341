import Model
import Testing

@testable import Gossip

/// Two members are copied one after the other, each copy is believed while its original is cut off,
/// and ends: both know each other by a copy's address then, and take each other for a former life.
@Suite struct CopiedTwiceTests {
    /// So many members; machine 5 is empty, and gets the copies.
    private func cluster(of count: Int, seed: UInt64) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: 6)
        try network.found()
        for number in 1..<count {
            try network.join(number, by: network.token())
            network.run(for: .milliseconds(20))
        }
        network.run(for: .seconds(10))
        return network
    }

    private typealias Disk = [DurableSpace: [[UInt8]: [UInt8]]]

    /// A copy of a member's disk comes up while the member is cut off; one that stays believes it.
    private func copy(
        _ member: Int, _ disk: Disk, in network: VirtualNetwork, believedBy other: Int
    ) throws {
        network.isOpen = { from, to, _ in (from == member) == (to == member) }
        network.machines[5].disk = disk
        network.machines[5].notes = VirtualNetwork.Notes()
        try network.start(5, key: network.machines[member].key)
        func isBelieved() -> Bool {
            let life = network.machines[other].membership?.lives[network.id(member)]
            return knows(other, member, at: 5, in: network)
                && life?.boot == network.machines[5].membership?.boot
        }
        network.run(for: .seconds(60)) { isBelieved() }
        #expect(isBelieved())
        network.kill(5)
    }

    /// Whether a member is alive in another one's eyes, at that machine's address.
    private func knows(
        _ observer: Int, _ member: Int, at place: Int, in network: VirtualNetwork
    ) -> Bool {
        let known = network.machines[observer].membership?.member(network.id(member))
        return known?.state == .alive && known?.address == VirtualNetwork.address(place)
    }

    private func expectReunion(_ members: Range<Int>, in network: VirtualNetwork) {
        network.isOpen = { _, _, _ in true }
        func isReunited() -> Bool {
            members.allSatisfy { observer in
                members.allSatisfy { knows(observer, $0, at: $0, in: network) }
            }
        }
        network.run(for: .seconds(120)) { isReunited() }
        #expect(isReunited())
        #expect(members.allSatisfy { network.machines[$0].notes.elder == nil })
    }

    /// Found with `simulate run --nodes 5 --tasks 200 --seed 31433`.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `two that were displaced by copies in each other's eyes find each other by a third`(
        seed: UInt64
    ) throws {
        let network = try cluster(of: 5, seed: seed)
        try copy(1, network.machines[1].disk, in: network, believedBy: 2)
        try copy(2, network.machines[2].disk, in: network, believedBy: 1)
        expectReunion(0..<5, in: network)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `two that know each other by copies' addresses alone look where the other was`(
        seed: UInt64
    ) throws {
        let network = try cluster(of: 2, seed: seed)
        let disks = network.machines.map(\.disk)
        try copy(0, disks[0], in: network, believedBy: 1)
        try copy(1, disks[1], in: network, believedBy: 0)
        expectReunion(0..<2, in: network)
    }

    @Test func `a dead member's former places are asked so often and not more`() throws {
        let network = try cluster(of: 2, seed: 5)
        try copy(1, network.machines[1].disk, in: network, believedBy: 0)
        network.isOpen = { from, to, _ in from == to }
        network.run(for: .seconds(60)) { network.state(of: 1, at: 0) == .dead }
        network.recorded = []
        network.run(for: .seconds(60))
        let asked = network.recorded?.count { $0.from == 0 && $0.to == 1 } ?? 0
        // With each attempt to reconnect, which comes once a second or a quarter sooner.
        #expect(asked > 0 && asked <= 80)
    }
    @Test func `a former life that asks without end is answered so often and not more`() throws {
        let network = try cluster(of: 2, seed: 6)
        let former = try #require(network.machines[1].membership?.boot)
        network.kill(1)
        try network.start(1)
        network.run(for: .seconds(5))
        #expect(network.machines[0].membership?.lives[network.id(1)]?.isRetired(former) == true)
        let boot = try #require(network.machines[0].membership?.boot)
        network.recorded = []
        for number in 0...UInt64(PeerLife.formerPerSecondMax) {
            network.speak(
                as: 1, boot: former, to: 0, .challenge(number: number, boot: boot))
        }
        let answers = network.recorded?.filter { $0.from == 0 && $0.to == 1 } ?? []
        #expect(answers.count == PeerLife.formerPerSecondMax)
        let question = GossipMessage.challenge(number: 0, boot: boot).encoded
        #expect(
            answers.allSatisfy {
                $0.bytes.count <= question.count + Envelope.overheadSizeBytes(via: .datagram)
            })
    }
}
