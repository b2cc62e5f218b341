import Cluster
import Dispatch
import Foundation
import Glibc
import Hummingbird
import Logging
import Model
import NIOCore
import NodeIO

/// The time in which a daemon serves clients: from open sockets to a signal.
///
/// The sockets come first, so that a port that is taken is found out before the node begins to live.
struct Serving: Sendable {
    let settings: DaemonSettings
    /// The path of the local socket.
    let socket: String
    let driver: NodeDriver
    let tokens: APITokenDesk
    /// Where others reach this node.
    let advertise: PeerAddress
    /// What the API shows over TCP; `nil` without TLS.
    let certificate: APICertificate?

    /// How long connections of clients may take to end when the daemon goes down, in seconds.
    private static let lingerSeconds = 2.0

    /// Serves until a signal comes.
    ///
    /// `begin` brings the node to life, and is told where the API listens; `end` ends its life, and
    /// happens in any case, also when `begin` throws or a socket can't be opened.
    func run(
        logger: Logger, begin: @escaping @Sendable (_ api: String) async throws -> Void,
        end: () async -> Void
    ) async throws {
        unlink(socket)
        let doors = Doors(settings.api == nil ? 1 : 2)
        try await withThrowingTaskGroup(of: Void.self) { group in
            open(doors, logger, in: &group)
            group.addTask {
                guard let ports = await doors.allOpen() else { return }
                try await begin(ports.first.map { "\($0)" } ?? "unix:\(socket)")
                await Signals.wait(for: [SIGTERM, SIGINT], orUntil: driver)
                if let failure = await driver.failure() { throw failure }
            }
            // Whichever ends first ends it all: the wait for a signal, or a failure.
            let first = await group.nextResult()
            // First the node: requests that wait for it end, and with them their connections.
            await end()
            unlink(socket)
            group.cancelAll()
            Serving.limitLinger(after: first)
            while let result = await group.nextResult() { _ = result }
            if case .failure(let error) = first { throw error }
        }
    }

    /// All is on disk: a connection that does not end must not hold the process.
    private static func limitLinger(after first: Result<Void, any Error>?) {
        var message: String?
        if case .failure(let error) = first {
            message = (error as? StartFailure)?.message ?? "\(error)"
        }
        let words = message
        DispatchQueue.global().asyncAfter(deadline: .now() + lingerSeconds) {
            if let words { StandardError.line("daemon: \(words)") }
            exit(words == nil ? 0 : 1)
        }
    }

    private func open(
        _ doors: Doors, _ logger: Logger, in group: inout ThrowingTaskGroup<Void, any Error>
    ) {
        var server = APIServer(driver: driver, tokens: tokens)
        if let api = settings.api, let certificate {
            let address = PeerAddress(
                ip: api.isWildcard ? advertise.ip : api.ip, port: api.port)
            server.tls = ("\(address)", "\(certificate.fingerprint)")
        }
        let local = server
        let socket = socket
        // The server reports its clients' broken connections; that is no news.
        var quiet = logger
        quiet.logLevel = .critical
        let serverLogger = quiet
        group.addTask {
            try await Serving.naming("the socket \(socket)", remedy: "check its directory") {
                try await local.run(
                    on: .unixDomainSocket(path: socket), logger: serverLogger
                ) { _ in
                    chmod(socket, 0o600)
                    doors.opened(nil)
                }
            }
        }
        guard let api = settings.api else { return }
        server.door = certificate.map { .tls($0) } ?? .openLoopback
        let remote = server
        group.addTask {
            try await Serving.naming(
                "--api \(api)", remedy: "stop the program that has it, or choose another port"
            ) {
                try await remote.run(
                    on: .hostname(api.host, port: Int(api.port)), logger: serverLogger
                ) { port in
                    doors.opened(PeerAddress(ip: api.ip, port: UInt16(port ?? Int(api.port))))
                }
            }
        }
    }

    /// Gives an error of the operating system its subject and a remedy.
    private static func naming(
        _ subject: String, remedy: String, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as IOError {
            let cause = String(cString: strerror(error.errnoCode))
            throw StartFailure("\(subject): can't listen (\(cause)); \(remedy)")
        }
    }

    // MARK: What is said

    func announce(_ node: Node, _ configuration: NodeConfiguration, _ api: String) {
        let fingerprint = certificate.map { " fingerprint=\($0.fingerprint)" } ?? ""
        StandardOutput.line(
            "ready name=\(configuration.name) id=\(node.id) gossip=\(configuration.advertise) "
                + "api=\(api)\(fingerprint)")
    }

    static func printJoinLine(_ driver: NodeDriver, _ configuration: NodeConfiguration) async {
        guard
            case .token(let token, _)? = try? await driver.request(
                .issueToken(lifetime: .seconds(3_600)))
        else { return }
        StandardError.line(
            "To add a machine within the next hour:\n"
                + "    daemon join \(configuration.advertise) --token \(token)")
    }
}

/// Counts the sockets that have been opened.
struct Doors: Sendable {
    private let count: Int
    private let stream: AsyncStream<PeerAddress?>
    private let continuation: AsyncStream<PeerAddress?>.Continuation

    init(_ count: Int) {
        self.count = count
        (stream, continuation) = AsyncStream.makeStream()
    }

    /// - Parameter address: Where; `nil` for the local socket.
    func opened(_ address: PeerAddress?) { continuation.yield(address) }

    /// Waits until all are open.
    ///
    /// - Returns: The addresses; `nil` when the wait was canceled.
    func allOpen() async -> [PeerAddress]? {
        var left = count
        var addresses: [PeerAddress] = []
        for await address in stream {
            if let address { addresses.append(address) }
            left -= 1
            if left == 0 { return addresses }
        }
        return nil
    }
}

/// Waits for signals without interrupting anything.
enum Signals {
    static func wait(for signals: [Int32], orUntil driver: NodeDriver) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let sources = signals.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.resume()
            return source
        }
        driver.onEnd { continuation.yield() }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
