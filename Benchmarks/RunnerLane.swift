import CShims
import Foundation
import Model
import Runner

/// Magpie's own runner, for the time of a benchmark.
final class RunnerLane: @unchecked Sendable {
    let runner: ContainerRunner
    let configuration: RunnerConfiguration
    private let lock = NSLock()
    private var waiting: [ContainerID: AsyncStream<ContainerEvent>.Continuation] = [:]
    private var lastIndex: UInt64 = 0
    private var pump: Task<Void, Never>?

    init(in folder: String) throws {
        configuration = try RunnerConfiguration(dataDirectory: folder, nodeName: "bench")
        runner = try ContainerRunner(configuration: configuration)
        runner.arm(until: Instant(nanoseconds: magpie_boottime()) + .seconds(3_600))
        let events = runner.events
        pump = Task { [weak self] in
            for await (id, event) in events { self?.tell(id, event) }
        }
    }

    func close() {
        runner.shutdown()
        pump?.cancel()
        runner.purge()
    }

    private func tell(_ id: ContainerID, _ event: ContainerEvent) {
        lock.withLock { waiting[id] }?.yield(event)
    }

    private func begin() -> (ContainerID, AsyncStream<ContainerEvent>) {
        let (stream, continuation) = AsyncStream<ContainerEvent>.makeStream()
        return lock.withLock {
            lastIndex += 1
            let id = ContainerID(
                task: TaskID(Wide128(high: 0x7000, low: lastIndex)),
                token: FencingToken(generation: 1, index: lastIndex))
            waiting[id] = continuation
            return (id, stream)
        }
    }

    private func end(_ id: ContainerID) {
        lock.withLock { _ = waiting.removeValue(forKey: id) }
        runner.perform(id, .remove)
        runner.perform(id, .removeLog)
    }

    /// Makes, starts and removes a container; returns the milliseconds until it was started.
    func cycle(_ spec: TaskSpec) async throws -> Double {
        let (id, events) = begin()
        defer { end(id) }
        let clock = ContinuousClock()
        let start = clock.now
        var started = 0.0
        runner.perform(id, .create(spec))
        for await event in events {
            switch event {
            case .created: runner.perform(id, .start)
            case .started: started = (clock.now - start) / .milliseconds(1)
            case .exited: return started
            case .used: break
            default: throw BenchFailure("a container ended as \(event)")
            }
        }
        throw BenchFailure("the runner says nothing any more")
    }

    /// The configuration that the runner writes for a spec.
    func sampleConfiguration(_ spec: TaskSpec) async throws -> Data {
        let (id, events) = begin()
        defer {
            runner.perform(id, .kill)
            end(id)
        }
        runner.perform(id, .create(spec))
        for await event in events {
            guard case .created = event else {
                throw BenchFailure("a container ended as \(event)")
            }
            let path = "\(configuration.runDirectory)/bundles/\(id)/config.json"
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
        throw BenchFailure("the runner says nothing any more")
    }
}
