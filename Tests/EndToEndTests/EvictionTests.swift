import Foundation
import SystemPackage
import Testing

/// A node is shut out for good: what it ran runs elsewhere, once, and its key opens nothing.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct EvictionTests {
    @Test func `tasks of an evicted node run elsewhere once, and it can't come back`() async throws
    {
        try await TestCluster.run(of: 4) { cluster in
            try await eventually("three vote") {
                try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
            }
            let ids = try await startTasks(in: cluster)
            let holder = try await holder(of: ids[0], cluster)
            let others = cluster.nodes.filter { $0.name != holder.name }
            let moved = try await cluster.tasks(seenBy: others[0]).filter {
                $0.node == holder.name
            }.map(\.id)
            let copy = try await copy(of: holder, in: cluster)

            let reply = try await others[0].client("nodes", "evict", holder.name)
            #expect(reply.code == 0, "\(reply.errors)")
            #expect(reply.output == holder.name + "\n")
            for node in others {
                try await eventually("\(node.name) shows it") {
                    try await evictions(seenBy: node) == [holder.name: others[0].name]
                }
            }
            try await eventually("its tasks run elsewhere") {
                try await cluster.tasks(seenBy: others[0]).filter { moved.contains($0.id) }
                    .allSatisfy {
                        $0.attempt == 2 && $0.state == "running" && $0.node != holder.name
                    }
            }
            for id in moved { try await runsOnce(id, in: cluster) }
            try await isShutOut(holder, others, copy, in: cluster)
            for id in ids { #expect(try await others[0].client("cancel", id).code == 0) }
            try await eventually("the tasks have ended") {
                try await cluster.tasks(seenBy: others[0]).allSatisfy { $0.state == "canceled" }
            }
        }
    }

    @Test func `what makes no sense is refused, and any voter can be evicted`() async throws {
        try await TestCluster.run(of: 4) { cluster in
            let asker = cluster.nodes[0]
            try await eventually("three vote") {
                try await cluster.members(seenBy: asker).count { $0.voter } == 3
            }
            let unknown = try await asker.client("nodes", "evict", "nobody")
            #expect(unknown.code == 1 && unknown.errors.contains("there is no node nobody"))
            let itself = try await asker.client("nodes", "evict", asker.name)
            #expect(itself.code == 1 && itself.errors.contains("can't evict itself"))
            // It has let in everybody else: a cascade would leave nobody.
            let cascade = try await cluster.nodes[1].client(
                "nodes", "evict", "--cascade", asker.name)
            #expect(cascade.code == 1, "\(cascade.output)")
            #expect(cascade.errors.contains("would evict that one as well"), "\(cascade.errors)")

            // The lock's leader, by another member.
            let leader = try await leader(seenBy: asker)
            let others = cluster.nodes.filter { $0.name != leader }
            let reply = try await others[0].client("nodes", "evict", leader)
            #expect(reply.code == 0, "\(reply.errors)")
            try await eventually("the others go on") {
                try await others[0].client("run", "true").code == 0
            }
            let again = try await others[1].client("nodes", "evict", leader)
            #expect(again.code == 1 && again.errors.contains("evicted already"), "\(again.errors)")

            // Without the lock's voters it waits for them.
            try await eventually("three vote again") {
                try await cluster.members(seenBy: others[0]).count { $0.voter } == 3
            }
            for node in others.dropFirst() { await node.kill() }
            let waiting = try await others[0].client("nodes", "evict", others[1].name)
            #expect(waiting.code == 1)
            #expect(waiting.errors.contains("waiting for"), "\(waiting.errors)")
            for node in others.dropFirst() { try await node.start(["start"]) }
            try await eventually("it is done then") {
                try await evictions(seenBy: others[0])[others[1].name] == others[0].name
            }
        }
    }

    // MARK: Parts

    /// Tasks of both kinds, as many as there are nodes; each writes its token again and again.
    private func startTasks(in cluster: TestCluster) async throws -> [String] {
        var ids: [String] = []
        for number in 0..<4 {
            let reply = try await cluster.nodes[0].client(
                "run", "-d", "--on-partition", number.isMultiple(of: 2) ? "wait" : "rerun", "-v",
                "\(cluster.shared.path):/shared", "sh", "--", "-c",
                "while :; do echo $MAGPIE_TOKEN >> /shared/$MAGPIE_TASK_ID; sleep 0.01; done")
            #expect(reply.code == 0, "\(reply.errors)")
            ids.append(reply.output.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        try await eventually("all run") {
            ids.allSatisfy { tokens(of: $0, in: cluster).count > 5 }
        }
        return ids
    }

    private func holder(of task: String, _ cluster: TestCluster) async throws -> TestNode {
        let name = try await cluster.tasks(seenBy: cluster.nodes[0]).first { $0.id == task }?.node
        return try #require(cluster.nodes.first { $0.name == name })
    }

    private func tokens(of task: String, in cluster: TestCluster) -> [String] {
        let file = cluster.shared.appendingPathComponent(task)
        return ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n")
            .map(String.init)
    }

    /// The first copy wrote nothing after the second one had begun.
    private func runsOnce(_ task: String, in cluster: TestCluster) async throws {
        try await eventually("\(task) goes on") {
            Set(tokens(of: task, in: cluster)).count == 2
                && tokens(of: task, in: cluster).suffix(20).count(where: {
                    $0 == tokens(of: task, in: cluster).last
                }) == 20
        }
        let lines = tokens(of: task, in: cluster)
        let first = try #require(lines.first)
        let runs = lines.drop { $0 == first }
        #expect(!runs.contains(first), "\(task) ran twice at a time")
    }

    /// Neither the daemon, nor a restart, nor its key with a good token, nor a copy of its disk.
    private func isShutOut(
        _ node: TestNode, _ others: [TestNode], _ copy: URL, in cluster: TestCluster
    ) async throws {
        let refused = try await node.client("run", "-d", "true")
        #expect(refused.code != 0)
        #expect(refused.errors.contains("was evicted from its cluster"), "\(refused.errors)")
        let log = try String(contentsOfFile: node.dataDirectory.path + ".log", encoding: .utf8)
        #expect(log.contains("this node was evicted from its cluster at \(others[0].name)"))
        #expect(await node.stop() == 0)
        let restart = try await daemon("start", at: node.dataDirectory)
        #expect(restart.code == 1)
        #expect(restart.errors.contains("was evicted from its cluster"), "\(restart.errors)")

        let thief = cluster.folder.appendingPathComponent("thief")
        try FileManager.default.createDirectory(at: thief, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: node.dataDirectory.appendingPathComponent("node.key"),
            to: thief.appendingPathComponent("node.key"))
        let token = try await Program.run(
            "daemon", ["token", "--data-dir", others[0].dataDirectory.path])
        let joined = try await daemon(
            "join", others[1].address, "--token",
            token.output.trimmingCharacters(in: .whitespacesAndNewlines), at: thief)
        #expect(joined.code == 1)
        #expect(joined.errors.contains("key was evicted"), "\(joined.errors)")

        // Its disk from before, which knows nothing of it: it is told where it is.
        let ghost = TestNode(
            name: "ghost", address: LoopbackAddresses.draw(1)[0], dataDirectory: copy, options: [],
            entrance: [])
        try await ghost.start(["start"])
        try await eventually("it is told that it is shut out") {
            try await ghost.client("run", "-d", "true").errors
                .contains("was evicted from its cluster at \(others[0].name)")
        }
        #expect(try await cluster.aliveCount(seenBy: others[0]) == 3)
        await ghost.stop()
        try await ghost.purge()
    }

    private func daemon(_ words: String..., at directory: URL) async throws -> ProgramResult {
        // The time-out ends what goes on against all expectation.
        try await Program.run(
            "/usr/bin/timeout",
            ["30", Program.path("daemon").string] + words + [
                "--data-dir", directory.path, "--bind", LoopbackAddresses.draw(1)[0], "--profile",
                "local", "--no-tasks",
            ])
    }

    private func copy(of node: TestNode, in cluster: TestCluster) async throws -> URL {
        let copy = cluster.folder.appendingPathComponent("copy")
        let result = try await Program.run("/bin/cp", ["-a", node.dataDirectory.path, copy.path])
        #expect(result.code == 0, "\(result.errors)")
        return copy
    }

    private func evictions(seenBy node: TestNode) async throws -> [String: String] {
        let reply = try await node.client("nodes", "-o", "json")
        guard reply.code == 0 else { return [:] }
        let lines = try JSONDecoder().decode([Line].self, from: Data(reply.output.utf8))
        return Dictionary(
            lines.filter { $0.state == "evicted" && $0.evicted?.hasPrefix("20") == true }
                .map { ($0.name, $0.evictedBy ?? "") }, uniquingKeysWith: { $1 })
    }

    private func leader(seenBy node: TestNode) async throws -> String {
        var name: String?
        try await eventually("somebody leads") {
            let reply = try await node.client("nodes", "-o", "json")
            name = try JSONDecoder().decode([Line].self, from: Data(reply.output.utf8))
                .first { $0.leader }?.name
            return name != nil
        }
        return try #require(name)
    }

    private struct Line: Decodable {
        let name: String
        let state: String
        let leader: Bool
        let evicted: String?
        let evictedBy: String?
    }
}
