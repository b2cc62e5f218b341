import Model
import Testing

@testable import Gossip

@Suite struct MembershipTests {
    private func address(_ number: Int) -> PeerAddress { GossipBench.address(number) }
    private func id(_ number: Int) -> NodeID { GossipBench.key(number).id }

    @Test func `nodes that join by token see each other, and soon`() throws {
        let bench = GossipBench(seed: 1)
        try bench.form(8)
        #expect(bench.allSee(Array(1...8)))
        #expect(bench.joined.count == 7)
    }

    @Test func `a node that dies is found dead by all, and nobody else is`() throws {
        let bench = GossipBench(seed: 2)
        try bench.form(6)
        bench.seen = [:]
        bench.nodes[address(6)] = nil
        bench.run(for: .seconds(40)) { bench.allSee([1, 2, 3, 4, 5]) }
        #expect(bench.allSee([1, 2, 3, 4, 5]))
        for observer in 1...5 {
            for member in 1...5 {
                let states = bench.seen[address(observer)]?[id(member)] ?? []
                #expect(!states.contains(.dead))
            }
        }
    }

    @Test func `a node that leaves is never shown as failed`() throws {
        let bench = GossipBench(seed: 3)
        try bench.form(5)
        bench.seen = [:]
        bench.step(address(5), .leave)
        bench.run(for: .seconds(2))
        bench.nodes[address(5)] = nil
        bench.run(for: .seconds(30))
        for observer in 1...4 {
            #expect(bench.seen[address(observer)]?[id(5)] == [.left])
        }
    }

