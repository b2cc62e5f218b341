import Model
import Testing

@testable import Gossip

/// A node gets another key and stays who it is; the one before is worth nothing.
@Suite struct RenewalTests {
    /// A cluster of machines 0…4 in which 0 and 1 vote; 3 has let in 4.
    private func network(seed: UInt64 = 1) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: 7)
        try network.found()
        for number in 1..<5 {
            try network.join(number, by: network.token(from: number == 4 ? 3 : 0))
            network.run(for: .seconds(2))
        }
        network.tellVoters([0, 1])
        network.run(for: .seconds(10))
        return network
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>, [0, 1, 3])
    func `a renewed node stays a member, and nobody is taken for dead`(
        seed: UInt64, number: Int
    ) throws {
        let network = try network(seed: seed)
        let begin = network.now
        let old = network.machines[number].key
        try network.renew(number)
        network.run(for: .seconds(30))
        #expect(network.machines[number].notes.keysRenewed == 1)
        #expect(network.allSee(0..<5))
        #expect(network.deaths(of: 0..<5, seenBy: 0..<5, since: begin) == 0)
        for observer in 0..<5 {
            let ring = try #require(network.machines[observer].membership?.ring)
            let key = try #require(ring[network.id(number)])
            #expect(key != old.publicKey)
            #expect(ring.speaker(under: key.id) == (network.id(number), false))
            #expect(ring.speaker(under: old.publicKey.id) == (network.id(number), true))
            let stranger = network.machines[6].key.publicKey.id
            #expect(ring.speaker(under: stranger) == (stranger, false))
            #expect(ring.admissions.count == 4)
        }
        let prints = (0..<5).compactMap { network.machines[$0].membership?.fingerprint }
        #expect(Set(prints).count == 1)
        // Once more, and after restarts.
        try network.renew(number)
        network.run(for: .seconds(10))
        for machine in 0..<5 { network.kill(machine) }
        for machine in 0..<5 { try network.start(machine) }
        network.run(for: .seconds(30))
        #expect(network.allSee(0..<5))
        #expect(network.machines[number].membership?.keySerial == 2)
    }

    @Test func `the retired key says nothing that anybody hears`() throws {
        let network = try network()
        let boot = try #require(network.machines[3].membership?.boot)
        let thief = network.machines[3].key
        try network.renew(3)
        network.run(for: .seconds(5))
        let alive = network.machines[3].key
        network.machines[3].key = thief
        network.machines[2].notes.delivered = []
        network.machines[2].notes.dropped = [:]
        network.speak(as: 3, boot: boot, to: 2, .application([1]))
        network.speak(as: 3, boot: boot, to: 2, .application([1]), via: .stream)
        network.machines[3].key = alive
        #expect(network.machines[2].notes.delivered.isEmpty)
        #expect(network.machines[2].notes.dropped["retired key"] == 2)
    }

    @Test func `whom the retired key lets in afterwards is let in by nobody`() throws {
        let network = try network()
        let thief = network.machines[3].key
        try network.renew(3)
        network.run(for: .seconds(5))
        let ring = try #require(network.machines[2].membership?.ring)
        let joiner = network.machines[6].key
        let seed = [UInt8](repeating: 5, count: 32)
        let token = JoinToken(
            cluster: ring.cluster, inviter: thief, seed: seed,
            expiry: network.wallTime + .seconds(60), scheme: network.scheme)
        let pair = network.scheme.keyPair(seed: seed)
        var admission = Admission(
            nodeKey: joiner.publicKey, invitation: token.invitation,
            tokenSignature: network.scheme.sign(
                Admission.tokenStatement(nodeKey: joiner.publicKey, cluster: ring.cluster),
                secret: pair.secret), admitter: network.id(3))
        admission.signature = thief.sign(admission.statement)
        var copy = ring
        #expect(copy.add(admission) == .void)
        #expect(copy[joiner.id] == nil)
        // Whom it has let in before stays.
        #expect(copy[network.id(4)] != nil)
    }

    @Test func `a token that was made before is as good as it was`() throws {
        let network = try network()
        let token = try network.token(from: 3)
        try network.renew(3)
        network.run(for: .seconds(5))
        try network.join(5, by: token, seeds: [2])
        network.run(for: .seconds(5))
        #expect(network.machines[5].membership?.isMember == true)
        try network.join(6, by: network.token(from: 3), seeds: [5])
        network.run(for: .seconds(20))
        #expect(network.allSee(0..<7))
    }

    @Test func `a thief that asks to join under the retired key is shown nothing`() throws {
        let network = try network()
        let thief = network.machines[3].key
        try network.renew(3)
        network.run(for: .seconds(5))
        network.kill(3)
        network.machines[3].disk = [:]
        network.machines[3].key = thief
        network.machines[3].nextKey = nil
        try network.join(3, by: network.token(from: 0), seeds: [2])
        network.run(for: .seconds(5))
        #expect(network.machines[3].notes.refusal == .retiredKey)
    }

    @Test(arguments: [false, true])
    func `of two, the other one learns the new key from the node itself`(isAway: Bool) throws {
        let network = VirtualNetwork(seed: 3, count: 2)
        try network.form()
        network.tellVoters([0])
        network.run(for: .seconds(2))
        if isAway { network.kill(1) } else { network.isOpen = { _, _, _ in false } }
        let change = try network.planRenewal(of: 0)
        network.agree(on: change, toldTo: [0])
        network.run(for: .seconds(2))
        #expect(network.machines[0].notes.keysRenewed == 1)
        network.isOpen = { _, _, _ in true }
        if isAway { try network.start(1) }
        network.run(for: .seconds(10)) { network.machines[1].membership?.amendments.count == 1 }
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<2))
        #expect(network.machines[1].membership?.amendments.count == 1)
    }

    @Test(arguments: [false, true])
    func `two that have renewed their keys unheard by each other find each other again`(
        isRestarted: Bool
    ) throws {
        let network = VirtualNetwork(seed: 8, count: 2)
        try network.form()
        network.tellVoters([0, 1])
        network.run(for: .seconds(2))
        network.isOpen = { _, _, _ in false }
        for number in 0..<2 {
            let change = try network.planRenewal(of: number)
            network.agree(on: change, toldTo: [number])
            network.run(for: .seconds(1))
        }
        #expect((0..<2).allSatisfy { network.machines[$0].notes.keysRenewed == 1 })
        if isRestarted { for number in 0..<2 { network.kill(number) } }
        network.isOpen = { _, _, _ in true }
        if isRestarted { for number in 0..<2 { try network.start(number) } }
        network.run(for: .seconds(60)) {
            (0..<2).allSatisfy { network.machines[$0].membership?.amendments.count == 2 }
        }
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<2))
        #expect(
            (0..<2).allSatisfy { network.machines[$0].membership?.amendments.count == 2 })
    }

    // MARK: Crashes and races

    /// Where the process ends, and what its disk knows by then.
    enum Crash: CaseIterable {
        case beforeTheLockAgrees, beforeItHears, beforeTheKeyIsKept
    }

    @Test(arguments: Crash.allCases)
    func `a crash leaves one of both keys, and the node comes back by it`(crash: Crash) throws {
        let network = try network()
        let change = try network.planRenewal(of: 3)
        if crash == .beforeTheKeyIsKept {
            network.agree(on: change, toldTo: [0, 1])
            network.run(for: .seconds(3))
        }
        network.kill(3)
        if crash == .beforeItHears { network.agree(on: change, toldTo: [0, 1]) }
        network.run(for: .seconds(20))
        try network.start(3)
        network.tellVoters([0, 1])
        network.run(for: .seconds(60)) { network.allSee(0..<5) }
        #expect(network.allSee(0..<5))
        #expect(
            network.machines[3].membership?.keySerial == (crash == .beforeTheLockAgrees ? 0 : 1))
        #expect(network.machines[3].notes.keysRenewed > 0 || crash == .beforeTheLockAgrees)
    }

    @Test func `when a thief was first, the owner hears of it and stops`() throws {
        let network = try network()
        let owner = network.machines[3].key
        let mine = try network.planRenewal(of: 3)
        // The thief has the old key, and another new one.
        let ring = try #require(network.machines[3].membership?.ring)
        var theirs = Succession(
            node: owner.id, serial: 1,
            newKey: NodeKey(seed: [UInt8](repeating: 77, count: 32), scheme: network.scheme)
                .publicKey.bytes, spared: [network.id(4)])
        theirs.signature = owner.sign(theirs.statement(in: ring.cluster))
        network.agree(on: .succession(theirs), toldTo: [0, 1])
        network.run(for: .seconds(5))
        #expect(network.machines[3].notes.isSuperseded)
        let sent = network.machines[3].packetsSent
        network.run(for: .seconds(30))
        #expect(network.machines[3].packetsSent == sent)
        #expect(mine != .succession(theirs))
    }

    @Test func `a voter can't renew another node's key without that one's signature`() throws {
        let network = try network()
        var forged = Succession(
            node: network.id(3), serial: 1, newKey: network.machines[1].key.publicKey.bytes,
            spared: [])
        forged.signature = network.machines[1].key.sign(
            forged.statement(in: try #require(network.machines[0].membership?.clusterID)))
        network.agree(on: .succession(forged), toldTo: [0, 1])
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<5))
        #expect(
            network.machines[2].membership?.ring?[network.id(3)]
                == network.machines[3].key.publicKey)
    }

    @Test(arguments: [(1, 2), (Succession.sparedMax, 1)])
    func `a member shows the newest amendments that have room, and the largest has`(
        sparedCount: Int, shownCount: Int
    ) throws {
        let network = try network()
        let node = network.id(3)
        var membership = try #require(network.machines[3].membership)
        for serial in 1...2 as ClosedRange<UInt32> {
            var succession = Succession(
                node: node, serial: serial,
                newKey: [UInt8](repeating: UInt8(serial), count: Succession.keySizeBytes),
                spared: (0..<sparedCount).map { NodeID(Wide128(high: 2, low: UInt64($0))) })
            succession.signature = [UInt8](repeating: 2, count: Succession.signatureSizeBytes)
            var certificate = AmendmentCertificate(
                amendment: Amendment(
                    mark: FencingToken(generation: 1, index: 1_000 + UInt64(serial)),
                    change: .succession(succession)), signer: network.id(0))
            certificate.signature = [UInt8](repeating: 3, count: Signature.sizeBytes)
            _ = membership.ring?.amend(certificate)
        }
        let message = try #require(membership.introduction(about: node))
        #expect(
            message.encoded.count + Envelope.overheadSizeBytes
                <= GossipMessage.introductionSizeBytesMax)
        guard case .introduction(_, let shown) = message else { throw CodecError.malformed }
        let marks: [UInt64?] = shown.map { rumour in
            guard case .amendment(let certificate) = rumour else { return nil }
            return certificate.amendment.mark.index
        }
        #expect(marks == [1_001, 1_002].suffix(shownCount))
    }

    @Test(arguments: [0, 1])
    func `a succession names as many as its bound, and no more`(excess: UInt64) {
        let spared = (1...UInt64(Succession.sparedMax) + excess).map {
            NodeID(Wide128(high: 2, low: $0))
        }
        var succession = Succession(
            node: spared[0], serial: 1,
            newKey: [UInt8](repeating: 1, count: Succession.keySizeBytes), spared: spared)
        succession.signature = [UInt8](repeating: 2, count: Succession.signatureSizeBytes)
        #expect(((try? Succession(decoding: succession.encoded)) == nil) == (excess == 1))
    }
}

