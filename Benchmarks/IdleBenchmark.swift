import ArgumentParser
import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// What tasks that do nothing cost a node in memory, beside themselves.
struct IdleBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idle",
        abstract: "A real daemon with many sleeping tasks: memory of the daemon and of each task.",
        discussion: """
            Sizes are proportional set sizes: pages that processes share count once. A task's own \
            program is not counted, its monitor and its process 1 are.
            """)

    @Option(help: "How many tasks sleep.") var tasks = 500
    @Option(help: "Seconds until they must all run.") var patience = 300.0

    func run() async throws {
        try await BenchFolder.use("idle") { folder in
            let node = try await BenchNode.start(1, in: folder, ["start"])
            do {
                try BenchFolder.print(try await measure(node))
            } catch {
                await node.stop()
                throw error
            }
            await node.stop()
        }
    }

    private func measure(_ node: BenchNode) async throws -> [String: Any] {
        let before = node.residentSizeMiB
        let monitorsBefore = sizes().values.reduce(0, +)
        let clock = ContinuousClock()
        let begin = clock.now
        try await submit(to: node)
        while try await running(on: node) < tasks {
            guard clock.now - begin < .seconds(patience) else {
                throw BenchFailure("\(tasks) tasks do not run within \(patience) seconds")
            }
            try await Task.sleep(for: .milliseconds(500))
        }
        let started = (clock.now - begin) / .seconds(1)
        let sizes = sizes()
        let total = sizes.values.reduce(0, +) - monitorsBefore
        return [
            "tasks": tasks, "seconds_until_all_run": tenth(started),
            "daemon_mib_before": before, "daemon_mib": node.residentSizeMiB,
            "task_kib": tenth(total / Double(tasks)),
            "task_kib_by_program": sizes.mapValues { tenth($0 / Double(tasks)) },
        ]
    }

    private func submit(to node: BenchNode) async throws {
        var spec = SpecView(command: ["sleep", "100000"])
        (spec.cpus, spec.memory) = (0.004, 4 << 20)
        var request = HTTPClientRequest(url: node.url(APIPaths.tasks))
        request.method = .POST
        request.body = .bytes(
            ByteBuffer(bytes: try JSONEncoder().encode(SubmitRequest(spec: spec))))
        for _ in 0..<tasks {
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
            _ = try await response.body.collect(upTo: 1 << 20)
            guard response.status == .created else {
                throw BenchFailure("a submission was answered \(response.status)")
            }
        }
    }

    private func running(on node: BenchNode) async throws -> Int {
        try JSONDecoder().decode(
            [TaskView].self, from: Data(try await node.client(["list", "-o", "json"]).utf8)
        ).count { $0.state == "running" }
    }

    /// The proportional set sizes of monitors, guards and first processes in KiB, by program.
    private func sizes() -> [String: Double] {
        var sizes: [String: Double] = [:]
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard Int(entry) != nil,
                let name = try? String(contentsOfFile: "/proc/\(entry)/comm", encoding: .utf8),
                case let program = name.trimmingCharacters(in: .newlines),
                ["conmon", "magpie-guard", "magpie-init"].contains(program),
                let rollup = try? String(
                    contentsOfFile: "/proc/\(entry)/smaps_rollup", encoding: .utf8),
                let line = rollup.split(separator: "\n").first(where: { $0.hasPrefix("Pss:") }),
                let size = line.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
            else { continue }
            sizes[program, default: 0] += size
        }
        return sizes
    }
}
