import CShims
import Foundation
import Glibc
import Model

/// One thread that sleeps until something happens to a container: an exit file appears, a monitor
/// dies, a log grows.
final class Watcher: @unchecked Sendable {
    /// What the watcher tells, on its own thread.
    struct Handlers: Sendable {
        var exitFileAppeared: @Sendable (String) -> Void
        var monitorDied: @Sendable (ContainerID) -> Void
        var logChanged: @Sendable (ContainerID) -> Void
    }

    private let lock = NSLock()
    private let inotify: Int32
    private let wake: Int32
    private let exitsWatch: Int32
    private var logWatches: [Int32: ContainerID] = [:]
    private var monitors: [ContainerID: Int32] = [:]
    private var isStopped = false
    private let handlers: Handlers

    init(exits: String, handlers: Handlers) throws(RunnerError) {
        self.handlers = handlers
        inotify = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        wake = magpie_eventfd()
        guard inotify >= 0, wake >= 0 else { throw Files.failure("watch", exits) }
        exitsWatch = inotify_add_watch(inotify, exits, UInt32(IN_MOVED_TO))
        guard exitsWatch >= 0 else { throw Files.failure("watch", exits) }
    }

    /// Begins to watch on a thread of its own.
    func start() {
        let thread = Thread { [self] in loop() }
        thread.name = "magpie-watcher"
        thread.start()
    }

    func stop() {
        lock.withLock { isStopped = true }
        rouse()
    }

    /// Watches a container's log, and its monitor's life.
    func watch(_ id: ContainerID, log: String, monitor: pid_t?) {
        let watch = inotify_add_watch(inotify, log, UInt32(IN_MODIFY | IN_CREATE))
        var descriptor: Int32 = -1
        if let monitor { descriptor = magpie_pidfd_open(monitor) }
        lock.withLock {
            if watch >= 0 { logWatches[watch] = id }
            if descriptor >= 0 { monitors[id] = descriptor }
        }
        // Dead already: nobody would tell.
        if monitor != nil, descriptor < 0 { handlers.monitorDied(id) }
        rouse()
    }

    func forget(_ id: ContainerID) {
        lock.withLock {
            for (watch, watched) in logWatches where watched == id {
                inotify_rm_watch(inotify, watch)
                logWatches[watch] = nil
            }
            if let descriptor = monitors.removeValue(forKey: id) { close(descriptor) }
        }
    }

    private func rouse() {
        var one: UInt64 = 1
        _ = write(wake, &one, 8)
    }

    private func loop() {
        while true {
            let (stopped, watched) = lock.withLock {
                (isStopped, monitors.sorted { $0.key < $1.key })
            }
            if stopped { break }
            var descriptors = [
                pollfd(fd: inotify, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
            ]
            descriptors += watched.map { pollfd(fd: $0.value, events: Int16(POLLIN), revents: 0) }
            guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else { continue }
            if descriptors[1].revents != 0 {
                var count: UInt64 = 0
                _ = read(wake, &count, 8)
            }
            // Exit files first: a monitor that ended after writing one has not died.
            if descriptors[0].revents != 0 { readEvents() }
            for (index, monitor) in watched.enumerated()
            where descriptors[index + 2].revents != 0 {
                let isOurs = lock.withLock { monitors.removeValue(forKey: monitor.key) != nil }
                if isOurs {
                    close(monitor.value)
                    handlers.monitorDied(monitor.key)
                }
            }
        }
        close(inotify)
        close(wake)
    }

    /// One read at a time: a program that writes without end must not keep the others waiting.
    private func readEvents() {
        let batch = EventBatch()
        let context = Unmanaged.passUnretained(batch).toOpaque()
        _ = magpie_inotify_read(inotify, context) { context, watch, name in
            guard let context, let name else { return }
            Unmanaged<EventBatch>.fromOpaque(context).takeUnretainedValue()
                .events.append((watch, String(cString: name)))
        }
        var changed: Set<ContainerID> = []
        for (watch, name) in batch.events {
            if watch == exitsWatch {
                handlers.exitFileAppeared(name)
            } else if let id = lock.withLock({ logWatches[watch] }), changed.insert(id).inserted {
                handlers.logChanged(id)
            }
        }
    }

    private final class EventBatch {
        var events: [(Int32, String)] = []
    }
}
