import AsyncHTTPClient
import Cluster
import ControlAPI
import Foundation
import Gossip
import HummingbirdCore
import Logging
import Model
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Runner

@testable import Daemon
@testable import NodeIO

/// The API of a real node that runs nothing, in this process.
struct TestAPI: Sendable {
    let base: String
    let driver: NodeDriver
    let tokens: APITokenDesk
    let http: HTTPClient

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        var error: ErrorBody.Content? {
            (try? JSONDecoder().decode(ErrorBody.self, from: Data(text.utf8)))?.error
        }

        func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(text.utf8))
        }
    }

    /// Runs `body` beside a node that has founded a cluster of its own.
    ///
    /// With TLS each request needs a token.
    static func run(
        isSecure: Bool = false, _ body: @escaping @Sendable (TestAPI) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/magpie-api-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        var random = SystemRandomNumberGenerator()
        let seed = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        let transport = Transport(loop: loop, identity: try StreamIdentity(seed: seed))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let images = try ImageStore(directory: "\(folder)/images")
        let driver = NodeDriver(
            loop: loop, transport: transport, runner: nil, images: images, dataDirectory: folder,
            logger: logger)
        let store = try DurableStore(path: "\(folder)/state.sqlite") { driver.persisted($0) }
        try await transport.open(
            PeerAddress(ip: [127, 0, 0, 1], port: 0), hooks: driver.hooks)
        try await driver.start(try node(store, transport.address, seed), store: store)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (ports, opened) = AsyncStream<Int>.makeStream()
            let tokens = try APITokenDesk(dataDirectory: folder)
            let door = isSecure ? APIDoor.tls(try certificate(in: folder)) : .openLoopback
            group.addTask {
                try await APIServer(driver: driver, tokens: tokens, door: door).run(
                    on: .hostname("127.0.0.1", port: 0), logger: logger
                ) { port in
                    if let port { opened.yield(port) }
                }
            }
            for await port in ports {
                let http = try isSecure ? client(in: folder) : HTTPClient.shared
                do {
                    try await body(
                        TestAPI(
                            base: "\(isSecure ? "https" : "http")://127.0.0.1:\(port)",
                            driver: driver, tokens: tokens, http: http))
                } catch {
                    if isSecure { try await http.shutdown() }
                    throw error
                }
                if isSecure { try await http.shutdown() }
                break
            }
            await driver.stop()
            await transport.close()
            store.flush()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    private static func certificate(in folder: String) throws -> APICertificate {
        try APICertificate.own(
            in: folder, name: "alone", at: PeerAddress(ip: [127, 0, 0, 1], port: 0))
    }

    /// A client that trusts the node's certificate alone.
    private static func client(in folder: String) throws -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(
            try certificate(in: folder).configuration.certificateChain.compactMap {
                if case .certificate(let certificate) = $0 { certificate } else { nil }
            })
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = tls
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    private static func node(
        _ store: DurableStore, _ address: PeerAddress, _ seed: [UInt8]
    ) throws -> Node {
        var configuration = NodeConfiguration(
            name: "alone", advertise: address,
            capacity: Resources(cpuMillis: 1_000, memoryBytes: 1 << 30))
        configuration.profile = .local
        configuration.takesTasks = false
        var random = SystemRandomNumberGenerator()
        return try Node(
            boot: NodeBoot(
                image: try store.load(), key: NodeKey(seed: seed), bootID: BootID(random.next()),
                seed: random.next(), wallTime: NodeDriver.wallTime),
            configuration: configuration, origin: .found(nonce: random.next()),
            at: NodeDriver.now)
    }

    /// Asks; a string is a body of JSON.
    func ask(
        _ method: HTTPMethod, _ path: String, _ body: String? = nil,
        headers: [(String, String)] = []
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await http.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: 16 << 20)
        return Answer(
            status: Int(response.status.code), headers: response.headers,
            text: String(buffer: bytes))
    }

    /// Opens a stream and hands over its pieces.
    func stream(_ path: String) async throws -> HTTPClientResponse.Body {
        let request = HTTPClientRequest(url: base + path)
        return try await http.execute(request, timeout: .seconds(60)).body
    }

    /// Submits a task, which stays queued: this node runs nothing.
    func submit(_ id: String? = nil, command: String = "true") async throws -> Answer {
        let chosen = id.map { "\"id\":\"\($0)\"," } ?? ""
        return try await ask(
            .POST, "/v1/tasks", "{\(chosen)\"spec\":{\"command\":[\"\(command)\"]}}")
    }
}