    @Test func `ten per cent of loss makes no false failure`() throws {
        let bench = GossipBench(seed: 4)
        try bench.form(8)
        bench.seen = [:]
        bench.loss = 0.1
        bench.run(for: .seconds(120))
        for (_, members) in bench.seen {
            for (_, states) in members { #expect(!states.contains(.dead)) }
        }
    }

    @Test func `a split cluster heals, however long the split lasts`() throws {
        let bench = GossipBench(seed: 5)
        try bench.form(6)
        let left = Set([1, 2, 3].map(address))
        bench.isOpen = { left.contains($0) == left.contains($1) }
        bench.run(for: .seconds(600))
        #expect(!bench.allSee(Array(1...6)))
        bench.isOpen = { _, _ in true }
        let before = bench.now
        bench.run(for: .seconds(30)) { bench.allSee(Array(1...6)) }
        #expect(bench.allSee(Array(1...6)))
        #expect(bench.now - before <= .seconds(10))
    }

    @Test func `a node that restarts is alive again at once, with its own key`() throws {
        let bench = GossipBench(seed: 6)
        try bench.form(5)
        bench.nodes[address(4)] = nil
        bench.run(for: .seconds(1))
        try bench.start(4)
        bench.run(for: .seconds(5)) { bench.allSee(Array(1...5)) }
        #expect(bench.allSee(Array(1...5)))
        #expect(bench.seen[address(1)]?[id(4)]?.contains(.dead) != true)
    }

    @Test func `a node that stood still blames nobody, and is found alive again`() throws {
        let bench = GossipBench(seed: 7)
        try bench.form(5)
        bench.seen = [:]
        let frozen = bench.nodes.removeValue(forKey: address(3))
        bench.run(for: .seconds(40))
        bench.nodes[address(3)] = frozen
        bench.run(for: .seconds(10)) { bench.allSee(Array(1...5)) }
        #expect(bench.allSee(Array(1...5)))
        for member in [1, 2, 4, 5] {
            #expect(bench.seen[address(3)]?[id(member)]?.contains(.dead) != true)
        }
    }

    // MARK: Joining

    @Test func `an expired token is refused, and so is one that nobody made`() throws {
        let bench = GossipBench(seed: 8)
        try bench.form(2)
        let expired = try bench.token(lifetime: .seconds(1))
        bench.run(for: .seconds(2))
        try bench.start(3)
        try bench.join(3, token: expired)
        bench.run(for: .seconds(3))
        #expect(bench.refusals[address(3)] == .expiredToken)
        var forged = try bench.token()
        forged.invitation.expiry = WallTime(milliseconds: .max / 2)
        try bench.start(4)
        try bench.join(4, token: forged)
        bench.run(for: .seconds(3))
        #expect(bench.refusals[address(4)] == .badToken)
    }

    @Test func `a token of another cluster is told to be that`() throws {
        let bench = GossipBench(seed: 9)
        try bench.form(1)
        let other = GossipBench(seed: 10)
        try other.start(1, genesis: Genesis(founder: GossipBench.key(1).publicKey, nonce: 77))
        let token = try other.token()
        try bench.start(3)
        try bench.join(3, token: token)
        bench.run(for: .seconds(3))
        #expect(bench.refusals[address(3)] == .wrongCluster)
    }

    @Test func `without an answer a join ends`() throws {
        let bench = GossipBench(seed: 11)
        try bench.form(1)
        let token = try bench.token()
        try bench.start(3)
        bench.isOpen = { _, _ in false }
        try bench.join(3, token: token)
        bench.run(for: .seconds(60))
        #expect(bench.unreachable == [address(3)])
    }

    @Test func `a token's text comes back, and no damage passes`() throws {
        let bench = GossipBench(seed: 12)
        try bench.form(1)
        let token = try bench.token()
        #expect(JoinToken(token.text) == token)
        #expect(JoinToken("  \(token.text)\n") == token)
        let text = Array(token.text)
        for position in 5..<text.count {
            var damaged = text
            damaged[position] = damaged[position] == "a" ? "b" : "a"
            if damaged[position] == text[position] { continue }
            #expect(JoinToken(String(damaged)) == nil)
        }
        #expect(JoinToken("") == nil)
        #expect(JoinToken("mgp1-") == nil)
    }

    // MARK: Forgery and replay

    @Test func `no flipped bit and no truncation changes anything`() throws {
        let bench = GossipBench(seed: 13)
        try bench.form(2)
        guard
            let packet = bench.sent.last(where: { $0.to == address(1) && $0.channel == .datagram })
        else {
            Issue.record("the nodes must have spoken")
            return
        }
        let before = bench.nodes[address(1)]?.members
        bench.delivered = []
        for position in packet.bytes.indices {
            var flipped = packet.bytes
            flipped[position] ^= 1 << UInt8(position % 8)
            bench.step(address(1), .received(flipped, from: packet.from, via: .datagram))
            bench.step(
                address(1),
                .received(
                    Array(packet.bytes.prefix(position)), from: packet.from, via: .datagram))
        }
        #expect(bench.nodes[address(1)]?.members == before)
        #expect(bench.delivered.isEmpty)
    }

    @Test func `a packet is taken once, and only by its receiver`() throws {
        let bench = GossipBench(seed: 14)
        try bench.form(3)
        bench.sent = []
        bench.step(address(2), .send(payload: [42], to: id(1), via: .datagram))
        guard let packet = bench.sent.first else {
            Issue.record("the payload must be sent")
            return
        }
        bench.packets = []
        bench.delivered = []
        for _ in 0..<3 {
            bench.step(address(1), .received(packet.bytes, from: packet.from, via: .datagram))
        }
        bench.step(address(3), .received(packet.bytes, from: packet.from, via: .datagram))
        #expect(bench.delivered.map(\.payload) == [[42]])
        #expect(bench.dropped["replay"] == 2)
        #expect(bench.dropped["bad signature"] == 1)
    }

    @Test func `a packet of an earlier life is inert`() throws {
        let bench = GossipBench(seed: 15)
        try bench.form(2)
        bench.sent = []
        bench.step(address(2), .send(payload: [1], to: id(1), via: .datagram))
        guard let old = bench.sent.first else {
            Issue.record("the payload must be sent")
            return
        }
        bench.packets = []
        try bench.start(2)
        bench.run(for: .seconds(5))
        bench.delivered = []
        bench.step(address(1), .received(old.bytes, from: old.from, via: .datagram))
        bench.run(for: .seconds(5))
        #expect(bench.delivered.isEmpty)
        #expect(bench.allSee([1, 2]))
    }

    @Test func `a stranger gets no answer`() throws {
        let bench = GossipBench(seed: 16)
        try bench.form(2)
        guard let cluster = bench.nodes[address(1)]?.clusterID else { return }
        let stranger = GossipBench.key(99)
        let bytes = Envelope.seal(
            GossipMessage.ping(number: 1, view: 0, []).encoded, by: stranger, boot: BootID(1),
            counter: 1,
            cluster: cluster, to: id(1), via: .datagram)
        bench.packets = []
        bench.sent = []
        bench.step(address(1), .received(bytes, from: address(99), via: .datagram))
        #expect(!bench.sent.contains { $0.to == address(99) })
        #expect(bench.dropped["unknown sender"] == 1)
        // A flood of strangers makes one question to a member, not more.
        for counter in 2..<50 as Range<UInt64> {
            let more = Envelope.seal(
                GossipMessage.ping(number: 1, view: 0, []).encoded, by: stranger, boot: BootID(1),
                counter: counter, cluster: cluster, to: id(1), via: .datagram)
            bench.step(address(1), .received(more, from: address(99), via: .datagram))
        }
        #expect(bench.sent.count <= 1)
    }
}

@Suite struct ReplayWindowTests {
    @Test func `a counter is accepted once, within the window's width`() {
        var window = ReplayWindow()
        #expect(!window.accepts(0))
        window.insert(1)
        #expect(!window.accepts(1))
        window.insert(ReplayWindow.width)
        #expect(!window.accepts(1))
        #expect(window.accepts(2))
        window.insert(ReplayWindow.width + 1)
        #expect(window.accepts(2))
        window.insert(ReplayWindow.width + 2)
        #expect(!window.accepts(2))
        window.insert(.max)
        #expect(!window.accepts(5))
    }
}

@Suite struct SuspicionTests {
    @Test func `each confirmation shortens the wait, down to the shortest`() {
        let accuser = GossipBench.key(1).id
        var suspicion = Suspicion(
            at: .zero, witness: accuser, shortest: .seconds(4), longest: .seconds(24),
            confirmationsNeeded: 2)
        #expect(suspicion.deadline == .zero + .seconds(24))
        let repeated = suspicion.confirm(by: accuser)
        #expect(!repeated)
        let first = suspicion.confirm(by: GossipBench.key(2).id)
        #expect(first)
        let middle = suspicion.deadline
        #expect(middle < .zero + .seconds(24) && middle > .zero + .seconds(4))
        _ = suspicion.confirm(by: GossipBench.key(3).id)
        #expect(suspicion.deadline == .zero + .seconds(4))
        let late = suspicion.confirm(by: GossipBench.key(4).id)
        #expect(!late)
    }

