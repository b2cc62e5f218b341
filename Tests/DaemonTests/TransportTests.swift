import Model
import NIOCore
import NIOPosix
import NodeIO
import Testing

/// Datagrams and frames over real sockets on loopback.
@Suite(.timeLimit(.minutes(1)))
struct TransportTests {
    /// A transport that is open, and what arrives there.
    private struct Peer {
        let transport: Transport
        let arrivals: AsyncStream<(bytes: [UInt8], source: PeerAddress)>
        let loop: any EventLoop

        static func open(_ ip: [UInt8]) async throws -> Peer {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let transport = Transport(loop: loop)
            let (arrivals, feed) = AsyncStream<(bytes: [UInt8], source: PeerAddress)>.makeStream()
            try await transport.open(PeerAddress(ip: ip, port: 0)) { bytes, source, _ in
                feed.yield((bytes, source))
            }
            return Peer(transport: transport, arrivals: arrivals, loop: loop)
        }

        func send(_ bytes: [UInt8], to peer: PeerAddress, via channel: Model.Channel) async throws {
            try await loop.submit { [transport] in
                transport.send(bytes, to: peer, via: channel)
            }.get()
        }

        func next() async -> (bytes: [UInt8], source: PeerAddress)? {
            var iterator = arrivals.makeAsyncIterator()
            return await iterator.next()
        }
    }

    private static let ipv4: [UInt8] = [127, 0, 0, 1]
    private static let ipv6: [UInt8] = Array(repeating: 0, count: 15) + [1]

    @Test(arguments: [ipv4, ipv6])
    func `a node that listens on all IPv6 addresses speaks with peers of both kinds`(
        ip: [UInt8]
    ) async throws {
        let all = try await Peer.open(Array(repeating: 0, count: 16))
        let one = try await Peer.open(ip)
        let place = PeerAddress(ip: ip, port: all.transport.address.port)
        for channel in [Model.Channel.datagram, .stream] {
            try await one.send([1, 2], to: place, via: channel)
            let heard = try #require(await all.next())
            #expect(heard.bytes == [1, 2])
            // Not as `::ffff:127.0.0.1`: one peer has one address.
            #expect(heard.source.ip == ip)
            try await all.send([3], to: one.transport.address, via: channel)
            #expect(await one.next()?.bytes == [3])
        }
        await one.transport.close()
        await all.transport.close()
    }
}
