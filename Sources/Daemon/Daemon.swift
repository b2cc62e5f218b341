import Cluster
import Foundation
import Glibc
import Gossip
import Logging
import Model
import NIOCore
import NIOPosix
import NodeIO
import Runner

/// One run of the daemon, from its settings to its end.
enum Daemon {
    /// What `join` adds to `start`.
    struct Join: Sendable {
        var seeds: [String]
        /// A directory that belongs to the cluster already needs none.
        var token: String?
    }

    /// A join that is to be asked for once the node lives.
    private struct Entry: Sendable {
        var seeds: [PeerAddress]
        var token: String
    }

    static func run(_ settings: DaemonSettings, joining join: Join?) async throws {
        OpenFiles.raise()
        umask(0o022)
        let directory = try DataDirectory(settings.dataDirectory)
        if settings.takesTasks { try becomeRoot(for: settings.dataDirectory) }
        let path = "\(settings.dataDirectory)/state.sqlite"
        if !FileManager.default.fileExists(atPath: path) { try directory.checkRoom() }
        let logger = makeLogger(settings)
        let images = try openImages(settings)
        for notice in images.notices { logger.warning("\(notice)") }
        let runner = try makeRunner(settings, images)
        do {
            try await run(settings, join, directory, runner, images, logger)
        } catch {
            // A start that failed leaves nothing behind that it has made.
            runner?.removeIfUnused()
            throw error
        }
        _ = consume directory
    }

    private static func run(
        _ settings: DaemonSettings, _ join: Join?, _ directory: borrowing DataDirectory,
        _ runner: ContainerRunner?, _ images: ImageStore, _ logger: Logger
    ) async throws {
        let path = "\(settings.dataDirectory)/state.sqlite"
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let transport = Transport(
            loop: loop, identity: try StreamIdentity(seed: try directory.keys.seed()))
        let driver = NodeDriver(
            loop: loop, transport: transport, runner: runner, images: images,
            dataDirectory: settings.dataDirectory, logger: logger)
        let (store, image, damage) = try DurableStore.recover(path: path) {
            driver.persisted($0)
        }
        for sentence in damage.sentences { logger.error("\(sentence)") }
        let origin = origin(image, join)
        let entry = try entry(join, origin)
        if origin != .resume { try directory.checkRoom() }
        try await transport.open(settings.bind, hooks: driver.hooks)
        let configuration = configuration(settings, transport.address, entry?.seeds, runner)
        var boot = try boot(image, directory, runner)
        boot.hasLostLock = damage.concernsLock
        let node = try makeNode(boot, configuration, origin, settings)
        try checkCluster(node, join)
        let serving = Serving(
            settings: settings, socket: directory.socket, driver: driver,
            tokens: try APITokenDesk(dataDirectory: settings.dataDirectory),
            advertise: configuration.advertise, certificate: try certificate(settings))
        let upkeep = ImageUpkeep(desk: driver.images, driver: driver)
        let imageTask = Task {
            await upkeep.run(limitBytes: settings.imageSizeBytesMax) { logger.warning("\($0)") }
        }
        defer { imageTask.cancel() }
        try await serving.run(logger: logger) {
            try await driver.start(node, store: store)
            if let entry { try await enter(entry, driver) }
            serving.announce(node, configuration, $0)
            if origin.isFounding { await Serving.printJoinLine(driver, configuration) }
        } end: {
            await shutDown(driver, transport, store, runner)
        }
    }