    @Test(arguments: [
        (1, 0.0), (2, 0.693147180559945), (10, 2.302585092994046), (1_000, 6.907755278982137),
    ])
    func `logarithms are right to nine digits`(row: (Int, Double)) {
        #expect(abs(Logarithm.natural(row.0) - row.1) < 1e-9)
    }
}

@Suite struct RumourQueueTests {
    @Test func `the least told go first, told often enough they go, and the queue is bounded`() {
        var queue = RumourQueue()
        func rumour(_ number: Int) -> Rumour {
            .leave(
                LeaveStatement(
                    subject: NodeID(Wide128(high: 0, low: UInt64(number))), incarnation: 1,
                    signature: [UInt8](repeating: 0, count: 64)))
        }
        queue.insert(rumour(1))
        queue.insert(rumour(1))
        #expect(queue.count == 1)
        queue.insert(rumour(2))
        let first = queue.take(sizeBytesMax: 100, tellingsMax: 2)
        #expect(first == [rumour(1)])
        let second = queue.take(sizeBytesMax: 100, tellingsMax: 2)
        #expect(second == [rumour(2)])
        _ = queue.take(sizeBytesMax: 1_000, tellingsMax: 2)
        #expect(queue.isEmpty)
        for number in 0..<GossipConfiguration.rumoursMax { queue.insert(rumour(number)) }
        #expect(queue.count == GossipConfiguration.rumoursMax)
        queue.insert(rumour(GossipConfiguration.rumoursMax))
        #expect(queue.count == GossipConfiguration.rumoursMax)
    }
}
