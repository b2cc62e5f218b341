import Crypto
import Foundation
import Gossip
import Model
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import NodeIO

/// Whoever is not a node, or not the node that it says, gets nothing out of a stream's port.
@Suite(.timeLimit(.minutes(1)))
struct HostileStreamTests {
    /// Opens a node, and closes it however the test ends.
    private func withPeer(
        _ limits: StreamLimits = StreamLimits(),
        standing: @escaping @Sendable (NodeID) -> StreamStanding = { .member($0) },
        _ body: (StreamPeer) async throws -> Void
    ) async throws {
        let peer = try await StreamPeer.open(limits: limits, standing: standing)
        do {
            try await body(peer)
        } catch {
            await peer.close()
            throw error
        }
        await peer.close()
    }

    /// A node that means well still gets through.
    private func expectService(of peer: StreamPeer) async throws {
        let friend = try await StreamPeer.open()
        let frame = StreamPeer.frame(of: friend.id, [42])
        try await friend.send(frame, to: peer.address, of: peer.id)
        #expect(await peer.next()?.bytes == frame)
        await friend.close()
    }

    // MARK: Not TLS

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{0}\u{0}\u{9}plaintext", "\u{16}\u{3}\u{1}xyz",
    ])
    func `plain bytes are closed at once, without a byte in answer`(text: String) async throws {
        try await withPeer { peer in
            let raw = try await RawConnection.open(to: peer.address)
            raw.write(Array(text.utf8))
            #expect(try await raw.end() == [])
            #expect(await peer.refusal() == .plaintext)
            try await expectService(of: peer)
        }
    }

    // MARK: Not a node

    @Test func `TLS 1.2 is refused`() async throws {
        try await withPeer { peer in
            var configuration = try TLSConfiguration.node(seed: StreamPeer.randomSeed())
            configuration.maximumTLSVersion = .tlsv12
            let raw = try await RawConnection.open(to: peer.address, configuration: configuration)
            #expect(try await raw.end() == [])
            #expect(await peer.refusal() == .failedHandshake)
            try await expectService(of: peer)
        }
    }

    @Test func `a client without a certificate is refused`() async throws {
        try await withPeer { peer in
            var configuration = try TLSConfiguration.node(seed: StreamPeer.randomSeed())
            configuration.certificateChain = []
            configuration.privateKey = nil
            let raw = try await RawConnection.open(to: peer.address, configuration: configuration)
            raw.write([0, 0, 0, 1, 7])
            #expect(try await raw.end() == [])
            #expect(await peer.refusal() == .failedHandshake)
            try await expectService(of: peer)
        }
    }

    @Test func `a certificate whose key is of another kind is refused`() async throws {
        try await withPeer { peer in
            var configuration = try TLSConfiguration.node(seed: StreamPeer.randomSeed())
            let certificate = try SelfSignedCertificate(
                p256: P256.Signing.PrivateKey(), name: "test", hosts: ["localhost"],
                addresses: [StreamPeer.ipv4])
            configuration.certificateChain = try certificate.chain()
            configuration.privateKey = try certificate.privateKey()
            configuration.signingSignatureAlgorithms = nil
            let raw = try await RawConnection.open(to: peer.address, configuration: configuration)
            #expect(try await raw.end() == [])
            #expect(await peer.refusal() == .failedHandshake)
            try await expectService(of: peer)
        }
    }

    @Test func `a node's certificate without its key is refused`() async throws {
        try await withPeer { peer in
            let stolen = try SelfSignedCertificate(ed25519Seed: peer.seed, name: "test")
            let own = try TLSConfiguration.node(seed: StreamPeer.randomSeed())
            var configuration = own
            configuration.certificateChain = try stolen.chain()
            // The library itself will not use a key with another's certificate.
            #expect(throws: (any Error).self) {
                try NIOSSLContext(configuration: configuration)
            }
        }
    }

    @Test(arguments: [[], ["h2"]])
    func `TLS for another protocol is refused`(names: [String]) async throws {
        try await withPeer { peer in
            var configuration = try TLSConfiguration.node(seed: StreamPeer.randomSeed())
            configuration.applicationProtocols = names
            let raw = try await RawConnection.open(to: peer.address, configuration: configuration)
            #expect(try await raw.end() == [])
            #expect(await peer.refusal() == .otherProtocol)
        }
    }

    // MARK: Not this node

    @Test func `who answers with another key than the one that was called hears nothing`()
        async throws
    {
        try await withPeer { middle in
            let (here, there) = (try await StreamPeer.open(), try await StreamPeer.open())
            // The man in the middle has the address of the node, and a key of his own.
            let frame = StreamPeer.frame(of: here.id, [1])
            try await here.send(frame, to: middle.address, of: there.id)
            #expect(await here.refusal() == .otherKey)
            #expect(await middle.refusal() == .failedHandshake)
            // Who is asked as a seed may be anybody.
            try await here.send(frame, to: middle.address, of: .none)
            #expect(await middle.next()?.bytes == frame)
            await here.close()
            await there.close()
        }
    }

    @Test func `a frame of another sender than the connection's is dropped and counted`()
        async throws
    {
        try await withPeer { peer in
            let thief = try await StreamPeer.open()
            let victim = NodeKey(seed: StreamPeer.randomSeed()).id
            try await thief.send(
                StreamPeer.frame(of: victim, [1]), to: peer.address, of: peer.id)
            #expect(await peer.refusal() == .foreignFrame)
            try await thief.send([1, 2, 3], to: peer.address, of: peer.id)
            #expect(await peer.refusal() == .foreignFrame)
            let own = StreamPeer.frame(of: thief.id, [2])
            try await thief.send(own, to: peer.address, of: peer.id)
            #expect(await peer.next()?.bytes == own)
            await thief.close()
        }
    }

    // MARK: Slow

    @Test(arguments: [[], [22, 3, 1, 2, 0, 1]] as [[UInt8]])
    func `a handshake that does not go on is ended`(bytes: [UInt8]) async throws {
        var limits = StreamLimits()
        limits.handshakeTime = .milliseconds(100)
        try await withPeer(limits) { peer in
            let raw = try await RawConnection.open(to: peer.address)
            raw.write(bytes)
            #expect(await peer.refusal() == .slowHandshake)
            _ = try await raw.end()
            #expect(try await peer.counts().handshakes == 0)
        }
    }

    @Test func `a handshake that is cut short leaves nothing behind`() async throws {
        try await withPeer { peer in
            let raw = try await RawConnection.open(to: peer.address)
            raw.write([22, 3, 1, 2, 0, 1])
            try await raw.channel.close()
            #expect(await peer.refusal() == .failedHandshake)
            while try await peer.counts() != (0, 0) {}
        }
    }

    @Test func `one handshake more than may be under way displaces the oldest`() async throws {
        var limits = StreamLimits()
        limits.handshakesOfOneMax = 3
        try await withPeer(limits) { peer in
            var silent: [RawConnection] = []
            for number in 1...3 {
                silent.append(try await RawConnection.open(to: peer.address))
                while try await peer.counts().handshakes < number {}
            }
            silent.append(try await RawConnection.open(to: peer.address))
            #expect(await peer.refusal() == .displaced)
            _ = try await silent[0].end()
            #expect(try await peer.counts().handshakes == 3)
            // A node finds a place however many are silent.
            try await expectService(of: peer)
            for raw in silent { try? await raw.channel.close() }
        }
    }

    @Test func `one handshake more in a second than may begin is closed`() async throws {
        var limits = StreamLimits()
        limits.handshakesOfOnePerSecondMax = 1
        limits.handshakesOfOneMax = 1_000
        try await withPeer(limits) { peer in
            let refusal = Task { await peer.refusal() }
            var all: [RawConnection] = []
            // Two within a second are enough, however slow this machine is.
            for _ in 1...20 { all.append(try await RawConnection.open(to: peer.address)) }
            #expect(await refusal.value == .tooManyHandshakes)
            for raw in all { try? await raw.channel.close() }
        }
    }

    // MARK: Strangers

    @Test func `a stranger may send small frames for a while, and one more displaces the oldest`()
        async throws
    {
        var limits = StreamLimits()
        limits.strangersMax = 2
        limits.strangerTime = .milliseconds(300)
        limits.sweepTime = .milliseconds(20)
        let sizeBytesMax = StreamPeer.frame(of: .none, [1]).count
        try await withPeer(
            limits, standing: { .stranger($0, frameSizeBytesMax: sizeBytesMax) }
        ) { peer in
            var strangers: [StreamPeer] = []
            for _ in 1...3 {
                let stranger = try await StreamPeer.open()
                let frame = StreamPeer.frame(of: stranger.id, [1])
                try await stranger.send(frame, to: peer.address, of: peer.id)
                #expect(await peer.next()?.bytes == frame)
                strangers.append(stranger)
            }
            // The first one for the third, the others when their time is over.
            for _ in 1...3 { #expect(await peer.refusal() == .strangerEnded) }
            while try await peer.counts() != (0, 0) {}
            let large = StreamPeer.frame(of: strangers[0].id, [1, 2])
            try await strangers[0].send(large, to: peer.address, of: peer.id)
            #expect(await peer.refusal() == .badFrame)
            for stranger in strangers { await stranger.close() }
        }
    }

    @Test func `one connection more of a key than it may have displaces the oldest`()
        async throws
    {
        var limits = StreamLimits()
        limits.incomingOfOneMax = 2
        try await withPeer(limits) { peer in
            let seed = StreamPeer.randomSeed()
            var all: [RawConnection] = []
            for number in 1...3 {
                all.append(
                    try await RawConnection.open(
                        to: peer.address, configuration: TLSConfiguration.node(seed: seed)))
                let frame = StreamPeer.frame(of: NodeKey(seed: seed).id, [UInt8(number)])
                all[number - 1].write([0, 0, 0, UInt8(frame.count)] + frame)
                #expect(await peer.next()?.bytes == frame)
            }
            #expect(await peer.refusal() == .tooManyConnections)
            _ = try await all[0].end()
            for raw in all { try? await raw.channel.close() }
        }
    }
}
