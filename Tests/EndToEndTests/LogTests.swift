import Foundation
import Testing

/// Output of tasks as users read it: parts of it, with times, and when its node is gone.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct LogTests {
    private func submit(_ script: String, to node: TestNode) async throws -> String {
        let reply = try await node.client("run", "-d", "sh", "--", "-c", script)
        #expect(reply.code == 0, "\(reply.errors)")
        return reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func `parts of the output, by count, stream and time`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let id = try await submit("echo 1; echo 2; echo bad >&2; echo 3", to: node)
            #expect(try await node.client("wait", id).code == 0)
            let tail = try await node.client("logs", "--stdout", "-n", "2", id)
            #expect(tail.output == "2\n3\n", "\(tail.errors)")
            #expect(try await node.client("logs", "--tail", "0", id).output == "")
            let errors = try await node.client("logs", "--stderr", id)
            #expect(errors.output == "" && errors.errors == "bad\n")
            let stamped = try await node.client("logs", "-t", "--stdout", id).output
            let lines = stamped.split(separator: "\n")
            #expect(lines.map { $0.split(separator: " ").last } == ["1", "2", "3"])
            #expect(lines.allSatisfy { $0.hasPrefix("20") && $0.contains("Z ") }, "\(stamped)")
            #expect(try await node.client("logs", "--since", "1h", id).output == "1\n2\n3\n")
            #expect(try await node.client("logs", "--until", "1h", id).output == "")
            // Everything that could be wanted has been written: following ends.
            let past = try await node.client("logs", "-f", "--until", "1h", id)
            #expect(past.code == 0 && past.output == "", "\(past.errors)")
            let bad = try await node.client("logs", "--since", "soon", id)
            #expect(bad.code == 1 && bad.errors.contains("is no time"), "\(bad.errors)")
        }
    }

    @Test func `the last output outlives its node`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let id = try await submit("echo first; echo bad >&2; echo last", to: cluster.nodes[0])
            #expect(try await cluster.nodes[0].client("wait", id).code == 0)
            let task = try #require(
                try await cluster.tasks(seenBy: cluster.nodes[0]).first { $0.id == id })
            let holder = try #require(cluster.nodes.first { $0.name == task.node })
            let others = cluster.nodes.filter { $0.name != holder.name }
            try await eventually("both others keep a copy") {
                others.allSatisfy { node in
                    let folder = node.dataDirectory.appendingPathComponent("log-copies").path
                    let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
                    return names?.contains { $0.hasPrefix(id) } == true
                }
            }
            await holder.kill()
            for node in others {
                try await eventually("\(node.name) reads a copy") {
                    let logs = try await node.client("logs", id)
                    return logs.code == 0 && logs.output == "first\nlast\n"
                        && logs.errors.contains("bad\n") && logs.errors.contains("does not answer")
                }
            }
            let followed = try await others[0].client("logs", "-f", "--stdout", id)
            #expect(followed.code == 0 && followed.output == "first\nlast\n", "\(followed.errors)")
        }
    }
}
