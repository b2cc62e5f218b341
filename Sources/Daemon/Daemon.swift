import Cluster
import Dispatch
import Foundation
import Glibc
import Gossip
import Hummingbird
import HummingbirdCore
import Logging
import Model
import NIOCore
import NIOPosix
import Runner

/// One run of the daemon, from its settings to its end.
enum Daemon {
    /// What `join` adds to `start`.
    struct Join {
        var seeds: [String]
        var token: String
    }

    static func run(_ settings: DaemonSettings, joining join: Join?) async throws {
        OpenFiles.raise()
        let directory = try DataDirectory(settings.dataDirectory)
        let logger = makeLogger(settings)
        let runner = try makeRunner(settings)
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let transport = Transport(loop: loop)
        let driver = NodeDriver(
            loop: loop, transport: transport, runner: runner,
            dataDirectory: settings.dataDirectory, logger: logger)
        let store = try DurableStore(path: "\(settings.dataDirectory)/state.sqlite") {
            driver.persisted($0, $1)
        }
        let image = try store.load()
        let seeds = try join?.seeds.map { try DaemonSettings.address($0, option: "seed") }
        let origin = try self.origin(image, join)
        try await transport.open(settings.bind) { driver.received($0, from: $1, via: $2) }
        var generator = SystemRandomNumberGenerator()
        let boot = NodeBoot(
            image: image, key: NodeKey(seed: try directory.seed()),
            bootID: BootID(generator.next()), seed: generator.next(),
            containers: runner?.recover() ?? [],
            isSameMachineBoot: try directory.isSameMachineBoot(),
            wallTime: NodeDriver.wallTime)
        let configuration = try configuration(settings, transport.address, seeds)
        let node: Node
        do {
            node = try Node(
                boot: boot, configuration: configuration, origin: origin, at: NodeDriver.now)
        } catch {
            throw StartFailure("--data-dir \(settings.dataDirectory): \(error.message)")
        }
        try checkCluster(node, join)
        try await driver.start(node, store: store)
        if let join, origin == .join, let seeds {
            let reply = try await driver.request(.join(seeds: seeds, token: join.token))
            if case .refused(let refusal) = reply { throw StartFailure("join: \(refusal.message)") }
        }
        try await serve(
            settings, driver, node, configuration, logger, isFounder: origin.isFounding
        ) { await shutDown(driver, transport, store, runner) }
        _ = consume directory
    }

    static func purge(_ dataDirectory: String) throws {
        guard FileManager.default.fileExists(atPath: dataDirectory) else {
            throw StartFailure("--data-dir \(dataDirectory): there is no such directory")
        }
        let directory = try DataDirectory(dataDirectory)
        let configuration: RunnerConfiguration
        do {
            configuration = try RunnerConfiguration(
                dataDirectory: dataDirectory, nodeName: "purge")
            let runner = try ContainerRunner(configuration: configuration)
            runner.purge()
            runner.shutdown()
        } catch {
            throw StartFailure(error.description)
        }
        _ = consume directory
    }

    // MARK: Start

