import Glibc
package import Model
package import NIOCore
import NIOPosix

/// Datagrams and frames between nodes; everything happens on one event loop.
package final class Transport: @unchecked Sendable {
    /// Takes what arrives: bytes, source, and how they came.
    package typealias Receive = ([UInt8], PeerAddress, Model.Channel) -> Void

    private let loop: any EventLoop
    private var receive: Receive = { _, _, _ in }
    private var datagrams: (any NIOCore.Channel)?
    private var listener: (any NIOCore.Channel)?
    private var peers: [PeerAddress: PeerConnection] = [:]
    private var incoming: [ObjectIdentifier: any NIOCore.Channel] = [:]

    /// The most connections that others may have open.
    package static let incomingMax = 4_096

    /// Makes a closed transport; its sockets will live on the loop.
    package init(loop: any EventLoop) {
        self.loop = loop
    }

    /// Where the node really listens.
    package private(set) var address = PeerAddress(ip: [0, 0, 0, 0], port: 0)

    /// Opens both sockets on one port; `receive` is called on the event loop.
    ///
    /// - Throws: `StartFailure` when the address can't be had; nothing stays open.
    package func open(_ bind: PeerAddress, receive: @escaping Receive) async throws {
        self.receive = receive
        do {
            let listener = try await listen(on: bind)
            self.listener = listener
            address = PeerAddress(ip: bind.ip, port: UInt16(listener.localAddress?.port ?? 0))
            datagrams = try await openDatagrams(on: address)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw StartFailure(
                "--bind \(bind): the port is taken by another program; stop it, or choose another "
                    + "with --bind HOST:PORT")
        } catch let error as IOError {
            throw StartFailure(
                "--bind \(bind): can't listen (\(String(cString: strerror(error.errnoCode))))")
        }
    }

    private func listen(on bind: PeerAddress) async throws -> any NIOCore.Channel {
        var bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                guard incoming.count < Transport.incomingMax else { return channel.close() }
                incoming[ObjectIdentifier(channel)] = channel
                channel.closeFuture.whenComplete { [self] _ in
                    incoming[ObjectIdentifier(channel)] = nil
                }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        FrameReader { [self] bytes in
                            let source = channel.remoteAddress.flatMap(PeerAddress.init)
                            self.receive(
                                bytes, source ?? PeerAddress(ip: [0, 0, 0, 0], port: 0), .stream)
                        })
                }
            }
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
                            self.receive(bytes, source, .datagram)
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

    /// Sends; on the event loop.
    package func send(_ bytes: [UInt8], to peer: PeerAddress, via channel: Model.Channel) {
        switch channel {
        case .datagram:
            guard let datagrams,
                let target = try? SocketAddress(address.ip.count == 16 ? peer.mapped : peer)
            else { return }
            let buffer = ByteBuffer(bytes: bytes)
            datagrams.writeAndFlush(
                AddressedEnvelope(remoteAddress: target, data: buffer), promise: nil)
        case .stream:
            if peers[peer] == nil { peers[peer] = PeerConnection(peer, loop: loop) }
            peers[peer]?.send(bytes)
        }
    }

    /// Closes all sockets.
    package func close() async {
        try? await listener?.close()
        try? await datagrams?.close()
        let open = try? await loop.submit { [self] in
            for peer in peers.values { peer.close() }
            return Array(incoming.values)
        }.get()
        for channel in open ?? [] { try? await channel.close() }
    }
}

/// A connection to one peer: opened on demand, again after it broke, with a bounded queue.
final class PeerConnection {
    private enum State {
        case idle
        case connecting
        case open(any NIOCore.Channel)
        case resting(until: NIODeadline)
    }

    private let address: PeerAddress
    private let loop: any EventLoop
    private var state = State.idle
    private var waiting: [ByteBuffer] = []
    private var waitingSizeBytes = 0

    /// How many bytes wait for a connection or its peer; what comes on top is dropped.
    static let waitingSizeBytesMax = 16 << 20
    /// How long a peer that could not be reached is left alone.
    static let rest: TimeAmount = .milliseconds(100)

    init(_ address: PeerAddress, loop: any EventLoop) {
        self.address = address
        self.loop = loop
    }

