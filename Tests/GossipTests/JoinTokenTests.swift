import Model
import Testing

@testable import Gossip

/// Tokens are counted and taken back where they were made, and nowhere else.
@Suite struct JoinTokenTests {
    /// A cluster of machines 0, 1 and 2; the others are outside.
    private func network(of count: Int, seed: UInt64 = 1) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: count)
        try network.found()
        for number in 1..<3 { try network.join(number, by: network.token()) }
        network.run(for: .seconds(10))
        return network
    }

    private func isMember(_ number: Int, _ network: VirtualNetwork) -> Bool {
        network.machines[number].membership?.isMember == true
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a token for two lets two of four in, whichever seeds they ask at once`(
        seed: UInt64
    ) throws {
        let network = try network(of: 7, seed: seed)
        let token = try network.token(from: 1, uses: 2)
        for number in 3..<7 { try network.join(number, by: token, seeds: [number % 3]) }
        network.run(for: .seconds(30))
        #expect((3..<7).count { isMember($0, network) } == 2)
        #expect((3..<7).count { network.machines[$0].notes.refusal == .usedToken } == 2)
        let status = try #require(
            network.machines[1].membership?.tokenStatuses(at: network.now).last)
        #expect(status.uses == 2)
    }

    @Test func `any seed lets nodes in by any member's token, by way of that member`() throws {
        let network = try network(of: 4)
        network.recorded = []
        try network.join(3, by: network.token(from: 2), seeds: [1])
        network.run(for: .seconds(5)) { isMember(3, network) }
        #expect(isMember(3, network))
        let chain = network.machines[3].membership?.ring?.chain(of: network.id(3))
        #expect(chain?.last?.admitter == network.id(2))
        network.run(for: .seconds(10))
        #expect(network.allSee(0..<4))
    }

    @Test
    func `a node whose inviter is out of reach is not let in, and is told whose silence that is`()
        throws
    {
        let network = try network(of: 4)
        let token = try network.token(from: 2)
        network.isOpen = { from, to, _ in from != 2 && to != 2 }
        try network.join(3, by: token, seeds: [0, 1])
        network.run(for: .seconds(60))
        #expect(!isMember(3, network))
        #expect(network.machines[3].notes.refusal == .inviterAsked)
        // The token is as good as before.
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(20))
        try network.join(3, by: token, seeds: [0, 1])
        network.run(for: .seconds(10)) { isMember(3, network) }
        #expect(isMember(3, network))
    }

    @Test func `a token that was taken back lets nobody in, also after its maker's restart`() throws
    {
        let network = try network(of: 6)
        let token = try network.token(from: 1)
        try network.join(3, by: token, seeds: [1])
        network.run(for: .seconds(5))
        #expect(isMember(3, network))
        try network.revoke(token, on: 1)
        try network.join(4, by: token, seeds: [0])
        network.run(for: .seconds(5))
        #expect(network.machines[4].notes.refusal == .revokedToken)
        network.kill(1)
        try network.start(1)
        network.run(for: .seconds(20))
        try network.join(5, by: token, seeds: [1])
        network.run(for: .seconds(5))
        #expect(network.machines[5].notes.refusal == .revokedToken)
        #expect(network.allSee([0, 1, 2, 3]))
    }

    @Test func `uses are remembered over a restart, and by the others when the disk is lost`()
        throws
    {
        let network = try network(of: 6)
        let token = try network.token(from: 1, uses: 1)
        try network.join(3, by: token, seeds: [1])
        network.run(for: .seconds(10))
        network.kill(1)
        // What the disk knew of the admission is gone; the token itself it still knows.
        let row = network.id(3).value.bytes
        network.machines[1].disk[.membership]?[[1] + row] = nil
        try network.start(1)
        network.run(for: .seconds(60)) { network.allSee(0..<4) }
        try network.join(4, by: token, seeds: [1])
        network.run(for: .seconds(5))
        #expect(network.machines[4].notes.refusal == .usedToken)
    }

    @Test func `a node that asks again is let in by its first use`() throws {
        let network = try network(of: 4)
        let token = try network.token(from: 1, uses: 1)
        // The answers get lost.
        network.isOpen = { _, to, _ in to != 3 }
        try network.join(3, by: token, seeds: [0, 1])
        network.run(for: .seconds(3))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(10)) { isMember(3, network) }
        #expect(isMember(3, network))
    }

    @Test func `a maker that knows nothing of a token lets nobody in by it`() throws {
        let network = try network(of: 4)
        let token = try network.token(from: 1)
        network.kill(1)
        let rows = network.machines[1].disk[.membership] ?? [:]
        network.machines[1].disk[.membership] = rows.filter { $0.key.first != 4 }
        try network.start(1)
        network.run(for: .seconds(20))
        try network.join(3, by: token, seeds: [1])
        network.run(for: .seconds(5))
        #expect(network.machines[3].notes.refusal == .badToken)
    }

    // MARK: Bounds

    @Test func `so many tokens are kept, and not one more, until some expire`() throws {
        let network = try network(of: 3)
        var membership = try #require(network.machines[1].membership)
        for _ in 0..<TokenBook.tokensMax {
            _ = try membership.issueToken(lifetime: .seconds(60), at: network.now)
        }
        #expect(throws: TokenFailure.tooMany) {
            try membership.issueToken(lifetime: .seconds(60), at: network.now)
        }
        let later = network.now + .seconds(60)
        let issued = try membership.issueToken(lifetime: .seconds(60), at: later)
        #expect(issued.rows.count == TokenBook.tokensMax + 1)
        #expect(membership.tokenStatuses(at: later).count == 1)
    }

    @Test func `a token is taken back by as much of its name as is its own`() throws {
        let network = try network(of: 3)
        var membership = try #require(network.machines[1].membership)
        var names: [String] = []
        for _ in 0..<17 {
            names.append(try membership.issueToken(lifetime: .seconds(60), at: network.now).name)
        }
        // Of seventeen, two begin with the same digit.
        let firsts = Dictionary(grouping: names) { $0.prefix(1) }
        let shared = try #require(firsts.values.first { $0.count > 1 }?.first)
        #expect(throws: TokenFailure.ambiguous) {
            try membership.revokeToken(String(shared.prefix(1)))
        }
        #expect(throws: TokenFailure.unknown) { try membership.revokeToken("") }
        #expect(throws: TokenFailure.unknown) { try membership.revokeToken(names[0] + "0") }
        #expect(membership.tokenStatuses(at: network.now).allSatisfy { !$0.record.isRevoked })
        _ = try membership.revokeToken(names[0])
        let revoked = membership.tokenStatuses(at: network.now).filter(\.record.isRevoked)
        #expect(revoked.map(\.record.name) == [names[0]])
    }

    @Test func `a request to join is passed on by who knows its secret alone`() throws {
        let network = try network(of: 4)
        var token = try network.token(from: 1)
        token.seed = [UInt8](repeating: 3, count: 32)
        network.recorded = []
        try network.join(3, by: token, seeds: [0])
        network.run(for: .seconds(5))
        #expect(network.machines[3].notes.refusal == .badToken)
        let passedOn = (network.recorded ?? []).filter { $0.from == 0 && $0.to == 1 }
            .contains {
                Envelope.payload(of: $0.bytes)?.first == GossipMessage.Kind.passedOn.rawValue
            }
        #expect(!passedOn)
    }

    @Test(arguments: [0, 1])
    func `a request of the largest size is passed on, and no larger one read`(excess: Int) {
        let size = GossipMessage.joinRequestSizeBytesMax + excess
        let message = GossipMessage.passedOn([UInt8](repeating: 1, count: size)[...])
        #expect(((try? GossipMessage(decoding: message.encoded)) == nil) == (excess == 1))
    }

    @Test func `a node with the largest description joins by way of another seed`() throws {
        let network = try network(of: 4)
        try network.join(3, by: network.token(from: 2), seeds: [1])
        var membership = try #require(network.machines[3].membership)
        let request = try #require(membership.joining)
        membership.own.metadata = [UInt8](repeating: 0, count: NodeMetadata.sizeBytesMax + 4)
        var sizes: [Int] = []
        membership.joining?.due = network.now
        membership.continueJoin { effect in
            if case .send(let bytes, _, _, _) = effect { sizes.append(bytes.count) }
        }
        #expect(request.asked == 1 && sizes.count == 1)
        #expect(sizes.allSatisfy { $0 <= GossipMessage.joinRequestSizeBytesMax })
    }

    @Test func `what a member passes on that is no request changes nothing`() throws {
        let network = try network(of: 4)
        let boot = try #require(network.machines[2].membership?.boot)
        network.freeze(2)
        for bytes in [[], [1, 2, 3], [UInt8](repeating: 9, count: 900)] as [[UInt8]] {
            network.speak(as: 2, boot: boot, to: 1, .passedOn(bytes[...]), via: .stream)
        }
        #expect(network.machines[1].notes.dropped["malformed"] == 3)
        #expect(network.machines[1].membership?.members.count == 3)
    }
}