    private static func makeLogger(_ settings: DaemonSettings) -> Logger {
        var logger = Logger(label: "magpie") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: settings.logLevel) ?? .info
        return logger
    }

    private static func makeRunner(_ settings: DaemonSettings) throws -> ContainerRunner? {
        guard settings.takesTasks else { return nil }
        guard geteuid() == 0 else {
            throw StartFailure(
                "running containers needs root for now; start as root, or with --no-tasks for a "
                    + "node that runs nothing")
        }
        do {
            return try ContainerRunner(
                configuration: try RunnerConfiguration(
                    dataDirectory: settings.dataDirectory, nodeName: settings.name,
                    runtime: settings.runtime, rootfs: settings.rootfs,
                    volumesAllowed: settings.volumesAllowed))
        } catch {
            throw StartFailure(error.description)
        }
    }

    private static func origin(_ image: DurableImage, _ join: Join?) throws -> NodeOrigin {
        guard image[.identity].isEmpty else { return .resume }
        if join != nil { return .join }
        var generator = SystemRandomNumberGenerator()
        return .found(nonce: generator.next())
    }

    /// A directory that belongs to one cluster does not join another.
    private static func checkCluster(_ node: Node, _ join: Join?) throws {
        guard let join, let cluster = node.clusterID else { return }
        guard let token = JoinToken(join.token) else {
            throw StartFailure("join: the token is malformed; copy it whole, from mgp1- on")
        }
        guard token.cluster == cluster else {
            throw StartFailure(
                "join: the data directory belongs to another cluster than the token; choose an "
                    + "empty one with --data-dir")
        }
    }

    private static func configuration(
        _ settings: DaemonSettings, _ bound: PeerAddress, _ seeds: [PeerAddress]?
    ) throws -> NodeConfiguration {
        var advertise = settings.advertise ?? bound
        if advertise.ip.allSatisfy({ $0 == 0 }) {
            advertise.ip = ownAddress(towards: seeds?.first)
        }
        if advertise.port == 0 { advertise.port = bound.port }
        var configuration = NodeConfiguration(
            name: settings.name, advertise: advertise, capacity: settings.capacity)
        configuration.labels = settings.labels
        configuration.profile = settings.profile
        configuration.retention = settings.retention
        configuration.volumesAllowed = settings.volumesAllowed
        configuration.takesTasks = settings.takesTasks
        return configuration
    }

    /// The address that packets towards a peer would carry; nothing is sent.
    private static func ownAddress(towards peer: PeerAddress?) -> [UInt8] {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { return [127, 0, 0, 1] }
        defer { close(descriptor) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(9).bigEndian
        // An address of the documentation range: the route that leads out names the interface.
        let ip = peer?.ip.count == 4 ? peer?.ip ?? [] : [192, 0, 2, 1]
        withUnsafeMutableBytes(of: &target.sin_addr) { $0.copyBytes(from: ip) }
        var own = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, size) == 0
            }
        }
        guard isConnected else { return [127, 0, 0, 1] }
        _ = withUnsafeMutablePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size)
            }
        }
        return withUnsafeBytes(of: own.sin_addr) { Array($0) }
    }

    // MARK: Serving

    private static func serve(
        _ settings: DaemonSettings, _ driver: NodeDriver, _ node: Node,
        _ configuration: NodeConfiguration, _ logger: Logger, isFounder: Bool,
        shutDown: () async -> Void
    ) async throws {
        let socket = "\(settings.dataDirectory)/api.sock"
        unlink(socket)
        let server = APIServer(driver: driver)
        var quiet = logger
        quiet.logLevel = .error
        let serverLogger = quiet
        let listening = Countdown(settings.api == nil ? 1 : 2)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                umask(0o177)
                try await server.run(on: .unixDomainSocket(path: socket), logger: serverLogger) {
                    chmod(socket, 0o600)
                    umask(0o022)
                    listening.count()
                }
            }
            if let api = settings.api {
                group.addTask {
                    try await server.run(
                        on: .hostname(api.host, port: Int(api.port)), logger: serverLogger
                    ) { listening.count() }
                }
            }
            group.addTask {
                await listening.wait()
                StandardOutput.line(
                    "ready name=\(configuration.name) id=\(node.id) "
                        + "gossip=\(configuration.advertise) "
                        + "api=\(settings.api.map { "\($0)" } ?? "unix:\(socket)")")
                if isFounder { await printJoinLine(driver, configuration) }
                await Signals.wait(for: [SIGTERM, SIGINT], orUntil: driver)
            }
            // The waiting for a signal is the task that ends without an error.
            try await group.nextSuccessfulOfSignals()
            // First the node: requests that wait for it end, and with them their connections.
            await shutDown()
            unlink(socket)
            group.cancelAll()
            // Everything is on disk; a connection that does not end must not hold the process.
            DispatchQueue.global().asyncAfter(deadline: .now() + Daemon.lingerSeconds) { exit(0) }
            while let result = await group.nextResult() { _ = result }
        }
    }

    /// How long connections of clients may take to end when the daemon goes down, in seconds.
    private static let lingerSeconds = 2.0

    private static func printJoinLine(
        _ driver: NodeDriver, _ configuration: NodeConfiguration
    ) async {
        guard
            case .token(let token)? = try? await driver.request(
                .issueToken(lifetime: .seconds(3_600)))
        else { return }
        StandardError.line(
            "To add a machine within the next hour:\n"
                + "    daemon join \(configuration.advertise) --token \(token)")
    }

    private static func shutDown(
        _ driver: NodeDriver, _ transport: Transport, _ store: DurableStore,
        _ runner: ContainerRunner?
    ) async {
        _ = try? await driver.request(.drain)
        await driver.stop()
        await transport.close()
        store.flush()
        runner?.shutdown()
    }
}

extension ThrowingTaskGroup where ChildTaskResult == Void {
    /// Waits for the first child to end; its error is the group's.
    fileprivate mutating func nextSuccessfulOfSignals() async throws {
        _ = try await next()
    }
}

/// Opens when it was counted down to zero.
final class Countdown: @unchecked Sendable {
    private let lock = NSLock()
    private var left: Int
    private var waiter: CheckedContinuation<Void, Never>?

    init(_ count: Int) {
        left = count
    }

    func count() {
        let opened = lock.withLock {
            left -= 1
            defer { if left == 0 { waiter = nil } }
            return left == 0 ? waiter : nil
        }
        opened?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = lock.withLock {
                if left > 0 { waiter = continuation }
                return left <= 0
            }
            if isOpen { continuation.resume() }
        }
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
        driver.onLeave { continuation.yield() }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
