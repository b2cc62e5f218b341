import Gossip
import Model
import NIOCore
import NIOPosix
import NIOSSL

/// A connection to one node: opened on demand, with a bounded queue; told apart from others by
/// where the node is said to be and which one it is.
///
/// Everything happens on the transport's event loop.
final class PeerConnection: @unchecked Sendable {
    struct Destination: Hashable {
        var address: PeerAddress
        /// `.none` when any node will do.
        var node: NodeID
    }

    private enum State {
        case idle
        case connecting
        case open(any NIOCore.Channel)
        /// The node could not be reached, and is left alone for a while.
        case resting
        case closed
    }

    private let destination: Destination
    private let identity: StreamIdentity
    private let limits: StreamLimits
    private let loop: any EventLoop
    private let standing: (NodeID) -> StreamStanding
    private let refused: (StreamRefusal) -> Void
    /// Called once, when the connection is of no use any more.
    private let ended: (PeerConnection) -> Void
    private var state = State.idle
    private var isRetired = false
    private var waiting: [ByteBuffer] = []
    private var waitingSizeBytes = 0
    private var lastUsed = NIODeadline.now()

    /// How many bytes wait for a connection or its peer; what comes on top is dropped.
    static let waitingSizeBytesMax = 16 << 20
    /// How long a peer that could not be reached is left alone.
    static let rest: TimeAmount = .milliseconds(100)

    init(
        _ destination: Destination, as identity: StreamIdentity, limits: StreamLimits,
        loop: any EventLoop, standing: @escaping (NodeID) -> StreamStanding,
        refused: @escaping (StreamRefusal) -> Void,
        ended: @escaping (PeerConnection) -> Void
    ) {
        self.destination = destination
        self.identity = identity
        self.limits = limits
        self.loop = loop
        self.standing = standing
        self.refused = refused
        self.ended = ended
    }

    func send(_ bytes: [UInt8]) {
        lastUsed = .now()
        var frame = ByteBufferAllocator().buffer(capacity: bytes.count + 4)
        frame.writeInteger(UInt32(bytes.count))
        frame.writeBytes(bytes)
        switch state {
        case .open(let channel):
            // A peer that does not read must not fill this node's memory.
            guard channel.isWritable || waitingSizeBytes < PeerConnection.waitingSizeBytesMax
            else { return }
            write(frame, to: channel)
        case .connecting:
            enqueue(frame)
        case .idle:
            enqueue(frame)
            connect()
        case .resting, .closed:
            break
        }
    }

    /// Says what it has yet to say, and ends; nothing more will be sent.
    func retire() {
        isRetired = true
        switch state {
        case .open(let channel) where waitingSizeBytes == 0: channel.close(promise: nil)
        case .open, .connecting: break
        case .idle, .resting, .closed: close()
        }
    }

    /// Whether it is open, has nothing to say, and had nothing to say since then.
    func isIdle(since time: NIODeadline) -> Bool {
        guard case .open = state else { return false }
        return waitingSizeBytes == 0 && lastUsed < time
    }

    func close() {
        if case .open(let channel) = state { channel.close(promise: nil) }
        end()
    }

    private func write(_ frame: ByteBuffer, to channel: any NIOCore.Channel) {
        let size = frame.readableBytes
        waitingSizeBytes += size
        channel.writeAndFlush(frame).assumeIsolated().whenComplete { [self] _ in
            waitingSizeBytes -= size
            if isRetired, waitingSizeBytes == 0 { channel.close(promise: nil) }
        }
    }

    private func enqueue(_ frame: ByteBuffer) {
        guard waitingSizeBytes + frame.readableBytes <= PeerConnection.waitingSizeBytesMax else {
            return
        }
        waitingSizeBytes += frame.readableBytes
        waiting.append(frame)
    }

    // MARK: Opening

    private func connect() {
        state = .connecting
        guard let target = try? SocketAddress(destination.address) else { return fail() }
        ClientBootstrap(group: loop).connectTimeout(.seconds(2))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(to: channel) }
            }
            .connect(to: target).assumeIsolated().whenComplete { [self] result in
                if case .failure = result { fail() }
            }
    }

    private func addHandlers(to channel: any NIOCore.Channel) throws {
        let node = destination.node
        var isOther = false
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(
            identity.caller { [standing] key in
                isOther = !standing(key).answers(for: node)
                return !isOther
            })
        try pipeline.addHandler(
            HandshakeWatch(limit: limits.handshakeTime) { [self] refusal in
                guard let refusal else { return opened(channel) }
                // What could not be reached at all was no handshake.
                if channel.remoteAddress != nil || isOther {
                    refused(isOther ? .otherKey : refusal)
                }
                fail()
            })
    }

    private func opened(_ channel: any NIOCore.Channel) {
        guard case .connecting = state else { return channel.close(promise: nil) }
        state = .open(channel)
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in end() }
        let frames = waiting
        waiting = []
        waitingSizeBytes = 0
        for frame in frames { write(frame, to: channel) }
        if isRetired, frames.isEmpty { channel.close(promise: nil) }
    }

    // MARK: Ends

    private func fail() {
        guard case .connecting = state else { return }
        state = .resting
        waiting = []
        waitingSizeBytes = 0
        loop.assumeIsolated().scheduleTask(in: PeerConnection.rest) { [self] in end() }
    }

    private func end() {
        if case .closed = state { return }
        state = .closed
        waiting = []
        ended(self)
    }
}
