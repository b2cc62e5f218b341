import Model
import Testing

@testable import Gossip

@Suite struct KeyRingTests {
    private let scheme = CheapSignatures()

    private func key(_ number: Int) -> NodeKey {
        var seed = [UInt8](repeating: 9, count: NodeKey.seedSizeBytes)
        for byte in 0..<4 { seed[byte] = UInt8(truncatingIfNeeded: number >> (8 * byte)) }
        return NodeKey(seed: seed, scheme: scheme)
    }

    private var genesis: Genesis { Genesis(founder: key(0).publicKey, nonce: 1) }

    private func admission(
        of number: Int, by admitter: Int, invitedBy inviter: Int, cluster: ClusterID? = nil
    ) -> Admission {
        let cluster = cluster ?? genesis.clusterID
        let token = JoinToken(
            cluster: cluster, inviter: key(inviter), seed: [UInt8](repeating: 5, count: 32),
            expiry: WallTime(milliseconds: 1), scheme: scheme)
        let nodeKey = key(number).publicKey
        var admission = Admission(
            nodeKey: nodeKey, invitation: token.invitation,
            tokenSignature: scheme.sign(
                Admission.tokenStatement(nodeKey: nodeKey, cluster: cluster),
                secret: scheme.keyPair(seed: token.seed).secret),
            admitter: key(admitter).id)
        admission.signature = key(admitter).sign(admission.statement)
        return admission
    }

    @Test func `a chain counts in whatever order it arrives`() {
        // 0 invites 1, 1 invites 2 whom 0 admits, 2 invites 3, and so on.
        let chain = (1...40).map { admission(of: $0, by: $0 - 1, invitedBy: max($0 - 2, 0)) }
        var random = SeededGenerator(seed: 3)
        for order in [chain, chain.reversed(), chain.shuffled(using: &random)] {
            var ring = KeyRing(genesis: genesis, scheme: scheme)
            let (added, isForged) = ring.add(contentsOf: order)
            #expect(added == chain && !isForged)
            #expect(ring.admissions == chain)
            #expect(ring[key(40).id] == key(40).publicKey)
            #expect(ring.chain(of: key(10).id) == Array(chain.prefix(10)))
        }
    }

    @Test func `a chain with a gap ends at the gap`() {
        var ring = KeyRing(genesis: genesis, scheme: scheme)
        let list = [1, 2, 4, 5].map { admission(of: $0, by: $0 - 1, invitedBy: 0) }
        #expect(ring.add(contentsOf: list).added.count == 2)
        #expect(ring.add(list[2]) == .orphan)
        #expect(ring.add(list[0]) == .known)
        #expect(ring.chain(of: key(5).id).isEmpty)
    }

    private enum Damage: CaseIterable {
        case admitter, token, invitation, cluster, key
    }

    @Test(arguments: Damage.allCases.indices)
    func `a damaged admission certifies nobody`(index: Int) {
        var ring = KeyRing(genesis: genesis, scheme: scheme)
        var damaged = admission(of: 1, by: 0, invitedBy: 0)
        switch Damage.allCases[index] {
        case .admitter: damaged.signature[0] ^= 1
        case .token: damaged.tokenSignature[0] ^= 1
        case .invitation: damaged.invitation.expiry = WallTime(milliseconds: .max)
        case .cluster:
            let other = Genesis(founder: key(0).publicKey, nonce: 2).clusterID
            damaged = admission(of: 1, by: 0, invitedBy: 0, cluster: other)
        case .key: damaged.nodeKey = key(2).publicKey
        }
        #expect(ring.add(damaged) == .forged)
        #expect(ring.add(contentsOf: [damaged]).isForged)
        #expect(ring[key(1).id] == nil && ring[key(2).id] == nil)
    }

    @Test func `members are admitted up to the bound, and not one more`() {
        var ring = KeyRing(genesis: genesis, scheme: scheme)
        for number in 1..<KeyRing.membersMax {
            guard ring.add(admission(of: number, by: 0, invitedBy: 0)) == .added else {
                Issue.record("\(number) must find room")
                return
            }
        }
        #expect(ring.isFull)
        #expect(ring.add(admission(of: KeyRing.membersMax, by: 0, invitedBy: 0)) == .full)
        #expect(ring[key(KeyRing.membersMax).id] == nil)
    }
}

@Suite struct TokenTests {
    @Test func `a token's secret follows from the key, not from draws that others see`() throws {
        // Two nodes with one generator seed, as if an eavesdropper had computed its state.
        func seed(of number: Int) throws -> [UInt8] {
            let key = NodeKey(seed: [UInt8](repeating: UInt8(number), count: 32))
            var membership = try Membership(
                key: key, bootID: BootID(1), scheme: Ed25519(),
                configuration: GossipConfiguration(profile: .lan),
                metadata: VirtualNetwork.metadata(1), advertise: VirtualNetwork.address(1),
                genesis: Genesis(founder: key.publicKey, nonce: 1), restored: DurableImage(),
                seed: 42, wallTime: WallTime(milliseconds: 0), at: .zero)
            return try membership.issueToken(lifetime: .seconds(1), at: .zero).token.seed
        }
        #expect(try seed(of: 1) != seed(of: 2))
        #expect(try seed(of: 1) == seed(of: 1))
    }

    @Test func `no two tokens are alike, not even of two lives`() throws {
        let network = VirtualNetwork(seed: 1, count: 1)
        try network.found()
        var seeds: Set<[UInt8]> = []
        for _ in 0..<3 {
            seeds.insert(try network.token().seed)
            seeds.insert(try network.token().seed)
            network.kill(0)
            try network.start(0)
        }
        #expect(seeds.count == 6)
    }

    @Test func `a token's secret never travels`() throws {
        let network = VirtualNetwork(seed: 2, count: 2)
        try network.found()
        network.recorded = []
        let token = try network.token()
        try network.join(1, by: token)
        network.run(for: .seconds(5))
        #expect(network.allSee(0..<2))
        let secret = token.seed
        for packet in network.recorded ?? [] {
            let positions = packet.bytes.indices.filter { packet.bytes[$0] == secret[0] }
            for start in positions {
                #expect(!packet.bytes[start...].starts(with: secret))
            }
        }
    }

    @Test(arguments: [
        "", "mgp1-", "mgp1", "mgp2-aaaa", "mgp1-!!!", "mgp1-aaaaaaaa", "mgp1-1111",
        "MGP1-aaaaaaaaaaaaaaaa", String(repeating: "a", count: 10_000),
        "mgp1-" + String(repeating: "a", count: 600),
    ])
    func `what is no token is refused`(text: String) {
        #expect(JoinToken(text) == nil)
    }

    @Test func `random text is no token`() {
        var random = SeededGenerator(seed: 5)
        let digits = Array("abcdefghijklmnopqrstuvwxyz234567")
        for _ in 0..<2_000 {
            let count = Int(random.next() % 400)
            let text = (0..<count).map { _ in digits[Int(random.next() % 32)] }
            #expect(JoinToken("mgp1-" + String(text)) == nil)
        }
    }
}
