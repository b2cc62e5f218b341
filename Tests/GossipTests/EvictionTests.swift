import Model
import Testing

@testable import Gossip

/// Who is shut out by the lock is heard by nobody any more, and comes back under no token.
@Suite struct EvictionTests {
    /// A cluster of machines 0…4 in which 0 and 1 vote; all know it.
    private func network(
        seed: UInt64 = 1, mutation: GossipMutation? = nil
    ) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: 7, mutation: mutation)
        try network.found()
        for number in 1..<5 {
            try network.join(number, by: network.token(from: number == 4 ? 3 : 0))
            network.run(for: .seconds(2))
        }
        network.tellVoters([0, 1])
        network.run(for: .seconds(10))
        return network
    }

    private func everybody(
        _ network: VirtualNetwork, sees state: MembershipState?, of number: Int,
        among observers: [Int] = [0, 1, 2, 4]
    ) -> Bool {
        observers.allSatisfy { network.state(of: number, at: $0) == state }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `who is shut out is shown so by all, hears of it, and is silent`(seed: UInt64) throws {
        let network = try network(seed: seed)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        #expect(everybody(network, sees: .evicted, of: 3))
        #expect(network.allSee([0, 1, 2, 4]))
        #expect(network.machines[3].notes.isShutOut)
        let sent = network.machines[3].packetsSent
        network.run(for: .seconds(60))
        #expect(network.machines[3].packetsSent == sent)
        // It knows it after a restart, too, and so do the others.
        for number in 0..<4 { network.kill(number) }
        for number in 0..<4 { try network.start(number) }
        #expect(network.machines[3].membership?.shutOut != nil)
        network.run(for: .seconds(30))
        #expect(everybody(network, sees: .evicted, of: 3))
        #expect(network.allSee([0, 1, 2, 4]))
        #expect(network.machines[3].packetsSent == sent)
    }

    @Test func `views agree afterwards: nobody goes on exchanging them`() throws {
        let network = try network()
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(20))
        let prints = [0, 1, 2, 4].compactMap { network.machines[$0].membership?.fingerprint }
        #expect(Set(prints).count == 1 && prints.count == 4)
    }

    @Test func `a copy of its key can do nothing`() throws {
        let network = try network()
        let boot = try #require(network.machines[3].membership?.boot)
        network.kill(3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        let alive = try #require(network.machines[2].membership?.table[network.id(2)]?.alive)
        network.machines[2].notes.delivered = []
        for channel in [Channel.datagram, .stream] {
            for message in [
                .application([1, 2, 3]), .ping(number: 7, view: 0, []),
                .rumours([network.accusation(of: 1, incarnation: 1, by: 3), .alive(alive)]),
                .exchange([], wantsReply: true), .wantAdmission(network.id(1)),
            ] as [GossipMessage] {
                network.recorded = []
                network.speak(as: 3, boot: boot, to: 2, message, via: channel)
                let answers = (network.recorded ?? []).filter { $0.from == 2 && $0.to == 3 }
                // On a stream it is told why, at most so often; a datagram gets no answer.
                #expect(answers.isEmpty || channel == .stream)
            }
        }
        #expect(network.machines[2].notes.delivered.isEmpty)
        #expect(network.machines[2].notes.dropped["evicted"] == 10)
        #expect(network.state(of: 1, at: 2) == .alive)
    }

    @Test func `it can't join again under its key, with whatever token`() throws {
        let network = try network()
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        network.machines[3].disk = [:]
        try network.join(3, by: network.token(from: 1), seeds: [2])
        network.run(for: .seconds(5))
        #expect(network.machines[3].notes.refusal == .evicted)
        #expect(network.machines[3].membership?.isMember == false)
        #expect(everybody(network, sees: .evicted, of: 3))
    }

    @Test func `its tokens are void`() throws {
        let network = try network()
        let token = try network.token(from: 3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        try network.join(5, by: token, seeds: [2])
        network.run(for: .seconds(5))
        #expect(network.machines[5].notes.refusal == .evictedInviter)
    }

    @Test func `whom it has let in stays if it is named, and is out if it is not`() throws {
        let network = try network()
        try network.join(5, by: network.token(from: 4), seeds: [4])
        network.run(for: .seconds(5))
        let spares = try #require(
            network.machines[0].membership?.plannedEviction(
                of: network.id(3), isCascading: false, at: network.now))
        #expect(spares.nodes == [network.id(3)] && spares.spared == [network.id(4)])
        let cascade = try #require(
            network.machines[0].membership?.plannedEviction(
                of: network.id(3), isCascading: true, at: network.now))
        #expect(Set(cascade.nodes) == Set([3, 4, 5].map(network.id)) && cascade.spared.isEmpty)
        network.evict([3], by: 0, sparing: [], toldTo: [0, 1])
        network.run(for: .seconds(3))
        // Who came by way of them has nobody to vouch for it.
        #expect(everybody(network, sees: .evicted, of: 4, among: [0, 1, 2]))
        #expect(everybody(network, sees: .evicted, of: 5, among: [0, 1, 2]))
        #expect(network.machines[2].membership?.ring?[network.id(5)] == nil)
    }

    @Test func `whom a thief lets in by the old key is let in by nobody, however late they hear`()
        throws
    {
        let network = try network()
        // Machine 4 does not hear of the eviction, and neither does the thief.
        let outside: Set = [3, 4, 6]
        network.isOpen = { from, to, _ in outside.contains(from) == outside.contains(to) }
        let token = try network.token(from: 3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1], isTold: false)
        network.run(for: .seconds(2))
        try network.join(6, by: token, seeds: [3])
        network.run(for: .seconds(5))
        #expect(network.machines[6].membership?.isMember == true)
        #expect(network.state(of: 6, at: 4) == .alive)
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(60))
        #expect(everybody(network, sees: .evicted, of: 3))
        #expect(everybody(network, sees: nil, of: 6, among: [0, 1, 2]))
        #expect(network.machines[4].membership?.ring?[network.id(6)] == nil)
        #expect(network.allSee([0, 1, 2, 4]))
        // It may come by another member's token, as anybody may.
        network.machines[6].disk = [:]
        try network.join(6, by: network.token(from: 0), seeds: [4])
        network.run(for: .seconds(20))
        #expect(network.allSee([0, 1, 2, 4, 6]))
    }

    @Test(arguments: [false, true])
    func `who was away learns it when it is back`(restarts: Bool) throws {
        let network = try network()
        if restarts {
            network.kill(2)
        } else {
            network.isOpen = { from, to, _ in from != 2 && to != 2 }
        }
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(20))
        if restarts { try network.start(2) }
        network.isOpen = { _, _, _ in true }
        network.tellVoters([0, 1])
        network.run(for: .seconds(5))
        #expect(network.state(of: 3, at: 2) == .evicted)
        network.run(for: .seconds(10))
        #expect(network.allSee([0, 1, 2, 4]))
    }

    @Test func `who was shut out while it was away is told when it is back`() throws {
        let network = try network()
        network.kill(3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(5))
        try network.start(3)
        network.run(for: .seconds(5)) { network.machines[3].notes.isShutOut }
        #expect(network.machines[3].notes.isShutOut)
        network.kill(3)
        try network.start(3)
        #expect(network.machines[3].membership?.shutOut != nil)
    }

    /// Found by a soak: all others had heard of it from a voter that it did not know.
    @Test func `who missed a change of voters, too, is told by a voter that it knows`() throws {
        let network = try network()
        network.kill(3)
        network.tellVoters([1, 2])
        network.evict([3], by: 2, sparing: [4], toldTo: [2])
        network.run(for: .seconds(5))
        #expect(everybody(network, sees: .evicted, of: 3))
        try network.start(3)
        network.run(for: .seconds(60)) { network.machines[3].notes.isShutOut }
        #expect(network.machines[3].notes.isShutOut)
    }

    /// Found by a soak: it was told where its node had been, and went on elsewhere.
    @Test func `a copy of its disk is told, wherever it runs`() throws {
        let network = try network()
        network.kill(3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        network.machines[5].key = network.machines[3].key
        network.machines[5].disk = network.machines[3].disk
        try network.start(5)
        network.run(for: .seconds(10)) { network.machines[5].notes.isShutOut }
        #expect(network.machines[5].notes.isShutOut)
        #expect(everybody(network, sees: .evicted, of: 3))
    }

    @Test func `a newcomer knows it from its first view`() throws {
        let network = try network()
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        network.kill(1)
        try network.join(5, by: network.token(from: 0), seeds: [2])
        network.run(for: .seconds(1))
        #expect(network.machines[5].membership?.isMember == true)
        #expect(network.state(of: 3, at: 5) == .evicted)
    }

    // MARK: Who is believed

    @Test func `a member that does not vote shuts out nobody, nor does a forged signature`() throws
    {
        let network = try network()
        let boot = try #require(network.machines[2].membership?.boot)
        network.freeze(2)
        var certificate = network.certificate(
            of: network.eviction(of: [0], by: 1, sparing: [1, 2, 3, 4]), signedBy: 2)
        network.speak(as: 2, boot: boot, to: 4, .rumours([.amendment(certificate)]))
        #expect(network.machines[4].membership?.amendments.isEmpty == true)
        certificate.signer = network.id(1)
        network.speak(as: 2, boot: boot, to: 4, .rumours([.amendment(certificate)]))
        #expect(network.machines[4].membership?.amendments.isEmpty == true)
        #expect(network.machines[4].notes.dropped["forged statement"] == 1)
        // A voter may say so by way of anybody.
        certificate = network.certificate(
            of: network.eviction(of: [3], by: 1, sparing: [4]), signedBy: 1)
        network.speak(as: 2, boot: boot, to: 4, .rumours([.amendment(certificate)]))
        #expect(network.machines[4].membership?.amendments.count == 1)
    }

    @Test func `an eviction that names a thousand nodes reaches all`() throws {
        let network = try network()
        network.evict([3], by: 0, sparing: [4], andSparing: 1_000, toldTo: [0])
        network.run(for: .seconds(3))
        #expect(everybody(network, sees: .evicted, of: 3))
        #expect(network.allSee([0, 1, 2, 4]))
    }

    @Test func `who is told again and again why it is not heard is told so often and not more`()
        throws
    {
        let network = try network()
        let boot = try #require(network.machines[3].membership?.boot)
        network.kill(3)
        network.evict([3], by: 0, sparing: [4], toldTo: [0, 1])
        network.run(for: .seconds(3))
        network.recorded = []
        for _ in 0..<100 {
            network.speak(as: 3, boot: boot, to: 2, .application([1]), via: .stream)
        }
        let answers = (network.recorded ?? []).count { $0.from == 2 && $0.to == 3 }
        #expect(answers == GossipConfiguration.lastWordsPerSecondMax)
    }
}

