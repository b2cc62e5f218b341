import Foundation
import Testing

/// The main job with real daemons and containers.
///
/// Needs root; elsewhere it is skipped, and says so.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"))
struct MainJobTests {
    @Test func `a command runs once, and its streams and exit code come back`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let list = try await cluster.nodes[1].client("run", "ls", "--", "-l", "/usr")
            #expect(list.code == 0, "\(list.errors)")
            #expect(list.output.contains("bin"))
            let script = "echo out; echo err >&2; exit 3"
            for node in cluster.nodes {
                let result = try await node.client("run", "sh", "--", "-c", script)
                #expect(result.code == 3)
                #expect(result.output == "out\n")
                #expect(result.errors == "err\n")
            }
            let missing = try await cluster.nodes[2].client("run", "no-such-program")
            #expect(missing.code == 127)
            let killed = try await cluster.nodes[0].client("run", "sh", "-c", "kill -9 $$")
            #expect(killed.code == 137)
        }
    }

    @Test func `tasks of a node that dies are finished by the others`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let first = cluster.nodes[0]
            var ids: [String] = []
            // Who takes a task is chance: there are more until the last node has one.
            try await eventually("the last node runs something") {
                for _ in 0..<4 {
                    let reply = try await first.client(
                        "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "--", "-c",
                        "until [ -e /shared/go ]; do sleep 0.05; done")
                    #expect(reply.code == 0, "\(reply.errors)")
                    ids.append(reply.output.trimmingCharacters(in: .whitespacesAndNewlines))
                }
                return try await cluster.tasks(seenBy: first).contains {
                    $0.node == "node3" && $0.state == "running"
                }
            }
            await cluster.nodes[2].kill()
            try await cluster.nodes[2].purge()
            try Data().write(to: cluster.shared.appendingPathComponent("go"))
            for id in ids {
                let reply = try await first.client("wait", id)
                #expect(reply.code == 0, "\(reply.output) \(reply.errors)")
            }
            let tasks = try await cluster.tasks(seenBy: cluster.nodes[1])
            #expect(tasks.count == ids.count)
            #expect(tasks.allSatisfy { $0.state == "complete" })
            #expect(tasks.contains { $0.attempt > 1 }, "some task must have run again")
        }
    }

    @Test func `a submission in a minority is accepted and runs when the others return`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            await cluster.nodes[1].kill()
            await cluster.nodes[2].kill()
            let reply = try await cluster.nodes[0].client("run", "-d", "true")
            #expect(reply.code == 0, "\(reply.errors)")
            let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await cluster.nodes[1].start(["start"])
            try await cluster.nodes[2].start(["start"])
            let end = try await cluster.nodes[0].client("wait", id)
            #expect(end.code == 0, "\(end.output) \(end.errors)")
        }
    }

    @Test func `acknowledged submissions survive the death of the whole cluster`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            var ids: [String] = []
            for _ in 0..<10 {
                // No node carries the label, so the tasks stay queued.
                let reply = try await cluster.nodes[1].client(
                    "run", "-d", "--constraint", "nowhere=1", "true")
                #expect(reply.code == 0, "\(reply.errors)")
                ids.append(reply.output.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            for node in cluster.nodes { await node.kill() }
            for node in cluster.nodes { try await node.start(["start"]) }
            for node in cluster.nodes {
                try await eventually("\(node.name) lists all tasks") {
                    Set(try await cluster.tasks(seenBy: node).map(\.id)) == Set(ids)
                }
            }
        }
    }

    @Test func `voters follow the cluster from one to three nodes and back`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let first = cluster.nodes[0]
            try await eventually("all three vote") {
                try await cluster.members(seenBy: first).count { $0.voter } == 3
            }
            for node in cluster.nodes.dropFirst() {
                let left = try await Program.run(
                    "daemon", ["leave", "--data-dir", node.dataDirectory.path])
                #expect(left.code == 0, "\(left.errors)")
                await node.waitForEnd()
            }
            try await eventually("one votes") {
                let voters = try await cluster.members(seenBy: first).filter(\.voter)
                return voters.map(\.name) == ["node1"]
            }
            let states = try await cluster.members(seenBy: first).map(\.state).sorted()
            #expect(states == ["alive", "left", "left"])
            let result = try await first.client("run", "echo", "alone")
            #expect(result.output == "alone\n", "\(result.errors)")
        }
    }

    @Test func `a daemon ends on SIGTERM although a client follows a task`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let follower = Task {
                // No node carries the label: the task stays queued, and the client waits.
                try await node.client("run", "--constraint", "nowhere=1", "true")
            }
            try await eventually("the task is there") {
                try await cluster.tasks(seenBy: node).count == 1
            }
            await node.stop()
            follower.cancel()
            _ = try? await follower.value
        }
    }

    @Test func `a daemon that restarts takes its running tasks over`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let file = cluster.shared.appendingPathComponent("go").path
            let reply = try await node.client(
                "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "--", "-c",
                "echo before; until [ -e /shared/go ]; do sleep 0.05; done; echo after; exit 4")
            #expect(reply.code == 0, "\(reply.errors)")
            let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await eventually("the task runs") {
                try await cluster.tasks(seenBy: node).first?.state == "running"
            }
            await node.kill()
            try await node.start(["start"])
            #expect(FileManager.default.createFile(atPath: file, contents: nil))
            let end = try await node.client("wait", id)
            #expect(end.code == 4, "\(end.output) \(end.errors)")
            let logs = try await node.client("logs", id)
            #expect(logs.output == "before\nafter\n")
            let task = try await cluster.tasks(seenBy: node).first
            #expect(task?.attempt == 1)
        }
    }
}