extension VirtualNetwork {
    /// A machine draws a new key, and plans to speak under it.
    func planRenewal(of number: Int) throws -> Amendment.Change {
        let serial = UInt8(truncatingIfNeeded: machines[number].membership?.keySerial ?? 0)
        var seed = [UInt8](repeating: 40 + serial, count: NodeKey.seedSizeBytes)
        seed[0] = UInt8(number)
        let next = NodeKey(seed: seed, scheme: scheme)
        machines[number].nextKey = next
        guard let succession = machines[number].membership?.planSuccession(to: next) else {
            throw CodecError.malformed
        }
        return .succession(succession)
    }

    /// The lock has agreed, and these voters' logs say so.
    func agree(on change: Amendment.Change, toldTo voters: [Int]) {
        let amendment = Amendment(
            mark: FencingToken(
                generation: 1, index: UInt64(now.nanoseconds / 1_000_000)), change: change)
        for voter in voters { tell(voter, .amend(amendment)) }
    }

    /// A machine's key is renewed, and its files are as a daemon would have them.
    func renew(_ number: Int) throws {
        let change = try planRenewal(of: number)
        agree(on: change, toldTo: [0, 1])
        run(for: .seconds(2))
        guard let next = machines[number].nextKey, machines[number].notes.keysRenewed > 0 else {
            return
        }
        machines[number].key = next.owned(by: machines[number].key.id)
        machines[number].nextKey = nil
    }
}
