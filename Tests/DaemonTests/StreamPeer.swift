import Gossip
import Model
import NIOCore
import NIOPosix
import NIOSSL

@testable import NodeIO

/// A transport that is open, and what arrives and is refused there.
struct StreamPeer: Sendable {
    let seed: [UInt8]
    let transport: Transport
    let loop: any EventLoop
    private let arrivals: AsyncStream<(bytes: [UInt8], source: PeerAddress)>
    private let refusals: AsyncStream<StreamRefusal>

    static let ipv4: [UInt8] = [127, 0, 0, 1]

    static func randomSeed() -> [UInt8] {
        (0..<NodeKey.seedSizeBytes).map { _ in UInt8.random(in: 0...255) }
    }

    /// Opens a transport for which others have this standing.
    static func open(
        _ ip: [UInt8] = ipv4, limits: StreamLimits = StreamLimits(),
        standing: @escaping @Sendable (NodeID) -> StreamStanding = { .member($0) }
    ) async throws -> StreamPeer {
        let seed = randomSeed()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let transport = Transport(
            loop: loop, identity: try StreamIdentity(seed: seed), limits: limits)
        let (arrivals, feed) = AsyncStream<(bytes: [UInt8], source: PeerAddress)>.makeStream()
        let (refusals, refuse) = AsyncStream<StreamRefusal>.makeStream()
        try await transport.open(
            PeerAddress(ip: ip, port: 0),
            hooks: TransportHooks(
                receive: { bytes, source, _ in feed.yield((bytes, source)) },
                standing: standing, refused: { refuse.yield($0) }))
        return StreamPeer(
            seed: seed, transport: transport, loop: loop, arrivals: arrivals, refusals: refusals)
    }

    var id: NodeID { NodeKey(seed: seed).id }
    var address: PeerAddress { transport.address }

    func send(
        _ bytes: [UInt8], to peer: PeerAddress, of node: NodeID,
        via channel: Model.Channel = .stream
    ) async throws {
        try await loop.submit { [transport] in
            transport.send(bytes, to: peer, of: node, via: channel)
        }.get()
    }

    /// What arrives next.
    func next() async -> (bytes: [UInt8], source: PeerAddress)? {
        var iterator = arrivals.makeAsyncIterator()
        return await iterator.next()
    }

    /// What is refused next.
    func refusal() async -> StreamRefusal? {
        var iterator = refusals.makeAsyncIterator()
        return await iterator.next()
    }

    func counts() async throws -> (all: Int, handshakes: Int) {
        try await loop.submit { [transport] in transport.incomingCounts }.get()
    }

    func close() async { await transport.close() }

    /// A frame whose header names this sender; the rest is never looked at by transports.
    static func frame(of sender: NodeID, _ content: [UInt8] = [0]) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(1)
        writer.fixed64(0)
        sender.encode(into: &writer)
        writer.raw([UInt8](repeating: 0, count: 16))
        writer.raw(content)
        writer.raw([UInt8](repeating: 0, count: Signature.sizeBytes))
        return writer.bytes
    }
}

/// A bare connection to a transport: it sends what it is told, and keeps what it hears.
struct RawConnection: Sendable {
    let channel: any NIOCore.Channel
    private let ear: Ear

    /// Connects; `handlers` may put TLS before the ear.
    static func open(
        to peer: PeerAddress,
        handlers: @escaping @Sendable (any NIOCore.Channel) throws -> Void = { _ in }
    ) async throws -> RawConnection {
        let ear = Ear()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try handlers(channel)
                    try channel.pipeline.syncOperations.addHandler(ear)
                }
            }
            .connect(host: peer.host, port: Int(peer.port)).get()
        return RawConnection(channel: channel, ear: ear)
    }

    /// Connects with TLS as this configuration says, and trusts anybody.
    static func open(
        to peer: PeerAddress, configuration: TLSConfiguration
    ) async throws -> RawConnection {
        let context = try NIOSSLContext(configuration: configuration)
        return try await open(to: peer) { channel in
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(
                    context: context, serverHostname: nil,
                    customVerificationCallback: { $1.succeed(.certificateVerified) }))
        }
    }

    func write(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Waits until the other side has closed, and returns all that it has said.
    func end() async throws -> [UInt8] {
        try await channel.closeFuture.get()
        return try await channel.eventLoop.submit { ear.heard }.get()
    }

    private final class Ear: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        private(set) var heard: [UInt8] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            heard += Array(unwrapInboundIn(data).readableBytesView)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

extension TLSConfiguration {
    /// What a node with this key would use as a client, for tests to spoil.
    static func node(seed: [UInt8]) throws -> TLSConfiguration {
        let certificate = try SelfSignedCertificate(ed25519Seed: seed, name: "test")
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = try certificate.chain()
        configuration.privateKey = try certificate.privateKey()
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.signingSignatureAlgorithms = [.ed25519]
        configuration.verifySignatureAlgorithms = [.ed25519]
        configuration.applicationProtocols = [StreamIdentity.protocolName]
        return configuration
    }
}
