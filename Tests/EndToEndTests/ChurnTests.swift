import Foundation
import Testing

/// Work goes on while daemons die and return.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"))
struct ChurnTests {
    static let taskCount = 200

    @Test func `two hundred tasks end exactly once while daemons are killed and restarted`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            let ids = try await submit(to: cluster.nodes[0], volume: cluster.shared.path)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await churn(cluster) }
                try await eventually("all tasks have ended", within: .seconds(240)) {
                    let tasks = try await cluster.tasks(seenBy: cluster.nodes[0])
                    let ended = ["complete", "failed", "canceled", "lost"]
                    return tasks.count == ids.count && tasks.allSatisfy { ended.contains($0.state) }
                }
                group.cancelAll()
                while let result = await group.nextResult() {
                    if case .failure(let error) = result, !(error is CancellationError) {
                        throw error
                    }
                }
            }
            for task in try await cluster.tasks(seenBy: cluster.nodes[0]) {
                #expect(task.state == "complete", "\(task)")
            }
            let written = try String(
                contentsOf: cluster.shared.appendingPathComponent("ids"), encoding: .utf8)
            let lines = written.split(separator: "\n").map(String.init)
            #expect(Set(lines) == Set(ids))
            #expect(lines.count == ids.count, "a task ran twice")
        }
    }

    /// Nobody but the inviter has ever heard of the admission.
    @Test func `a newcomer works with those who were away, though its inviter is gone`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            try await eventually("three vote") {
                try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
            }
            let inviter = cluster.nodes[0]
            let others = cluster.nodes.dropFirst()
            for node in others { await node.kill() }
            let token = try await Program.run(
                "daemon", ["token", "--data-dir", inviter.dataDirectory.path])
            let newcomer = TestNode(
                name: "newcomer", address: LoopbackAddresses.draw(1)[0],
                dataDirectory: cluster.folder.appendingPathComponent("newcomer"), options: [],
                entrance: [])
            try await newcomer.start([
                "join", inviter.address, "--token",
                token.output.trimmingCharacters(in: .whitespacesAndNewlines),
            ])
            await inviter.kill()
            for node in others { try await node.start(["start"]) }
            for node in others {
                try await eventually("\(node.name) knows the newcomer") {
                    try await cluster.members(seenBy: node).contains {
                        $0.name == newcomer.name && $0.state == "alive"
                    }
                }
            }
            let reply = try await newcomer.client("run", "echo", "hello")
            #expect(reply.code == 0 && reply.output == "hello\n", "\(reply.errors)")
            await newcomer.stop()
            try await newcomer.purge()
        }
    }

    private func submit(to node: TestNode, volume: String) async throws -> [String] {
        var ids: [String] = []
        for _ in 0..<ChurnTests.taskCount {
            let reply = try await node.client(
                "run", "-d", "-v", "\(volume):/shared", "sh", "--", "-c",
                "echo $MAGPIE_TASK_ID >> /shared/ids")
            #expect(reply.code == 0, "\(reply.errors)")
            ids.append(reply.output.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        return ids
    }

    /// Kills one daemon after the other, never the first, and starts it again from its disk.
    private func churn(_ cluster: TestCluster) async throws {
        while !Task.isCancelled {
            for node in cluster.nodes.dropFirst() where !Task.isCancelled {
                await node.kill()
                try await node.start(["start"])
                // Lets it work for a while; the pause shapes the load, no outcome hangs on it.
                try await Task.sleep(for: .seconds(2))
            }
        }
    }
}