extension VirtualNetwork {
    /// Tells every machine who votes.
    func tellVoters(_ voters: [Int]) {
        for machine in machines { tell(machine.number, .voters(voters.map(id))) }
    }

    func eviction(
        of numbers: [Int], by author: Int, sparing spared: [Int], andSparing more: Int = 0
    ) -> Amendment {
        let strangers = (0..<more).map { NodeID(Wide128(high: 99, low: UInt64($0))) }
        return Amendment(
            mark: FencingToken(generation: 1, index: 50 + UInt64(numbers[0])),
            change: .eviction(
                Eviction(
                    nodes: numbers.map(id), spared: spared.map(id) + strangers,
                    author: id(author), time: wallTime)))
    }

    /// The lock has agreed, and these voters' logs say so.
    func evict(
        _ numbers: [Int], by author: Int, sparing spared: [Int], andSparing more: Int = 0,
        toldTo voters: [Int], isTold: Bool = true
    ) {
        let amendment = eviction(of: numbers, by: author, sparing: spared, andSparing: more)
        let isOpen = self.isOpen
        if !isTold { self.isOpen = { !numbers.contains($1) && isOpen($0, $1, $2) } }
        for voter in voters { tell(voter, .amend(amendment)) }
        self.isOpen = isOpen
    }

    func certificate(of amendment: Amendment, signedBy signer: Int) -> AmendmentCertificate {
        var certificate = AmendmentCertificate(amendment: amendment, signer: id(signer))
        if let cluster = machines[0].membership?.clusterID {
            certificate.signature = machines[signer].key.sign(certificate.statement(in: cluster))
        }
        return certificate
    }
}
