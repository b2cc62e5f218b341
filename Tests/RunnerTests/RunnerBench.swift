import CShims
import Foundation
import Model
import Testing

@testable import Runner

/// A runner on a folder of its own, removed without a trace when the test ends.
final class RunnerBench: @unchecked Sendable {
    struct Timeout: Error, CustomStringConvertible {
        let description: String
    }

    let folder: String
    private(set) var runner: ContainerRunner
    private let lock = NSLock()
    private var seen: [ContainerID: [ContainerEvent]] = [:]
    private var pump: Task<Void, Never>?
    private var lastIndex: UInt64 = 0

    private let settings: (inout RunnerConfiguration) -> Void

    private init(
        _ directory: String, _ settings: @escaping (inout RunnerConfiguration) -> Void
    ) throws {
        self.settings = settings
        folder = directory + "/magpie-runner-\(UUID().uuidString)"
        runner = try RunnerBench.runner(folder, settings)
        runner.arm(until: Instant(nanoseconds: magpie_boottime()) + .seconds(600))
        listen()
    }

    private static func runner(
        _ folder: String, _ settings: (inout RunnerConfiguration) -> Void
    ) throws -> ContainerRunner {
        try Files.makeDirectory(folder)
        var configuration = try RunnerConfiguration(
            dataDirectory: folder, nodeName: "bench",
            runtime: ProcessInfo.processInfo.environment["MAGPIE_TEST_RUNTIME"],
            volumesAllowed: [folder + "/allowed", "/usr"])
        settings(&configuration)
        return try ContainerRunner(configuration: configuration)
    }

    static func run(
        in directory: String = FileManager.default.temporaryDirectory.path,
        with settings: @escaping (inout RunnerConfiguration) -> Void = { _ in },
        _ body: (RunnerBench) async throws -> Void
    ) async throws {
        let bench = try RunnerBench(directory, settings)
        do {
            try await body(bench)
        } catch {
            bench.remove()
            throw error
        }
        let configuration = bench.runner.configuration
        bench.remove()
        let mounts = Files.text("/proc/self/mounts") ?? ""
        let group = "/sys/fs/cgroup/pids/magpie-\(configuration.groupName)"
        guard !mounts.contains(bench.folder), !Files.exists(configuration.runDirectory),
            !Files.exists(group)
        else { throw Timeout(description: "something was left behind of \(bench.folder)") }
    }

    private func remove() {
        runner.shutdown()
        pump?.cancel()
        runner.purge()
        Files.remove(folder)
    }

    /// Whether tests that take much of the machine are to take all that they can use.
    static let isThorough = ProcessInfo.processInfo.environment["MAGPIE_TEST_THOROUGH"] != nil

    /// A new runner on the same folder, as after a restart of the daemon.
    func restart() throws {
        runner = try RunnerBench.runner(folder, settings)
        runner.arm(until: Instant(nanoseconds: magpie_boottime()) + .seconds(600))
        lock.withLock { seen = [:] }
        listen()
    }

    private func listen() {
        let events = runner.events
        pump = Task { [weak self] in
            for await (id, event) in events {
                self?.lock.withLock { self?.seen[id, default: []].append(event) }
            }
        }
    }

    /// Gives the node a lease of this length from now on.
    func arm(for duration: Duration) {
        runner.arm(until: Instant(nanoseconds: magpie_boottime()) + duration)
    }

    func paths(_ id: ContainerID) -> ContainerPaths { ContainerPaths(id, runner.configuration) }

    /// The processes of a container, without the first one of its namespace.
    func processes(_ id: ContainerID) -> [pid_t] { runner.processes(of: paths(id)) }

    /// What tests skip that make groups for tasks and look at them.
    static let hasGroups = OrdinaryUser.current == nil