    static func purge(_ dataDirectory: String) throws {
        guard FileManager.default.fileExists(atPath: dataDirectory) else {
            throw StartFailure("--data-dir \(dataDirectory): there is no such directory")
        }
        let directory = try DataDirectory(dataDirectory)
        try becomeRoot(for: dataDirectory)
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

    /// Begins anew as root of a user namespace, if an ordinary user is to make containers.
    private static func becomeRoot(for dataDirectory: String) throws {
        do {
            try OrdinaryUser.enter(
                for: dataDirectory, arguments: Array(CommandLine.arguments.dropFirst()))
        } catch {
            throw StartFailure(error.description)
        }
    }

    /// What the API shows over TCP; `nil` when it is not asked for, or without TLS.
    private static func certificate(_ settings: DaemonSettings) throws -> APICertificate? {
        guard let api = settings.api, !settings.isAPIOpen else { return nil }
        if let files = settings.apiCertificate {
            return try APICertificate.load(certificate: files.certificate, key: files.key)
        }
        return try APICertificate.own(
            in: settings.dataDirectory, name: settings.name, at: api)
    }

    private static func makeLogger(_ settings: DaemonSettings) -> Logger {
        var logger = Logger(label: "magpie") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        return logger
    }

    private static func openImages(_ settings: DaemonSettings) throws -> ImageStore {
        do {
            return try ContainerRunner.openImages(in: settings.dataDirectory)
        } catch {
            throw StartFailure(error.description)
        }
    }

    private static func makeRunner(
        _ settings: DaemonSettings, _ images: ImageStore
    ) throws -> ContainerRunner? {
        guard settings.takesTasks else { return nil }
        do {
            var configuration = try RunnerConfiguration(
                dataDirectory: settings.dataDirectory, nodeName: settings.name,
                runtime: settings.runtime, rootfs: settings.rootfs,
                volumesAllowed: settings.volumesAllowed)
            configuration.logSizeBytesMax = settings.logSizeBytesMax
            configuration.capabilitiesAllowed = settings.capabilitiesAllowed
            configuration.allowsHostNetwork = settings.allowsHostNetwork
            return try ContainerRunner(configuration: configuration, images: images)
        } catch {
            throw StartFailure(error.description)
        }
    }

    private static func origin(_ image: DurableImage, _ join: Join?) -> NodeOrigin {
        guard image[.identity].isEmpty else { return .resume }
        if join != nil { return .join }
        var generator = SystemRandomNumberGenerator()
        return .found(nonce: generator.next())
    }

    /// Whom to ask with which token; `nil` for a node that is a member already, or founds.
    private static func entry(_ join: Join?, _ origin: NodeOrigin) throws -> Entry? {
        guard let join, origin == .join else { return nil }
        guard let token = join.token else {
            throw StartFailure(
                "join: the token is missing; make one with `daemon token` on a member and give it "
                    + "with --token or MAGPIE_TOKEN")
        }
        return Entry(seeds: try DaemonSettings.seeds(join.seeds), token: token)
    }

    private static func boot(
        _ image: DurableImage, _ directory: borrowing DataDirectory, _ runner: ContainerRunner?
    ) throws -> NodeBoot {
        var generator = SystemRandomNumberGenerator()
        var boot = NodeBoot(
            image: image, key: NodeKey(seed: try directory.keys.seed()),
            bootID: BootID(generator.next()), seed: generator.next(),
            containers: runner?.recover() ?? [],
            isSameMachineBoot: try directory.isSameMachineBoot(), machine: directory.machineID,
            wallTime: NodeDriver.wallTime)
        boot.nextKey = try directory.keys.nextKey()
        return boot
    }

    private static func configuration(
        _ settings: DaemonSettings, _ bound: PeerAddress, _ seeds: [PeerAddress]?,
        _ runner: ContainerRunner?
    ) -> NodeConfiguration {
        var advertise = settings.advertise ?? bound
        if advertise.isWildcard {
            advertise.ip = DaemonSettings.ownAddress(
                towards: seeds?.first, isIPv6: settings.bind.ip.count == 16)
        }
        if advertise.port == 0 { advertise.port = bound.port }
        var configuration = NodeConfiguration(
            name: settings.name, advertise: advertise, capacity: settings.capacity)
        configuration.labels = settings.labels
        configuration.profile = settings.profile
        configuration.policy = settings.policy
        configuration.retention = settings.retention
        configuration.volumesAllowed = settings.volumesAllowed
        configuration.capabilitiesAllowed = settings.capabilitiesAllowed
        configuration.allowsHostNetwork = settings.allowsHostNetwork
        configuration.limitsDisk = runner?.limitsDisk ?? false
        configuration.limitsResources = runner?.limitsResources ?? true
        configuration.hasOtherUsers = runner?.ordinaryUser?.hasOtherUsers ?? true
        configuration.hasUsersToGive = runner?.ordinaryUser == nil
        configuration.takesTasks = settings.takesTasks
        return configuration
    }

    private static func makeNode(
        _ boot: NodeBoot, _ configuration: NodeConfiguration, _ origin: NodeOrigin,
        _ settings: DaemonSettings
    ) throws -> Node {
        do {
            return try Node(
                boot: boot, configuration: configuration, origin: origin, at: NodeDriver.now)
        } catch {
            throw StartFailure("--data-dir \(settings.dataDirectory): \(error.message)")
        }
    }

    /// A directory that belongs to one cluster does not join another.
    private static func checkCluster(_ node: Node, _ join: Join?) throws {
        guard let text = join?.token, let cluster = node.clusterID else { return }
        guard let token = JoinToken(text) else {
            throw StartFailure("join: the token is malformed; copy it whole, from mgp1- on")
        }
        guard token.cluster == cluster else {
            throw StartFailure(
                "join: the data directory belongs to another cluster than the token; choose an "
                    + "empty one with --data-dir")
        }
    }

    private static func enter(_ entry: Entry, _ driver: NodeDriver) async throws {
        let reply = try await driver.request(.join(seeds: entry.seeds, token: entry.token))
        guard case .refused(let refusal) = reply else { return }
        let asked = entry.seeds.map { "\($0)" }.joined(separator: " ")
        throw StartFailure("join \(asked): \(refusal.message)")
    }

    // MARK: End

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
