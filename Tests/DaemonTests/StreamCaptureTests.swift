import Model
import NIOCore
import NIOPosix
import Testing

@testable import NodeIO

/// Somebody listens on the wire between two nodes.
@Suite(.timeLimit(.minutes(1)))
struct StreamCaptureTests {
    @Test func `nothing of a frame can be read on the wire`() async throws {
        let (here, there) = (try await StreamPeer.open(), try await StreamPeer.open())
        let wiretap = try await Wiretap.open(before: there.address)
        let secret = Array("--env PASSWORD=hunter2 output of the task".utf8)
        let frame = StreamPeer.frame(
            of: here.id, Array(repeating: secret, count: 100).flatMap { $0 })
        // The node is called at the address of the wiretap; its key is its own.
        try await here.send(frame, to: wiretap.address, of: there.id)
        #expect(await there.next()?.bytes == frame)
        let heard = await wiretap.close()
        #expect(heard.count > frame.count)
        #expect(!contains(heard, secret))
        // Nor whose certificates they are.
        for id in [here.id, there.id] {
            #expect(!contains(heard, id.value.bytes.prefix(16).map { $0 }))
        }
        #expect(contains(heard, Array(StreamIdentity.protocolName.utf8)), "nothing was heard")
        await here.close()
        await there.close()
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard let first = part.first, bytes.count >= part.count else { return false }
        return (0...(bytes.count - part.count)).contains { start in
            bytes[start] == first && bytes[start..<(start + part.count)].elementsEqual(part)
        }
    }
}

/// Passes bytes on in both directions, and keeps a copy.
private final class Wiretap: @unchecked Sendable {
    private let loop: any EventLoop
    private var heard: [UInt8] = []
    private var channels: [any NIOCore.Channel] = []
    private(set) var address = PeerAddress(ip: StreamPeer.ipv4, port: 0)

    private init(loop: any EventLoop) {
        self.loop = loop
    }

    static func open(before target: PeerAddress) async throws -> Wiretap {
        let wiretap = Wiretap(loop: MultiThreadedEventLoopGroup.singleton.next())
        let listener = try await ServerBootstrap(group: wiretap.loop)
            .childChannelInitializer { near in
                ClientBootstrap(group: wiretap.loop)
                    .channelInitializer { far in
                        wiretap.join(far, to: near)
                        return far.eventLoop.makeSucceededVoidFuture()
                    }
                    .connect(host: target.host, port: Int(target.port))
                    .map { wiretap.join(near, to: $0) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        wiretap.channels.append(listener)
        wiretap.address.port = UInt16(listener.localAddress?.port ?? 0)
        return wiretap
    }

    private func join(_ channel: any NIOCore.Channel, to other: any NIOCore.Channel) {
        channels.append(channel)
        try? channel.pipeline.syncOperations.addHandler(
            Tap { [self] bytes in
                heard += Array(bytes.readableBytesView)
                other.writeAndFlush(bytes, promise: nil)
            })
    }

    /// Ends all connections, and returns all bytes that have passed.
    func close() async -> [UInt8] {
        let all = try? await loop.submit { [self] in channels }.get()
        for channel in all ?? [] { try? await channel.close() }
        return (try? await loop.submit { [self] in heard }.get()) ?? []
    }

    private final class Tap: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let take: (ByteBuffer) -> Void

        init(take: @escaping (ByteBuffer) -> Void) {
            self.take = take
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            take(unwrapInboundIn(data))
        }
    }
}
