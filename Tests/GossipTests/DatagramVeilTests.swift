import Model
import Testing

@testable import Gossip

/// What members say in datagrams is theirs alone.
@Suite struct DatagramVeilTests {
    private let alice = GossipBench.key(1)
    private let bob = GossipBench.key(2)
    private let eve = GossipBench.key(3)
    private let secret = Array("--env PASSWORD=hunter2".utf8)

    private func envelope(_ payload: [UInt8], by key: NodeKey, counter: UInt64) -> Envelope {
        Envelope(sender: key.id, boot: BootID(7), counter: counter, payload: payload[...])
    }

    private func cover(
        _ payload: [UInt8], by own: NodeKey, for other: NodeKey, boot: UInt64 = 7,
        counter: UInt64 = 1
    ) throws -> [UInt8] {
        var veil = DatagramVeil(scheme: Ed25519())
        let veiled = veil.cover(
            payload, by: own, for: other.publicKey, boot: BootID(boot), counter: counter)
        return try #require(veiled)
    }

    @Test func `the receiver reads what was said, and nobody else does`() throws {
        var veil = DatagramVeil(scheme: Ed25519())
        let veiled = try cover(secret, by: alice, for: bob)
        #expect(veiled.count == secret.count + DatagramVeil.overheadSizeBytes)
        let packet = envelope(veiled, by: alice, counter: 1)
        #expect(veil.lift(packet, of: alice.publicKey, for: bob) == secret)
        #expect(veil.lift(packet, of: alice.publicKey, for: eve) == nil)
        #expect(veil.lift(packet, of: bob.publicKey, for: eve) == nil)
        // One veil serves a node whose key is renewed, too.
        #expect(veil.lift(packet, of: alice.publicKey, for: bob) == secret)
        #expect(veil.keyCount == 1)
    }

    @Test func `an empty payload has a veil, and less than a veil is none`() throws {
        var veil = DatagramVeil(scheme: Ed25519())
        let veiled = try cover([], by: alice, for: bob)
        #expect(
            veil.lift(envelope(veiled, by: alice, counter: 1), of: alice.publicKey, for: bob) == [])
        for count in 0..<veiled.count {
            let cut = envelope(Array(veiled.prefix(count)), by: alice, counter: 1)
            #expect(veil.lift(cut, of: alice.publicKey, for: bob) == nil)
        }
    }

    @Test func `every flipped bit of a veil is seen`() throws {
        var veil = DatagramVeil(scheme: Ed25519())
        let veiled = try cover(secret, by: alice, for: bob)
        for bit in 0..<(8 * veiled.count) {
            var flipped = veiled
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let packet = envelope(flipped, by: alice, counter: 1)
            #expect(veil.lift(packet, of: alice.publicKey, for: bob) == nil)
        }
    }

    @Test func `no two packets are veiled alike, in either direction`() throws {
        var all: Set<[UInt8]> = []
        for counter in 1...3 as ClosedRange<UInt64> {
            for boot in 1...3 as ClosedRange<UInt64> {
                for (from, to) in [(alice, bob), (bob, alice)] {
                    all.insert(
                        try cover(secret, by: from, for: to, boot: boot, counter: counter))
                }
            }
        }
        #expect(all.count == 18)
    }

    @Test func `a veil is read under its own counter, boot ID and sender alone`() throws {
        var veil = DatagramVeil(scheme: Ed25519())
        let veiled = try cover(secret, by: alice, for: bob)
        let other = envelope(veiled, by: alice, counter: 2)
        #expect(veil.lift(other, of: alice.publicKey, for: bob) == nil)
        // Sent back to where it came from.
        let reflected = envelope(veiled, by: bob, counter: 1)
        #expect(veil.lift(reflected, of: bob.publicKey, for: alice) == nil)
    }

    @Test func `a key with which everybody would have the same secret is refused`() {
        var veil = DatagramVeil(scheme: Ed25519())
        // The neutral element of the curve, and no point at all.
        let neutral = PublicKey(bytes: [1] + Array(repeating: 0, count: 31))
        let none = PublicKey(bytes: Array(repeating: 2, count: 32))
        for key in [neutral, none] {
            #expect(veil.cover(secret, by: alice, for: key, boot: BootID(1), counter: 1) == nil)
        }
    }

    @Test func `so many keys are kept, and no more`() {
        var veil = DatagramVeil(scheme: CheapSignatures())
        let own = NodeKey(seed: [UInt8](repeating: 1, count: 32), scheme: CheapSignatures())
        func meet(_ number: Int) {
            var bytes = [UInt8](repeating: 0, count: PublicKey.sizeBytes)
            bytes[0] = UInt8(number >> 8)
            bytes[1] = UInt8(number & 0xFF)
            _ = veil.cover([], by: own, for: PublicKey(bytes: bytes), boot: BootID(1), counter: 1)
        }
        for number in 0..<DatagramVeil.keysMax { meet(number) }
        #expect(veil.keyCount == DatagramVeil.keysMax)
        meet(DatagramVeil.keysMax)
        #expect(veil.keyCount == 1)
    }

    @Test func `members hear each other, and the wire tells nothing`() throws {
        let bench = GossipBench(seed: 31)
        try bench.form(2)
        bench.sent = []
        bench.step(
            GossipBench.address(1),
            .send(payload: secret, to: GossipBench.key(2).id, via: .datagram))
        let packet = try #require(bench.sent.first { $0.channel == .datagram })
        let starts = packet.bytes.indices.dropLast(secret.count - 1)
        #expect(!starts.contains { packet.bytes[$0..<($0 + secret.count)].elementsEqual(secret) })
        bench.run(for: .seconds(1))
        #expect(bench.delivered.contains { $0.payload == secret })
    }
}
