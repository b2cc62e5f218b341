import ArgumentParser
import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1

/// Three real daemons on loopback: latency of one task, throughput of many, submissions.
struct ClusterBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Three daemons on this machine: 'client run true', 200 tasks, submissions.")

    @Option(help: "How many times 'client run true' is timed.") var runs = 30
    @Option(help: "How many detached tasks are timed.") var tasks = 200
    @Option(help: "How many submissions are timed.") var submissions = 2_000
    @Option(help: "How many submissions are under way at a time.") var concurrency = 32

    func run() async throws {
        try await BenchFolder.use("bench") { folder in
            var nodes: [BenchNode] = []
            do {
                nodes = try await form(folder)
                try BenchFolder.print(try await measure(nodes))
            } catch {
                for node in nodes { await node.stop() }
                throw error
            }
            for node in nodes { await node.stop() }
        }
    }

    private func form(_ folder: String) async throws -> [BenchNode] {
        let first = try await BenchNode.start(1, in: folder, ["start"])
        let token = try await Program.run("daemon", ["token", "--data-dir", first.directory])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        var nodes = [first]
        for number in 2...3 {
            nodes.append(
                try await BenchNode.start(
                    number, in: folder, ["join", first.address, "--token", token]))
        }
        // Three voters are part of what is measured.
        while true {
            let views = try JSONDecoder().decode(
                [NodeView].self,
                from: Data(try await first.client(["nodes", "-o", "json"]).utf8))
            if views.count(where: { $0.voter && $0.state == "alive" }) == 3 { return nodes }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func measure(_ nodes: [BenchNode]) async throws -> [String: Any] {
        let node = nodes[0]
        let phases = TaskPhases()
        try await phases.follow(node)
        let sample = try await time { try await node.client(["run", "true"]) }
        await phases.stop()
        // What is left when no task runs: starting the client, one answer.
        let idle = try await time { try await node.client(["list", "-o", "name"]) }
        let (completed, tasksPerSecond) = try await runTasks(on: node)
        let before = nodes.map(\.residentSizeMiB)
        let submissionsPerSecond = try await submit(
            to: node, count: submissions, constraints: ["nowhere=1"])
        let after = nodes.map(\.residentSizeMiB)
        return [
            "run_true_ms_p50": tenth(sample.quantile(0.5)),
            "run_true_ms_p90": tenth(sample.quantile(0.9)),
            "run_true_ms_min": tenth(sample.quantile(0)), "tasks_completed": completed,
            "list_ms_p50": tenth(idle.quantile(0.5)), "phases": await phases.report(),
            "tasks_per_second": tenth(tasksPerSecond),
            "submissions_per_second": tenth(submissionsPerSecond),
            "daemons_mib_before_submissions": before, "daemons_mib_after_submissions": after,
        ]
    }

    private func time(_ body: () async throws -> Void) async throws -> Sample {
        var latencies: [Double] = []
        for _ in 0..<runs {
            let elapsed = try await ContinuousClock().measure { try await body() }
            latencies.append(elapsed / .milliseconds(1))
        }
        return Sample(latencies)
    }

    private func runTasks(on node: BenchNode) async throws -> (Int, Double) {
        let clock = ContinuousClock()
        let begin = clock.now
        _ = try await submit(to: node, count: tasks, constraints: [])
        while true {
            let views = try JSONDecoder().decode(
                [TaskView].self,
                from: Data(try await node.client(["list", "-o", "json"]).utf8))
            let completed = views.count { $0.state == "complete" } - runs
            if completed >= tasks {
                return (completed, Double(tasks) / ((clock.now - begin) / .seconds(1)))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Submits over the local socket; returns how many were acknowledged a second.
    private func submit(
        to node: BenchNode, count: Int, constraints: [String]
    ) async throws -> Double {
        var spec = SpecView(command: ["true"])
        spec.constraints = constraints
        let body = try JSONEncoder().encode(SubmitRequest(spec: spec))
        var request = HTTPClientRequest(url: node.url(APIPaths.tasks))
        request.method = .POST
        request.body = .bytes(ByteBuffer(bytes: body))
        let clock = ContinuousClock()
        let workers = concurrency
        let ready = request
        let elapsed = try await clock.measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<workers {
                    group.addTask {
                        for _ in stride(from: worker, to: count, by: workers) {
                            let response = try await HTTPClient.shared.execute(
                                ready, timeout: .seconds(60))
                            _ = try await response.body.collect(upTo: 1 << 20)
                            guard response.status == .created else {
                                throw BenchFailure("a submission was answered \(response.status)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        return Double(count) / (elapsed / .seconds(1))
    }
}
