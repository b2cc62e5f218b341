import Glibc
import Gossip
package import Model
package import NIOCore
import NIOPosix

/// Datagrams and frames between nodes; everything happens on one event loop.
///
/// Streams are TLS 1.3, and both ends have proven their node's key before a frame travels. Each
/// goes one way: who has something to say opens one. What frames say is believed by the core, or
/// not, by their own signatures.
package final class Transport: @unchecked Sendable {
    private let loop: any EventLoop
    private let limits: StreamLimits
    private var identity: StreamIdentity
    private var hooks: TransportHooks?
    private var datagrams: (any NIOCore.Channel)?
    private var listening: (any NIOCore.Channel)?
    private var listener: StreamListener?
    private var peers: [PeerConnection.Destination: PeerConnection] = [:]
    private var sweeping: RepeatedTask?

    /// Makes a closed transport; its sockets will live on the loop.
    package init(
        loop: any EventLoop, identity: StreamIdentity, limits: StreamLimits = StreamLimits()
    ) {
        self.loop = loop
        self.identity = identity
        self.limits = limits
    }

    /// Where the node really listens.
    package private(set) var address = PeerAddress(ip: [0, 0, 0, 0], port: 0)

    /// How many connections others have open, and how many of them have proven nothing yet.
    package var incomingCounts: (all: Int, handshakes: Int) {
        (listener?.count ?? 0, listener?.handshakeCount ?? 0)
    }

    /// How many connections this node has opened, or is about to.
    package var outgoingCount: Int { peers.count }

    /// Opens both sockets on one port; the hooks are called on the event loop.
    ///
    /// - Throws: `StartFailure` when the address can't be had; nothing stays open.
    package func open(_ bind: PeerAddress, hooks: TransportHooks) async throws {
        self.hooks = hooks
        let listener = StreamListener(limits: limits, hooks: hooks)
        self.listener = listener
        do {
            let listening = try await listen(on: bind, listener)
            self.listening = listening
            address = PeerAddress(ip: bind.ip, port: UInt16(listening.localAddress?.port ?? 0))
            datagrams = try await openDatagrams(on: address)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw StartFailure(
                "--bind \(bind): the port is taken by another program; stop it, or choose another "
                    + "with --bind HOST:PORT")
        } catch let error as IOError {
            throw StartFailure(
                "--bind \(bind): can't listen (\(String(cString: strerror(error.errnoCode))))")
        }
        sweeping = loop.scheduleRepeatedTask(
            initialDelay: limits.sweepTime, delay: limits.sweepTime
        ) { [self] _ in sweep() }
    }

    private func listen(
        on bind: PeerAddress, _ listener: StreamListener
    ) async throws -> any NIOCore.Channel {
        var bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] in listener.accept($0, as: identity) }
        if bind.ip.count == 16 {
            bootstrap = bootstrap.serverChannelOption(Transport.takesIPv6Alone, value: 0)
        }
        return try await bootstrap.bind(to: SocketAddress(bind)).get()
    }

    private func openDatagrams(on bind: PeerAddress) async throws -> any NIOCore.Channel {
        var bootstrap = DatagramBootstrap(group: loop)
            .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2_048)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        DatagramReader { [self] bytes, source in
                            hooks?.receive(bytes, source, .datagram)
                        })
                }
            }
        if bind.ip.count == 16 {
            bootstrap = bootstrap.channelOption(Transport.takesIPv6Alone, value: 0)
        }
        return try await bootstrap.bind(to: SocketAddress(bind)).get()
    }

    /// Off, a socket on all IPv6 addresses takes IPv4 too, whatever the machine's default is.
    private static let takesIPv6Alone = ChannelOptions.Types.SocketOption(
        level: .ipv6, name: .ipv6_v6only)

    // MARK: Sending

    /// Sends; on the event loop.
    ///
    /// The node must answer at the address of a stream; when it is `.none`, anybody may.
    package func send(
        _ bytes: [UInt8], to peer: PeerAddress, of node: NodeID, via channel: Model.Channel
    ) {
        switch channel {
        case .datagram:
            guard let datagrams,
                let target = try? SocketAddress(address.ip.count == 16 ? peer.mapped : peer)
            else { return }
            let buffer = ByteBuffer(bytes: bytes)
            datagrams.writeAndFlush(
                AddressedEnvelope(remoteAddress: target, data: buffer), promise: nil)
        case .stream:
            connection(to: PeerConnection.Destination(address: peer, node: node)).send(bytes)
        }
    }

    private func connection(to destination: PeerConnection.Destination) -> PeerConnection {
        if let peer = peers[destination] { return peer }
        let peer = PeerConnection(
            destination, as: identity, limits: limits, loop: loop,
            standing: { [self] in hooks?.standing($0) ?? .stranger($0, frameSizeBytesMax: 0) },
            refused: { [self] in hooks?.refused($0) },
            ended: { [self] ended in
                if peers[destination] === ended { peers[destination] = nil }
            })
        peers[destination] = peer
        return peer
    }

    // MARK: Life

    /// Goes on under another key; on the event loop.
    ///
    /// Connections that this node has opened say what they have yet to say, and end: frames of the
    /// new key travel on new ones. What others have opened stays, for it carries their keys.
    package func replaceIdentity(_ identity: StreamIdentity) {
        self.identity = identity
        let retired = peers.values
        peers = [:]
        for peer in retired { peer.retire() }
    }

    private func sweep() {
        listener?.sweep()
        let since = NIODeadline.now() - limits.idleTime
        for peer in Array(peers.values) where peer.isIdle(since: since) { peer.close() }
    }

    /// Closes all sockets.
    package func close() async {
        try? await listening?.close()
        try? await datagrams?.close()
        try? await loop.submit { [self] in
            sweeping?.cancel()
            for peer in Array(peers.values) { peer.close() }
        }.get()
        await listener?.closeAll()
    }
}
