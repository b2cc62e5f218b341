import ArgumentParser
import Gossip
import Model
import NIOCore
import NIOPosix
import NodeIO

/// What TLS costs on streams between nodes.
struct StreamsBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streams",
        abstract: "Two transports on loopback: handshakes, frames and bytes a second.",
        discussion: """
            Both ends live on one event loop, as they do on a node's: what is measured is the \
            processor time of both together. 'plain' sends the same bytes over TCP alone.
            """)

    @Option(help: "How many mebibytes are sent.") var mebibytes = 256
    @Option(help: "How many handshakes are made.") var handshakes = 300

    func run() async throws {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        var report: [String: Any] = ["mebibytes": mebibytes, "handshakes": handshakes]
        let here = try await StreamLane.open(on: loop)
        let there = try await StreamLane.open(on: loop)
        report["tls_mib_per_second"] = tenth(
            try await rate(of: mebibytes, 1 << 20, from: here, to: there) * Double(mebibytes))
        report["tls_small_frames_per_second"] = tenth(
            try await rate(of: 100_000, 256, from: here, to: there) * 100_000)
        report["plain_mib_per_second"] = tenth(try await plainRate(on: loop) * Double(mebibytes))
        report["handshake_milliseconds"] =
            try await handshakeSeconds(from: here, to: there) * 1_000
        await here.transport.close()
        await there.transport.close()
        try BenchFolder.print(report)
    }

    /// How many times a second all this could be sent.
    private func rate(
        of count: Int, _ size: Int, from here: StreamLane, to there: StreamLane
    ) async throws -> Double {
        let frame = here.frame(size)
        let clock = ContinuousClock()
        let begin = clock.now
        // As many as wait at most: what comes on top is dropped.
        let window = min(count, max(1, (8 << 20) / size))
        var sent = 0
        while sent < count {
            let batch = min(window, count - sent)
            let arrived = there.expect(batch)
            try await here.send(frame, times: batch, to: there)
            try await arrived.get()
            sent += batch
        }
        return 1 / ((clock.now - begin) / .seconds(1))
    }

    /// The time from calling a node with a key of its own to its first frame, both ends' work.
    private func handshakeSeconds(
        from here: StreamLane, to there: StreamLane
    ) async throws -> Double {
        let frame = here.frame(256)
        let clock = ContinuousClock()
        var total = Duration.zero
        for _ in 0..<handshakes {
            try await here.reconnect()
            let arrived = there.expect(1)
            let begin = clock.now
            try await here.send(frame, times: 1, to: there)
            try await arrived.get()
            total += clock.now - begin
        }
        return total / .seconds(1) / Double(handshakes)
    }

    private func plainRate(on loop: any EventLoop) async throws -> Double {
        let size = mebibytes << 20
        let promise = loop.makePromise(of: Void.self)
        let server = try await ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ByteCounter(until: size, promise))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = try await ClientBootstrap(group: loop)
            .connect(host: "127.0.0.1", port: server.localAddress?.port ?? 0).get()
        let part = ByteBuffer(repeating: 7, count: 1 << 20)
        let clock = ContinuousClock()
        let begin = clock.now
        for _ in 0..<mebibytes { try await client.writeAndFlush(part) }
        try await promise.futureResult.get()
        let seconds = (clock.now - begin) / .seconds(1)
        try await client.close()
        try await server.close()
        return 1 / seconds
    }
}

/// A transport, and a count of what arrives there.
private final class StreamLane: @unchecked Sendable {
    let transport: Transport
    private let loop: any EventLoop
    private let seed: [UInt8]
    private var waiting: (left: Int, promise: EventLoopPromise<Void>)?

    private init(on loop: any EventLoop) throws {
        self.loop = loop
        seed = (0..<NodeKey.seedSizeBytes).map { _ in UInt8.random(in: 0...255) }
        var limits = StreamLimits()
        limits.handshakesOfOnePerSecondMax = 1_000_000
        limits.handshakesPerSecondMax = 1_000_000
        transport = Transport(
            loop: loop, identity: try StreamIdentity(seed: seed), limits: limits)
    }

    static func open(on loop: any EventLoop) async throws -> StreamLane {
        let lane = try StreamLane(on: loop)
        try await lane.transport.open(
            PeerAddress(ip: [127, 0, 0, 1], port: 0),
            hooks: TransportHooks(
                receive: { _, _, _ in lane.arrived() }, standing: { .member($0) },
                refused: { _ in }))
        return lane
    }

    var id: NodeID { NodeKey(seed: seed).id }

    /// A frame of this sender.
    func frame(_ size: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.fixed64(0)
        id.encode(into: &writer)
        writer.raw([UInt8](repeating: 7, count: max(size - writer.bytes.count, 128)))
        return writer.bytes
    }

    func expect(_ count: Int) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute { [self] in waiting = (count, promise) }
        return promise.futureResult
    }

    private func arrived() {
        waiting?.left -= 1
        guard waiting?.left == 0 else { return }
        waiting?.promise.succeed()
        waiting = nil
    }

    func send(_ frame: [UInt8], times count: Int, to other: StreamLane) async throws {
        let (address, id) = (other.transport.address, other.id)
        try await loop.submit { [self] in
            for _ in 0..<count { transport.send(frame, to: address, of: id, via: .stream) }
        }.get()
    }

    /// Lets the next frame open a connection of its own.
    func reconnect() async throws {
        let identity = try StreamIdentity(seed: seed)
        try await loop.submit { [self] in transport.replaceIdentity(identity) }.get()
    }
}

/// Counts bytes up to a number.
private final class ByteCounter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var left: Int
    private let promise: EventLoopPromise<Void>

    init(until count: Int, _ promise: EventLoopPromise<Void>) {
        left = count
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        left -= unwrapInboundIn(data).readableBytes
        if left <= 0 { promise.succeed() }
    }
}
