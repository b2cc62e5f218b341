import Foundation
import Testing

/// A node's key is renewed while it works; the old one is worth nothing.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct KeyRotationTests {
    @Test func `a node renews its key while its tasks run, and restarts under it`() async throws {
        // Leases of 20 s: the task goes on however slow the machine starts the node again.
        try await TestCluster.run(of: 3, options: ["--profile", "lan"]) { cluster in
            try await eventually("all three vote") {
                try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
            }
            let reply = try await cluster.nodes[0].client("run", "-d", "sleep", "1000")
            #expect(reply.code == 0, "\(reply.errors)")
            let task = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await eventually("it runs") {
                try await cluster.tasks(seenBy: cluster.nodes[0]).first?.state == "running"
            }
            let name = try await cluster.tasks(seenBy: cluster.nodes[0]).first?.node
            let holder = try #require(cluster.nodes.first { $0.name == name })
            let others = cluster.nodes.filter { $0.name != holder.name }
            let identity = try await id(of: holder, seenBy: others[0])
            let old = try key(of: holder)
            let copy = cluster.folder.appendingPathComponent("copy")
            let copied = try await Program.run(
                "/bin/cp", ["-a", holder.dataDirectory.path, copy.path])
            #expect(copied.code == 0)

            for _ in 0..<2 {
                let before = try key(of: holder)
                let rotated = try await Program.run(
                    "daemon", ["rotate-key", "--data-dir", holder.dataDirectory.path])
                #expect(rotated.code == 0, "\(rotated.errors)")
                try await eventually("the new key is kept") { try key(of: holder) != before }
            }
            #expect(
                !FileManager.default.fileExists(
                    atPath: holder.dataDirectory.path + "/node.key.next"))
            #expect(try key(of: holder) != old)
            await holder.kill()
            try await holder.start(["start"])
            for node in cluster.nodes {
                try await eventually("\(node.name) sees all") {
                    try await cluster.aliveCount(seenBy: node) == 3
                }
            }
            #expect(try await id(of: holder, seenBy: others[0]) == identity)
            // The same attempt, and the node works on.
            let seen = try await cluster.tasks(seenBy: others[0]).first { $0.id == task }
            #expect(seen?.attempt == 1 && seen?.state == "running")
            #expect(try await holder.client("run", "true").code == 0)
            try await standsAlone(copy)
            #expect(try await cluster.aliveCount(seenBy: others[0]) == 3)
            #expect(try await others[0].client("cancel", task).code == 0)
            try await eventually("the task has ended") {
                try await cluster.tasks(seenBy: holder).first { $0.id == task }?.state == "canceled"
            }
        }
    }

    /// A copy of the disk from before: nobody answers it.
    private func standsAlone(_ copy: URL) async throws {
        let ghost = TestNode(
            name: "ghost", address: LoopbackAddresses.draw(1)[0], dataDirectory: copy,
            options: ["--no-tasks"], entrance: [])
        try await ghost.start(["start"])
        try await eventually("nobody answers it") {
            let reply = try await ghost.client("nodes", "-o", "json")
            let lines = try JSONDecoder().decode([Line].self, from: Data(reply.output.utf8))
            return lines.count == 3 && lines.count { $0.state == "alive" } == 1
        }
        await ghost.stop()
        try await ghost.purge()
    }

    private func key(of node: TestNode) throws -> Data {
        try Data(contentsOf: node.dataDirectory.appendingPathComponent("node.key"))
    }

    private func id(of node: TestNode, seenBy other: TestNode) async throws -> String? {
        let reply = try await other.client("nodes", "-o", "json")
        let lines = try JSONDecoder().decode([Line].self, from: Data(reply.output.utf8))
        return lines.first { $0.name == node.name }?.id
    }

    private struct Line: Decodable {
        let id: String
        let name: String
        let state: String
    }
}
