import Model
import Testing

@testable import Gossip

/// What many memberships do together, over seeded networks.
@Suite struct BehaviourTests {
    // MARK: Joining

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `twenty nodes that join at once are complete within a second`(seed: UInt64) throws {
        let network = VirtualNetwork(seed: seed, count: 20)
        try network.found()
        network.run(for: .seconds(3))
        let token = try network.token()
        for number in 1..<20 { try network.join(number, by: token) }
        let taken = network.run(for: .seconds(30)) { network.allSee(0..<20) }
        #expect(taken < .seconds(1))
        #expect(network.machines.dropFirst().allSatisfy { $0.notes.joinedAt != nil })
    }

    @Test func `any member lets others in, and any seed that lives will do`() throws {
        let network = VirtualNetwork(seed: 5, count: 5)
        try network.found()
        try network.join(1, by: network.token())
        network.run(for: .seconds(2))
        // The founder invites, the other one admits; the first seed does not exist.
        try network.join(2, by: network.token(), seeds: [4, 1])
        network.run(for: .seconds(8))
        try network.join(3, by: network.token(from: 2), seeds: [2])
        network.run(for: .seconds(8))
        #expect(network.allSee(0..<4))
    }

    @Test func `a lost join request is said again`() throws {
        let network = VirtualNetwork(seed: 6, count: 2)
        try network.found()
        network.isOpen = { _, _, _ in false }
        try network.join(1, by: network.token())
        network.run(for: .seconds(3))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<2))
    }

    @Test func `an unreachable seed ends in an answer after bounded tries`() throws {
        let network = VirtualNetwork(seed: 7, count: 2)
        try network.found()
        let token = try network.token()
        network.kill(0)
        try network.join(1, by: token)
        let before = network.machines[1].packetsSent
        network.run(for: .seconds(60))
        #expect(network.machines[1].notes.isUnreachable)
        let asked = network.machines[1].packetsSent - before
        #expect(asked < GossipConfiguration(profile: .lan).joinAttemptsMax + 1)
        #expect(network.machines[1].membership?.nextDeadline == nil)
    }

    @Test func `refusals say why`() throws {
        let network = VirtualNetwork(seed: 8, count: 4)
        try network.found()
        let brief = try network.token(lifetime: .seconds(1))
        network.run(for: .milliseconds(1_500))
        try network.join(1, by: brief)
        var forged = try network.token()
        forged.seed = [UInt8](repeating: 1, count: 32)
        try network.join(2, by: forged)
        let other = VirtualNetwork(seed: 9, count: 1)
        try other.found(nonce: 77)
        try network.join(3, by: other.token())
        network.run(for: .seconds(5))
        #expect(network.machines[1].notes.refusal == .expiredToken)
        #expect(network.machines[2].notes.refusal == .badToken)
        #expect(network.machines[3].notes.refusal == .wrongCluster)
        #expect(network.machines.dropFirst().allSatisfy { $0.membership?.isMember == false })
        #expect(network.machines[0].membership?.members.count == 1)
    }

    /// Found by a soak: the news of an admission was lost, and who had let that node in was gone.
    @Test(arguments: [Duration.seconds(1), .seconds(120)])
    func `a newcomer shows by itself who let it in, when nobody else is left to`(
        silence: Duration
    ) throws {
        let network = VirtualNetwork(seed: 31, count: 4)
        try network.found()
        for number in 1...2 { try network.join(number, by: network.token()) }
        network.run(for: .seconds(20))
        // 0 and 3 hear each other, and so do 1 and 2.
        network.isOpen = { from, to, _ in from + to == 3 }
        try network.join(3, by: network.token())
        network.run(for: silence)
        #expect(network.machines[3].notes.joinedAt != nil)
        #expect(network.state(of: 3, at: 1) == nil)
        network.kill(0)
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(300)) { network.allSee(1...3) }
        #expect(network.allSee(1...3))
    }

    @Test func `a newcomer shows its nearest ancestors, and no more than have room`() throws {
        let network = VirtualNetwork(seed: 32, count: 61)
        try network.found()
        for number in 1..<61 {
            let inviter = number - 1
            try network.join(number, by: network.token(from: inviter), seeds: [inviter])
            network.run(for: .milliseconds(20))
        }
        let membership = try #require(network.machines[60].membership)
        let all = try #require(membership.ring?.chain(of: membership.id))
        #expect(all.count == 60)
        guard
            case .introduction(_, let shown) = membership.introduction(
                about: membership.id, withAdmissions: true)
        else { throw CodecError.malformed }
        let admissions = shown.compactMap { rumour in
            if case .admission(let admission) = rumour { admission } else { nil }
        }
        #expect(admissions.map(\.nodeKey.id) == all.suffix(admissions.count).map(\.nodeKey.id))
        #expect(admissions.count == GossipMessage.admissionsShownMax)
        #expect(shown.count == admissions.count + 1)
    }

    @Test func `so many admissions are read in an introduction, and not one more`() throws {
        let network = VirtualNetwork(seed: 34, count: 3)
        try network.form()
        let boot = try #require(network.machines[1].membership?.boot)
        let admission = try #require(network.machines[1].membership?.ring?.admissions.first)
        for excess in 0...1 {
            let shown = [Rumour](
                repeating: .admission(admission),
                count: GossipMessage.admissionsShownMax + excess)
            network.speak(
                as: 1, boot: boot, to: 0,
                .introduction(key: network.machines[1].key.publicKey, shown), via: .stream)
            #expect(network.machines[0].notes.dropped["malformed"] ?? 0 == excess)
        }
    }

    @Test func `an introduction costs a signature or two beyond those that are true`() throws {
        let scheme = CountingSignatures()
        let network = VirtualNetwork(seed: 35, count: 3, scheme: scheme)
        try network.form()
        let genuine = try #require(network.machines[1].membership?.ring?.admissions.first)
        let stranger = NodeKey(seed: [UInt8](repeating: 8, count: 32), scheme: scheme)
        let forged = (0..<GossipMessage.admissionsShownMax).map { number in
            var admission = genuine
            admission.nodeKey =
                NodeKey(
                    seed: [UInt8](repeating: UInt8(100 + number), count: 32), scheme: scheme
                ).publicKey
            return Rumour.admission(admission)
        }
        let payload = GossipMessage.introduction(key: stranger.publicKey, forged).encoded
        let bytes = network.packet(
            payload, by: stranger, boot: BootID(7), counter: 1, to: 0, via: .stream)
        let before = scheme.verified
        network.tell(
            0, .received(bytes, from: VirtualNetwork.address(2), via: .stream))
        // The envelope, the invitation and the token.
        #expect(scheme.verified - before == 3)
        #expect(network.machines[0].notes.dropped["forged statement"] == 1)
    }

    @Test func `who introduces itself speaks of nobody else`() throws {
        let network = VirtualNetwork(seed: 33, count: 3)
        try network.form()
        let rumour = network.accusation(of: 2, incarnation: 1, by: 1)
        let introduction = GossipMessage.introduction(
            key: network.machines[1].key.publicKey, [rumour])
        let boot = try #require(network.machines[1].membership?.boot)
        network.speak(as: 1, boot: boot, to: 0, introduction, via: .stream)
        network.run(for: .milliseconds(50))
        #expect(network.machines[0].notes.dropped["malformed"] == 1)
        #expect(network.state(of: 2, at: 0) == .alive)
    }

    @Test func `so many strangers are answered in a second, and not one more`() throws {
        let max = GossipConfiguration.strangersPerSecondMax
        let network = VirtualNetwork(seed: 10, count: 2)
        try network.found()
        let token = try network.token(lifetime: .seconds(-1))
        network.recorded = []
        try network.join(1, by: token)
        let request = try #require(network.recorded?.first)
        let source = VirtualNetwork.address(request.from)
        for _ in 0...max {
            network.tell(0, .received(request.bytes, from: source, via: .stream))
        }
        #expect(network.machines[0].notes.dropped["join refused"] == max)
        #expect(network.machines[0].notes.dropped["busy"] == 1)
    }

    // MARK: Failing

    @Test(arguments: [3, 5, 20])
    func `a kill is seen by all in seconds, and nobody else is blamed`(count: Int) throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let network = VirtualNetwork(seed: seed, count: count)
            try network.form()
            let begin = network.now
            network.kill(count - 1)
            let rest = 0..<(count - 1)
            let taken = network.run(for: .seconds(60)) {
                rest.allSatisfy { network.state(of: count - 1, at: $0) == .dead }
            }
            #expect(taken < .seconds(15))
            #expect(network.deaths(of: rest, seenBy: rest, since: begin) == 0)
        }
    }

    @Test func `the local profile sees a kill in two seconds`() throws {
        let network = VirtualNetwork(seed: 1, count: 3, profile: .local)
        try network.form()
        network.kill(2)
        let taken = network.run(for: .seconds(20)) {
            (0..<2).allSatisfy { network.state(of: 2, at: $0) == .dead }
        }
        #expect(taken < .seconds(2))
    }

    @Test func `half of the cluster dies at once, and the other half knows all of it`() throws {
        let network = VirtualNetwork(seed: 2, count: 12)
        try network.form()
        let begin = network.now
        for number in 6..<12 { network.kill(number) }
        network.run(for: .seconds(60)) { network.allSee(0..<6) }
        #expect(network.allSee(0..<6))
        #expect(network.deaths(of: 0..<6, seenBy: 0..<6, since: begin) == 0)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `loss, repetition and reordering make no false failure`(seed: UInt64) throws {
        let network = VirtualNetwork(seed: seed, count: 12)
        network.delayMax = .milliseconds(40)
        network.duplication = 0.1
        try network.form()
        network.datagramLoss = 0.1
        let begin = network.now
        network.run(for: .seconds(300))
        #expect(network.deaths(of: 0..<12, seenBy: 0..<12, since: begin) == 0)
        #expect(network.allSee(0..<12))
    }

    @Test func `where datagrams do not pass, streams keep members alive`() throws {
        let network = VirtualNetwork(seed: 4, count: 6)
        try network.form()
        network.isOpen = { _, _, channel in channel == .stream }
        let begin = network.now
        network.run(for: .seconds(120))
        #expect(network.deaths(of: 0..<6, seenBy: 0..<6, since: begin) == 0)
    }

    @Test func `two nodes that can't reach each other do so through the others`() throws {
        let network = VirtualNetwork(seed: 5, count: 6)
        try network.form()
        network.isOpen = { from, to, _ in Set([from, to]) != [1, 2] }
        let begin = network.now
        network.run(for: .seconds(300))
        #expect(network.deaths(of: 0..<6, seenBy: 0..<6, since: begin) == 0)
        #expect(network.allSee(0..<6))
    }

    @Test(arguments: [3, 5, 40])
    func `a frozen node blames nobody when it wakes, and is back soon`(seconds: Int) throws {
        let network = VirtualNetwork(seed: 6, count: 10)
        try network.form()
        let begin = network.now
        network.freeze(4)
        network.run(for: .seconds(seconds))
        network.thaw(4)
        network.run(for: .seconds(20)) { network.allSee(0..<10) }
        #expect(network.allSee(0..<10))
        #expect(network.deaths(of: 0..<10, seenBy: [4], since: begin) == 0)
        if seconds <= 3 {
            #expect(network.deaths(of: [4], seenBy: 0..<10, since: begin) == 0)
        }
    }

    @Test(arguments: [60, 3_600])
    func `a split is noticed and heals, however long it lasts`(seconds: Int) throws {
        let network = VirtualNetwork(seed: 7, count: 10)
        try network.form()
        network.isOpen = { from, to, _ in (from < 5) == (to < 5) }
        let begin = network.now
        network.run(for: .seconds(seconds))
        #expect(network.allSee(0..<5) && network.allSee(5..<10))
        #expect(network.deaths(of: 0..<5, seenBy: 0..<5, since: begin) == 0)
        network.isOpen = { _, _, _ in true }
        let taken = network.run(for: .seconds(60)) { network.allSee(0..<10) }
        #expect(taken < .seconds(10))
    }

    @Test func `what was missed in a split is learned when it heals`() throws {
        let network = VirtualNetwork(seed: 8, count: 8)
        try network.form()
        network.isOpen = { from, to, _ in (from < 4) == (to < 4) }
        network.run(for: .seconds(60))
        network.tell(1, .leave)
        network.run(for: .seconds(5))
        network.kill(1)
        network.run(for: .seconds(60))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(30))
        let rest = [0, 2, 3, 4, 5, 6, 7]
        #expect(network.allSee(rest))
        for number in rest { #expect(network.state(of: 1, at: number) == .left) }
    }

    // MARK: Leaving and coming back

    @Test func `who leaves is never seen as failed, not even by nodes that restart later`() throws {
        let network = VirtualNetwork(seed: 9, count: 6)
        try network.form()
        let begin = network.now
        network.tell(5, .leave)
        network.run(for: .seconds(2))
        #expect(network.machines[5].notes.hasLeft)
        network.kill(5)
        network.run(for: .seconds(60))
        network.kill(2)
        try network.start(2)
        #expect(network.state(of: 5, at: 2) == .left)
        network.run(for: .seconds(60))
        for number in 0..<5 { #expect(network.state(of: 5, at: number) == .left) }
        #expect(network.deaths(of: [5], seenBy: 0..<5, since: begin) == 0)
        // It may come back.
        try network.start(5)
        network.run(for: .seconds(10)) { network.allSee(0..<6) }
        #expect(network.allSee(0..<6))
    }

    @Test func `an older word does not call back who has left`() throws {
        let network = VirtualNetwork(seed: 10, count: 3)
        try network.form()
        let view = try #require(network.machines[1].membership?.viewPages(beginningWith: []))
        let boot = try #require(network.machines[1].membership?.boot)
        network.kill(1)
        network.tell(2, .leave)
        network.run(for: .seconds(2))
        network.kill(2)
        #expect(network.state(of: 2, at: 0) == .left)
        network.speak(as: 1, boot: boot, to: 0, .exchange(view[0], wantsReply: false), via: .stream)
        #expect(network.state(of: 2, at: 0) == .left)
    }

    @Test func `a restart is seen at once, and what the node sees then is as quick as before`()
        throws
    {
        let network = VirtualNetwork(seed: 11, count: 10)
        try network.form()
        network.kill(4)
        network.run(for: .seconds(1))
        try network.start(4)
        let back = network.run(for: .seconds(30)) { network.allSee(0..<10) }
        #expect(back < .seconds(1))
        network.run(for: .seconds(20))
        network.kill(7)
        let taken = network.run(for: .seconds(90)) { network.state(of: 7, at: 4) == .dead }
        #expect(taken < .seconds(12))
    }

    @Test func `a restart without its rows outdoes what the node said before`() throws {
        let network = VirtualNetwork(seed: 12, count: 4)
        try network.form()
        for label in 0..<5 {
            var metadata = VirtualNetwork.metadata(2)
            metadata.labels = ["n=\(label)"]
            network.tell(2, .updateMetadata(metadata))
        }
        network.run(for: .seconds(5))
        network.kill(2)
        // The disk is as it was when the node was new: its own count is long outdated.
        let own = network.id(2).value.bytes
        for key in (network.machines[2].disk[.membership] ?? [:]).keys where key == [2] + own {
            network.machines[2].disk[.membership]?[key] = nil
        }
        try network.start(2)
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<4))
        for number in 0..<4 {
            let member = network.machines[number].membership?.member(network.id(2))
            #expect(member?.metadata.labels == [])
            #expect(member?.bootID == network.machines[2].membership?.boot)
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `all restart at once, and nobody takes anybody for dead`(seed: UInt64) throws {
        let network = VirtualNetwork(seed: seed, count: 20)
        try network.form()
        for number in 0..<20 { network.kill(number) }
        network.run(for: .seconds(5))
        let begin = network.now
        for number in 0..<20 { try network.start(number) }
        let taken = network.run(for: .seconds(30)) { network.allSee(0..<20) }
        #expect(taken < .seconds(2))
        network.run(for: .seconds(30))
        #expect(network.deaths(of: 0..<20, seenBy: 0..<20, since: begin) == 0)
    }

    @Test func `the own row is on disk before the first word, so that counts never repeat`() throws
    {
        let network = VirtualNetwork(seed: 13, count: 2)
        try network.form()
        var incarnations: [UInt64] = []
        for _ in 0..<3 {
            network.kill(1)
            try network.start(1)
            incarnations.append(network.machines[1].membership?.own.incarnation ?? 0)
        }
        #expect(incarnations == incarnations.sorted() && Set(incarnations).count == 3)
    }

    // MARK: Quiet

    @Test func `an idle cluster is quiet`() throws {
        let network = VirtualNetwork(seed: 14, count: 20)
        try network.form()
        network.run(for: .seconds(30))
        let before = network.machines.reduce(0) { $0 + $1.packetsSent }
        network.run(for: .seconds(100))
        let packets = network.machines.reduce(0) { $0 + $1.packetsSent } - before
        #expect(Double(packets) / (20 * 100) <= 2.4)
        for machine in network.machines {
            #expect(machine.membership?.rumours.isEmpty == true)
            #expect(machine.membership?.fingerprint == network.machines[0].membership?.fingerprint)
        }
    }

    @Test func `the same seed gives the same run`() throws {
        func run() throws -> [Int] {
            let network = VirtualNetwork(seed: 15, count: 8)
            network.recorded = []
            try network.form(settling: .seconds(5))
            network.datagramLoss = 0.2
            network.kill(3)
            network.run(for: .seconds(20))
            return (network.recorded ?? []).map { $0.bytes.reduce($0.to) { $0 &* 31 &+ Int($1) } }
        }
        let first = try run()
        let second = try run()
        #expect(!first.isEmpty)
        #expect(first == second)
    }

    @Test func `views larger than a frame travel in pages, ancestors first`() throws {
        let network = VirtualNetwork(seed: 16, count: 3)
        try network.form()
        guard var membership = network.machines[0].membership, let ring = membership.ring else {
            return
        }
        // Many members that only exist as certified statements.
        var admitted: [Admission] = []
        for number in 0..<4_000 {
            var seed = [UInt8](repeating: 77, count: 32)
            seed[0] = UInt8(number % 256)
            seed[1] = UInt8(number / 256)
            let key = NodeKey(seed: seed, scheme: network.scheme)
            let token = JoinToken(
                cluster: ring.cluster, inviter: network.machines[0].key, seed: seed,
                expiry: network.wallTime, scheme: network.scheme)
            var admission = Admission(
                nodeKey: key.publicKey, invitation: token.invitation,
                tokenSignature: network.scheme.sign(
                    Admission.tokenStatement(nodeKey: key.publicKey, cluster: ring.cluster),
                    secret: network.scheme.keyPair(seed: seed).secret),
                admitter: network.id(0))
            admission.signature = network.machines[0].key.sign(admission.statement)
            admitted.append(admission)
        }
        _ = membership.ring?.add(contentsOf: admitted)
        let pages = membership.viewPages(beginningWith: [])
        #expect(pages.count > 1)
        var copy = KeyRing(genesis: ring.genesis, scheme: network.scheme)
        for page in pages {
            let size = page.reduce(0) { $0 + $1.encoded.count }
            #expect(size <= GossipConfiguration.viewPageSizeBytesMax)
            let admissions = page.compactMap { rumour in
                if case .admission(let admission) = rumour { admission } else { nil }
            }
            #expect(copy.add(contentsOf: admissions).added.count == admissions.count)
        }
        #expect(copy.admissions.count == 4_002)
    }
}