    /// The guard that listens on this runner's socket, if one does.
    var guardProcess: pid_t? {
        let socket = Array("\(runner.configuration.runDirectory)/guard.sock".utf8)
        return Files.names(in: "/proc").compactMap { pid_t($0) }.first { process in
            let words = Files.read("/proc/\(process)/cmdline")?.split(separator: 0) ?? []
            // Not the first processes of namespaces, which are copies of the guard.
            return words.last.map(Array.init) == socket
                && Files.text("/proc/\(process)/comm") == "magpie-guard"
        }
    }

    static func isRunning(_ process: pid_t) -> Bool {
        guard let text = Files.text("/proc/\(process)/stat") else { return false }
        return !text.contains(") Z ")
    }

    func newID() -> ContainerID {
        lastIndex += 1
        var generator = SystemRandomNumberGenerator()
        let task = TaskID(at: WallTime(milliseconds: 1), using: &generator)
        return ContainerID(task: task, token: FencingToken(generation: 1, index: lastIndex))
    }

    func create(_ id: ContainerID, _ spec: TaskSpec) async throws {
        runner.perform(id, .create(spec))
        try await self.await(id) { $0 == .created || $0.isEnd }
        let end = lock.withLock { seen[id]?.last { $0.isEnd } }
        if case .failed(let failure) = end { throw Timeout(description: failure.message) }
    }

    func start(_ id: ContainerID, _ spec: TaskSpec) async throws {
        try await create(id, spec)
        runner.perform(id, .start)
        try await self.await(id) { $0 == .started }
    }

    func finish(_ id: ContainerID, _ spec: TaskSpec) async throws -> ContainerEvent {
        runner.perform(id, .create(spec))
        try await self.await(id) { $0 == .created || $0.isEnd }
        runner.perform(id, .start)
        return try await end(of: id)
    }

    func end(
        of id: ContainerID, within limit: Duration = .seconds(60)
    ) async throws -> ContainerEvent {
        try await self.await(id, within: limit) { $0.isEnd }
        let end = lock.withLock { seen[id]?.last { $0.isEnd } }
        return try #require(end)
    }

    /// What a container's processes have used, as its end told.
    func usage(of id: ContainerID) -> ResourceUsage? {
        for case .used(let usage) in lock.withLock({ seen[id] ?? [] }) { return usage }
        return nil
    }

    /// What was to be noted about a container.
    func notes(of id: ContainerID) -> [String] {
        lock.withLock { seen[id] ?? [] }.compactMap {
            if case .noted(let text) = $0 { text } else { nil }
        }
    }

    func await(
        _ id: ContainerID, within limit: Duration = .seconds(60),
        _ condition: @escaping (ContainerEvent) -> Bool
    ) async throws {
        try await eventually("\(id): \(lock.withLock { seen[id] ?? [] })", within: limit) {
            lock.withLock { seen[id] ?? [] }.contains(where: condition)
        }
    }

    /// How much of the disk the files of a directory take, in bytes.
    static func diskUse(of directory: String) -> UInt64 {
        Files.names(in: directory).reduce(0) { sum, name in
            var status = stat()
            guard stat("\(directory)/\(name)", &status) == 0 else { return sum }
            return sum + UInt64(status.st_blocks) * 512
        }
    }

    func eventually(
        _ what: String, within limit: Duration = .seconds(60), _ condition: () async -> Bool
    ) async throws {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while await !condition() {
            guard clock.now < end else { throw Timeout(description: "never: \(what)") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    func log(_ id: ContainerID) async -> [LogEntry] {
        var entries: [LogEntry] = []
        var cursor = LogCursor.beginning
        while let chunk = await runner.readLog(id, from: .at(cursor), waitAtMost: .seconds(20)) {
            entries += chunk.entries
            cursor = chunk.next
            if chunk.isEnd { break }
        }
        return entries
    }
}

extension ContainerEvent {
    var isVanished: Bool {
        if case .vanished = self { true } else { false }
    }

    var isEnd: Bool {
        switch self {
        case .created, .started, .noted, .used: false
        case .exited, .failed, .vanished: true
        }
    }
}
