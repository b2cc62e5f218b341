import Gossip
import Model
import NIOCore
import NIOPosix
import Testing

@testable import NodeIO

/// Datagrams and frames between nodes that mean well, over real sockets on loopback.
@Suite(.timeLimit(.minutes(1)))
struct TransportTests {
    private static let ipv6: [UInt8] = Array(repeating: 0, count: 15) + [1]

    @Test(arguments: [StreamPeer.ipv4, ipv6])
    func `a node that listens on all IPv6 addresses speaks with peers of both kinds`(
        ip: [UInt8]
    ) async throws {
        let all = try await StreamPeer.open(Array(repeating: 0, count: 16))
        let one = try await StreamPeer.open(ip)
        let place = PeerAddress(ip: ip, port: all.address.port)
        for channel in [Model.Channel.datagram, .stream] {
            let frame = StreamPeer.frame(of: one.id, [1, 2])
            try await one.send(frame, to: place, of: all.id, via: channel)
            let heard = try #require(await all.next())
            #expect(heard.bytes == frame)
            // Not as `::ffff:127.0.0.1`: one peer has one address.
            #expect(heard.source.ip == ip)
            let answer = StreamPeer.frame(of: all.id, [3])
            try await all.send(answer, to: one.address, of: one.id, via: channel)
            #expect(await one.next()?.bytes == answer)
        }
        await one.close()
        await all.close()
    }

    @Test func `a frame of the largest size arrives whole, and the next one after it`()
        async throws
    {
        let here = try await StreamPeer.open()
        let there = try await StreamPeer.open()
        let overhead = StreamPeer.frame(of: here.id, []).count
        let large = StreamPeer.frame(
            of: here.id,
            Array(repeating: 7, count: Model.Channel.frameSizeBytesMax - overhead))
        #expect(large.count == Model.Channel.frameSizeBytesMax)
        try await here.send(large, to: there.address, of: there.id)
        try await here.send(StreamPeer.frame(of: here.id, [8]), to: there.address, of: there.id)
        #expect(await there.next()?.bytes == large)
        #expect(await there.next()?.bytes == StreamPeer.frame(of: here.id, [8]))
        // One byte more is a reason to close the connection.
        try await here.send(large + [0], to: there.address, of: there.id)
        #expect(await there.refusal() == .badFrame)
        await here.close()
        await there.close()
    }

    @Test func `a node with a new key is heard under it, and only under it`() async throws {
        let here = try await StreamPeer.open()
        let there = try await StreamPeer.open()
        try await here.send(StreamPeer.frame(of: here.id), to: there.address, of: there.id)
        _ = await there.next()
        let seed = StreamPeer.randomSeed()
        let newer = try StreamIdentity(seed: seed)
        // What was said under the old key before still arrives.
        let last = StreamPeer.frame(of: here.id, [1])
        let first = StreamPeer.frame(of: newer.id, [2])
        try await here.loop.submit { [transport = here.transport, place = there.address] in
            transport.send(last, to: place, of: there.id, via: .stream)
            transport.replaceIdentity(newer)
            transport.send(first, to: place, of: there.id, via: .stream)
        }.get()
        let heard = [await there.next()?.bytes, await there.next()?.bytes]
        #expect(heard.contains(last) && heard.contains(first))
        try await here.send(StreamPeer.frame(of: here.id), to: there.address, of: there.id)
        #expect(await there.refusal() == .foreignFrame)
        // Who calls the node finds the new key, too.
        try await there.send(
            StreamPeer.frame(of: there.id, [3]), to: here.address, of: newer.id)
        #expect(await here.next()?.bytes == StreamPeer.frame(of: there.id, [3]))
        await here.close()
        await there.close()
    }

    @Test func `a renewed key is its node's, a retired one is heard as a stranger's alone`()
        async throws
    {
        let here = try await StreamPeer.open()
        let retired = try await StreamPeer.open()
        let node = NodeID(Wide128(high: 7, low: 7))
        let (newKey, oldKey) = (here.id, retired.id)
        let frame = StreamPeer.frame(of: node, [1])
        let there = try await StreamPeer.open(standing: { key in
            key == newKey
                ? .member(node)
                : key == oldKey
                    ? .retired(node, frameSizeBytesMax: frame.count) : .member(key)
        })
        try await here.send(frame, to: there.address, of: there.id)
        #expect(await there.next()?.bytes == frame)
        // Who has not heard of its new key may say that it is there, and no more.
        try await retired.send(frame, to: there.address, of: there.id)
        #expect(await there.next()?.bytes == frame)
        try await retired.send(frame + [0], to: there.address, of: there.id)
        #expect(await there.refusal() == .badFrame)
        // Whoever calls the node is answered under its new key; under the old one when any will do.
        let answer = StreamPeer.frame(of: there.id, [2])
        try await there.send(answer, to: here.address, of: node)
        #expect(await here.next()?.bytes == answer)
        try await there.send(answer, to: retired.address, of: node)
        #expect(await there.refusal() == .otherKey)
        try await there.send(answer, to: retired.address, of: .none)
        #expect(await retired.next()?.bytes == answer)
        for peer in [here, retired, there] { await peer.close() }
    }

    @Test func `a connection that is not used any more is closed, and opened again on demand`()
        async throws
    {
        var limits = StreamLimits()
        limits.idleTime = .milliseconds(1)
        limits.sweepTime = .milliseconds(10)
        let here = try await StreamPeer.open(limits: limits)
        let there = try await StreamPeer.open()
        for content in 1...2 as ClosedRange<UInt8> {
            let frame = StreamPeer.frame(of: here.id, [content])
            try await here.send(frame, to: there.address, of: there.id)
            #expect(await there.next()?.bytes == frame)
            while try await here.loop.submit({ [transport = here.transport] in
                transport.outgoingCount
            }).get() > 0 {}
            while try await there.counts().all > 0 {}
        }
        await here.close()
        await there.close()
    }
}
