import Foundation
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import Subprocess
import SystemPackage

/// Three members of an etcd cluster on loopback, from Debian's package; ended with SIGTERM.
struct EtcdCluster: Sendable {
    let clientPorts: [Int]
    private let runs: [Task<Void, Never>]

    /// `nil` when etcd is not installed.
    static func start(in folder: String) async throws -> EtcdCluster? {
        let program = "/usr/bin/etcd"
        guard FileManager.default.isExecutableFile(atPath: program) else { return nil }
        let clients = [23_791, 23_792, 23_793]
        let peers = [23_801, 23_802, 23_803]
        let members = peers.enumerated().map { "e\($0.offset)=http://127.0.0.1:\($0.element)" }
        let runs = clients.indices.map { index in
            let client = "http://127.0.0.1:\(clients[index])"
            let peer = "http://127.0.0.1:\(peers[index])"
            let arguments = [
                "--name", "e\(index)", "--data-dir", "\(folder)/etcd\(index)",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members.joined(separator: ","),
                "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error",
            ]
            return Task {
                _ = try? await Subprocess.run(
                    .path(FilePath(program)), arguments: Arguments(arguments), input: .none,
                    output: .discarded, error: .discarded
                ) { execution in
                    // Until the benchmark is over.
                    do {
                        try await Task.sleep(for: .seconds(3_600))
                    } catch {
                        await execution.teardown(using: [
                            .gracefulShutDown(allowedDurationToNextStep: .seconds(2))
                        ])
                    }
                }
            }
        }
        return EtcdCluster(clientPorts: clients, runs: runs)
    }

    func stop() async {
        for run in runs { run.cancel() }
        for run in runs { await run.value }
    }

    /// Waits until a claim succeeds on every member.
    func waitUntilReady() async throws {
        for port in clientPorts {
            while true {
                do {
                    let client = try await EtcdClient.connect(port)
                    defer { client.close() }
                    if try await client.claim("ready/\(port)") { break }
                } catch {
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }
    }
}

/// One gRPC connection to an etcd member, with the one call that the benchmark needs.
///
/// Source: etcd 3.4 API reference, "Txn"; gRPC over HTTP2, "Protocol".
struct EtcdClient: Sendable {
    private let channel: any Channel
    private let streams: NIOHTTP2Handler.StreamMultiplexer

    static func connect(_ port: Int) async throws -> EtcdClient {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let channel = try await ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: port).get()
        // etcd measures its bandwidth with pings; more than these limits allow.
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.controlFrameRateLimit.maximumCount = .max
        let streams = try await channel.configureHTTP2Pipeline(
            mode: .client, connectionConfiguration: connection, streamConfiguration: .init()
        ) { $0.close() }.get()
        return EtcdClient(channel: channel, streams: streams)
    }

    func close() { channel.close(promise: nil) }

    /// Compare-and-set: makes the key unless it is there; tells whether it was made.
    func claim(_ key: String) async throws -> Bool {
        let message = EtcdClient.claimMessage(Array(key.utf8))
        let answered = channel.eventLoop.makePromise(of: [UInt8].self)
        let opened = channel.eventLoop.makePromise(of: (any Channel).self)
        streams.createStreamChannel(promise: opened) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(UnaryCall(answered))
            }
        }
        opened.futureResult.whenFailure { answered.fail($0) }
        channel.closeFuture.whenComplete { _ in
            opened.fail(BenchFailure("etcd has closed the connection"))
        }
        let stream = try await opened.futureResult.get()
        let headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":path": "/etcdserverpb.KV/Txn",
            ":authority": "127.0.0.1", "content-type": "application/grpc", "te": "trailers",
        ]
        stream.write(HTTP2Frame.FramePayload.headers(.init(headers: headers)), promise: nil)
        var body = stream.allocator.buffer(capacity: message.count + 5)
        body.writeInteger(UInt8(0))
        body.writeInteger(UInt32(message.count))
        body.writeBytes(message)
        stream.writeAndFlush(
            HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(body), endStream: true)),
            promise: nil)
        return EtcdClient.hasSucceeded(try await answered.futureResult.get())
    }

    /// `TxnRequest`: if the key's create revision is 0, put it.
    private static func claimMessage(_ key: [UInt8]) -> [UInt8] {
        func field(_ tag: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            [tag << 3 | 2, UInt8(bytes.count)] + bytes
        }
        // Compare: result EQUAL (0, left out), target CREATE (1), key, create_revision 0.
        let compare = [1 << 3 | 0, 0, 2 << 3 | 0, 1] + field(3, key) + [5 << 3 | 0, 0]
        let put = field(1, key) + field(2, Array("holder".utf8))
        return field(1, compare) + field(2, field(2, put))
    }

    /// Field 2 of `TxnResponse`: a varint after the header.
    private static func hasSucceeded(_ body: [UInt8]) -> Bool {
        var rest = body.dropFirst(5)
        while let tag = rest.popFirst() {
            switch tag & 7 {
            case 0:
                let value = rest.popFirst() ?? 0
                if tag >> 3 == 2 { return value == 1 }
            case 2:
                let size = rest.popFirst() ?? 0
                rest = rest.dropFirst(Int(size))
            default: return false
            }
        }
        return false
    }
}

/// Gathers the answer of one call.
private final class UnaryCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload

    private let answer: EventLoopPromise<[UInt8]>
    private var body: [UInt8] = []

    init(_ answer: EventLoopPromise<[UInt8]>) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .data(let part):
            if case .byteBuffer(let buffer) = part.data { body += buffer.readableBytesView }
        case .headers(let headers) where headers.endStream:
            let status = headers.headers.first(name: "grpc-status")
            if status == "0" {
                answer.succeed(body)
            } else {
                answer.fail(BenchFailure("etcd answers with gRPC status \(status ?? "none")"))
            }
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(BenchFailure("etcd has closed the connection"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer.fail(error)
    }
}