    func send(_ bytes: [UInt8]) {
        var frame = ByteBufferAllocator().buffer(capacity: bytes.count + 4)
        frame.writeInteger(UInt32(bytes.count))
        frame.writeBytes(bytes)
        switch state {
        case .open(let channel):
            // A peer that does not read must not fill this node's memory.
            guard channel.isWritable || waitingSizeBytes < PeerConnection.waitingSizeBytesMax
            else { return }
            waitingSizeBytes += frame.readableBytes
            let size = frame.readableBytes
            channel.writeAndFlush(frame).assumeIsolated().whenComplete { [self] _ in
                waitingSizeBytes -= size
            }
        case .connecting:
            enqueue(frame)
        case .resting(let until) where until > .now():
            break
        case .idle, .resting:
            enqueue(frame)
            connect()
        }
    }

    func close() {
        if case .open(let channel) = state { channel.close(promise: nil) }
        waiting = []
    }

    private func enqueue(_ frame: ByteBuffer) {
        guard waitingSizeBytes + frame.readableBytes <= PeerConnection.waitingSizeBytesMax else {
            return
        }
        waitingSizeBytes += frame.readableBytes
        waiting.append(frame)
    }

    private func connect() {
        state = .connecting
        guard let target = try? SocketAddress(address) else { return fail() }
        ClientBootstrap(group: loop).connectTimeout(.seconds(2))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(to: target).assumeIsolated().whenComplete { [self] result in
                switch result {
                case .success(let channel): opened(channel)
                case .failure: fail()
                }
            }
    }

    private func opened(_ channel: any NIOCore.Channel) {
        state = .open(channel)
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            state = .idle
            waitingSizeBytes = 0
        }
        let frames = waiting
        waiting = []
        waitingSizeBytes = 0
        for frame in frames { channel.write(frame, promise: nil) }
        channel.flush()
    }

    private func fail() {
        state = .resting(until: .now() + PeerConnection.rest)
        waiting = []
        waitingSizeBytes = 0
    }
}

/// Cuts a stream into frames: four bytes of length, big-endian, then the frame.
final class FrameReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var buffer = ByteBuffer()
    private let deliver: ([UInt8]) -> Void

    init(deliver: @escaping ([UInt8]) -> Void) {
        self.deliver = deliver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        buffer.writeBuffer(&part)
        while let size = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) {
            guard size > 0, size <= Model.Channel.frameSizeBytesMax else {
                return context.close(promise: nil)
            }
            guard buffer.readableBytes >= Int(size) + 4 else { break }
            buffer.moveReaderIndex(forwardBy: 4)
            if let bytes = buffer.readBytes(length: Int(size)) { deliver(bytes) }
        }
        buffer.discardReadBytes()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Hands over datagrams with their sources.
final class DatagramReader: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let deliver: ([UInt8], PeerAddress) -> Void

    init(deliver: @escaping ([UInt8], PeerAddress) -> Void) {
        self.deliver = deliver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = PeerAddress(envelope.remoteAddress) else { return }
        deliver(Array(envelope.data.readableBytesView), source)
    }

    /// A refused datagram of ours comes back as an error; the socket goes on.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

extension PeerAddress {
    init?(_ socket: SocketAddress) {
        guard let port = socket.port else { return nil }
        let ip: [UInt8]
        switch socket {
        // Family and port come before the address, with IPv6 the flow label too.
        case .v4(let address): ip = withUnsafeBytes(of: address.address) { Array($0[4..<8]) }
        case .v6(let address): ip = withUnsafeBytes(of: address.address) { Array($0[8..<24]) }
        case .unixDomainSocket: return nil
        }
        self.init(ip: PeerAddress.unmapped(ip), port: UInt16(port))
    }

    /// What an IPv4 address is preceded by where a socket for both kinds shows or takes it.
    ///
    /// Source: RFC 4291, section 2.5.5.2.
    private static let mappedPrefix: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF]

    /// The address for a socket of IPv6.
    var mapped: PeerAddress {
        ip.count == 16 ? self : PeerAddress(ip: PeerAddress.mappedPrefix + ip, port: port)
    }

    private static func unmapped(_ ip: [UInt8]) -> [UInt8] {
        ip.count == 16 && ip.starts(with: mappedPrefix) ? Array(ip.suffix(4)) : ip
    }
}

extension SocketAddress {
    init(_ peer: PeerAddress) throws {
        try self.init(ipAddress: peer.host, port: Int(peer.port))
    }
}
