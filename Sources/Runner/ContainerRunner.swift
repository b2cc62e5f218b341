import Dispatch
import Foundation
import Glibc
package import Model

/// Runs containers under `conmon` and an OCI runtime, so that they outlive the daemon.
///
/// Commands of one container are performed in order; containers are independent of each other.
/// Everything that may block runs on threads of its own, never on Swift's cooperative ones.
package final class ContainerRunner: @unchecked Sendable {
    /// What containers tell, in the order in which it happens to each of them.
    package let events: AsyncStream<(ContainerID, ContainerEvent)>

    let configuration: RunnerConfiguration
    let cgroups: Cgroups
    let bundles: BundleWriter
    let guardian: Guard
    let quota: DiskQuota
    /// The images of this node.
    package let images: ImageStore
    let tell: AsyncStream<(ContainerID, ContainerEvent)>.Continuation
    let pool = DispatchQueue(label: "magpie.runner", attributes: .concurrent)
    let arming = DispatchQueue(label: "magpie.guard")
    let creates = DispatchSemaphore(value: RunnerConfiguration.createsMax)
    let lock = NSLock()
    var watcher: Watcher?

    /// What is known about a container that has not been removed.
    struct Entry {
        let queue: DispatchQueue
        var isCreated = false
        var isStarted = false
        var hasEnded = false
        /// The image that stays for it, whoever wants room.
        var image: ImageDigest?
        /// Which guard it hangs on; `nil` when it does not end with one.
        var guardLife: Guard.Life?
    }

    var entries: [ContainerID: Entry] = [:]
    var calls: [CallKey: RunningCall] = [:]
    var inputs: [ContainerID: CallPump] = [:]
    var lastCall: UInt64 = 0
    let logChanges = LogChanges()
    let rotation = DispatchQueue(label: "magpie.rotation")
    var rotationTimer: (any DispatchSourceTimer)?

    /// Prepares directories and the host's skeleton, and begins to watch.
    ///
    /// - Parameters:
    ///   - configuration: The machine, and its operator's wishes.
    ///   - images: The node's images; opened in its data directory when absent.
    /// - Throws: `RunnerError` when a directory can't be made (no permission), or the seccomp
    ///   profile can't be read.
    package init(
        configuration: RunnerConfiguration, images: ImageStore? = nil
    ) throws(RunnerError) {
        self.configuration = configuration
        cgroups = Cgroups(isRoot: configuration.ordinaryUser == nil)
        bundles = try BundleWriter(configuration: configuration, cgroups: cgroups)
        guardian = Guard(
            program: configuration.guardProgram, socket: "\(configuration.runDirectory)/guard.sock")
        (events, tell) = AsyncStream.makeStream()
        try ContainerRunner.claim(configuration)
        for name in ["bundles", "calls", "exits", "runtime"] {
            try Files.makeDirectory("\(configuration.runDirectory)/\(name)")
        }
        for name in ["layers", "logs"] {
            try Files.makeDirectory("\(configuration.dataDirectory)/\(name)")
        }
        quota = DiskQuota(
            directory: "\(configuration.dataDirectory)/layers",
            isRoot: configuration.ordinaryUser == nil)
        if let images {
            self.images = images
        } else {
            self.images = try ContainerRunner.openImages(in: configuration.dataDirectory)
        }
        try HostRootfs.makeSkeleton(at: "\(configuration.dataDirectory)/host-rootfs")
        let watcher = try Watcher(
            exits: "\(configuration.runDirectory)/exits",
            handlers: Watcher.Handlers(
                exitFileAppeared: { [weak self] name in
                    if let id = ContainerID(name) { self?.exited(id) }
                },
                monitorDied: { [weak self] id in self?.monitorDied(id) },
                logChanged: { [weak self] id in self?.logChanged(id) }))
        self.watcher = watcher
        watcher.start()
        startRotating()
    }

    /// Opens the images of a data directory; one process at a time.
    ///
    /// - Throws: `RunnerError` when its directory can't be used.
    package static func openImages(in dataDirectory: String) throws(RunnerError) -> ImageStore {
        do {
            return try ImageStore(directory: "\(dataDirectory)/images")
        } catch {
            throw RunnerError("--data-dir \(dataDirectory): the images can't be used: \(error)")
        }
    }

    /// The control groups' v2 hierarchy where v1 does the work: runtimes must not see it.
    package var hiddenHierarchy: String? { cgroups.hidden }

    /// Whether what tasks write to disk can be limited here.
    package var limitsDisk: Bool { quota.isEnforced }

    /// Whether memory, processors and processes of tasks can be limited here.
    package var limitsResources: Bool { cgroups.isUsable }

    /// Whose node it is, when it is not root's.
    package var ordinaryUser: OrdinaryUser? { configuration.ordinaryUser }

    /// Performs a command; returns at once.
    package func perform(_ id: ContainerID, _ command: ContainerCommand) {
        queue(of: id).async { [self] in
            switch command {
            case .create(let spec): create(id, spec)
            case .start: start(id)
            case .signal(let signal): signalContainer(id, signal)
            case .stop(let signal): stop(id, signal)
            case .kill: kill(id)
            case .remove: remove(id)
            case .removeLog: removeLog(id)
            }
        }
    }

    /// Measures what a container's processes use, on a thread of its own.
    package func measure(
        _ id: ContainerID, _ handler: @escaping @Sendable (UsageSample?) -> Void
    ) {
        pool.async { [self] in
            guard let entry = entry(id), entry.isCreated, !entry.hasEnded else {
                return handler(nil)
            }
            handler(sample(of: ContainerPaths(id, configuration)))
        }
    }

    /// Has all containers that hang on the node's lease end at this instant of CLOCK_BOOTTIME, even
    /// when this process is gone or frozen by then; returns at once.
    ///
    /// Without it no such container can be made.
    package func arm(until deadline: Instant) {
        // Whoever is told of the lease may make a container at once; the guard hears of it by then.
        guardian.want(deadline)
        arming.async { [self] in guardian.arm() }
    }

    /// Ends watching; containers run on.
    package func shutdown() {
        rotationTimer?.cancel()
        watcher?.stop()
        endAllCalls()
        tell.finish()
        logChanges.releaseAll()
        arming.sync { guardian.release() }
        removeIfUnused()
    }

    /// Removes the run directory when no container is in it; a runner that starts makes it anew.
    package func removeIfUnused() {
        let directory = configuration.runDirectory
        guard rmdir("\(directory)/bundles") == 0 else { return }
        for name in ["/calls", "/exits", "/runtime"] { rmdir(directory + name) }
        if configuration.ordinaryUser != nil { unlink(OrdinaryUser.mark(in: directory)) }
        rmdir(directory)
    }

    // MARK: Bookkeeping

    func queue(of id: ContainerID) -> DispatchQueue {
        lock.withLock {
            if let entry = entries[id] { return entry.queue }
            let queue = DispatchQueue(label: "magpie.container", target: pool)
            entries[id] = Entry(queue: queue)
            return queue
        }
    }

    func update(_ id: ContainerID, _ change: (inout Entry) -> Void) {
        lock.withLock {
            guard var entry = entries[id] else { return }
            change(&entry)
            entries[id] = entry
        }
    }

    func entry(_ id: ContainerID) -> Entry? { lock.withLock { entries[id] } }

}
