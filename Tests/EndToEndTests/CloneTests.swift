import Foundation
import Glibc
import Testing

/// A copied data directory runs on another port while the original lives: the younger daemon ends.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: TestCluster.canRunContainers, "containers need root"))
struct CloneTests {
    @Test func `a copy ends with an error, and the original does not notice`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let beats = cluster.shared.appendingPathComponent("beats")
            let original = try await holder(of: try await startTask(in: cluster), cluster)
            try await eventually("the task runs") { tokens(beats).count > 10 }

            let copy = try await copy(of: original, in: cluster)
            async let end = run(copy, as: original.name)
            repeat {
                for node in cluster.nodes {
                    let states = try await cluster.members(seenBy: node).map(\.state)
                    #expect(states == ["alive", "alive", "alive"])
                }
            } while tokens(beats).count < 100
            let result = try await end
            let before = tokens(beats).count
            #expect(result.code == 1)
            for words in [
                "another daemon with this node's key is alive at \(original.address) since 20",
                "stop one of the two", "'daemon join' with an empty --data-dir",
            ] {
                #expect(result.errors.contains(words), "\(result.errors)")
            }
            // The task runs on, under the same token.
            try await eventually("the task runs on") { tokens(beats).count > before + 100 }
            #expect(Set(tokens(beats)).count == 1)
            #expect(try await cluster.tasks(seenBy: original).map(\.attempt) == [1])
            let log = try String(
                contentsOfFile: original.dataDirectory.path + ".log", encoding: .utf8)
            #expect(!log.contains("lease lapsed"))
            try await purge(copy)
        }
    }

    @Test func `a copy that took over from a frozen original ends when that is back`() async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            try await eventually("all three vote") {
                try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
            }
            let original = cluster.nodes[2]
            let copy = try await copy(of: original, in: cluster)
            await original.signal(SIGSTOP)
            async let end = run(copy, as: original.name)
            try await eventually("the copy is believed") {
                try await cluster.members(seenBy: cluster.nodes[0]).contains {
                    $0.name == original.name && $0.address == CloneTests.address(of: copy)
                }
            }
            await original.signal(SIGCONT)
            let result = try await end
            #expect(result.code == 1)
            #expect(result.errors.contains("is alive at \(original.address)"), "\(result.errors)")
            try await eventually("the original is back in its place") {
                try await cluster.members(seenBy: cluster.nodes[0]).contains {
                    $0.name == original.name && $0.address == original.address
                        && $0.state == "alive"
                }
            }
            let reply = try await original.client("run", "true")
            #expect(reply.code == 0, "\(reply.errors)")
            try await purge(copy)
        }
    }

    // MARK: Parts

    private func startTask(in cluster: TestCluster) async throws -> String {
        let reply = try await cluster.nodes[0].client(
            "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "--", "-c",
            "while :; do echo $MAGPIE_TOKEN >> /shared/beats; sleep 0.01; done")
        #expect(reply.code == 0, "\(reply.errors)")
        return reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func holder(of task: String, _ cluster: TestCluster) async throws -> TestNode {
        var name: String?
        try await eventually("a node has the task") {
            name = try await cluster.tasks(seenBy: cluster.nodes[0]).first { $0.id == task }?.node
            return name != nil
        }
        return try #require(cluster.nodes.first { $0.name == name })
    }

    /// Copies a data directory as it is, with its daemon running.
    private func copy(of node: TestNode, in cluster: TestCluster) async throws -> URL {
        let copy = cluster.folder.appendingPathComponent("copy")
        let result = try await Program.run(
            "/bin/cp", ["-a", node.dataDirectory.path, copy.path])
        #expect(result.code == 0, "\(result.errors)")
        return copy
    }

    /// Where the daemon of a copy listens: drawn from its directory's name, so that both know it.
    private static func address(of copy: URL) -> String {
        let number = copy.path.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) % 62_500 }
        return "127.251.\(number / 250).\(number % 250 + 1):\(20_000 + number % 10_000)"
    }

    private func run(_ copy: URL, as name: String) async throws -> ProgramResult {
        try await Program.run(
            "daemon",
            [
                "start", "--name", name, "--data-dir", copy.path, "--bind",
                CloneTests.address(of: copy), "--profile", "local", "--cpus", "2", "--memory",
                "2G",
            ])
    }

    private func purge(_ copy: URL) async throws {
        let result = try await Program.run("daemon", ["purge", "--data-dir", copy.path])
        #expect(result.code == 0, "\(result.errors)")
    }

    private func tokens(_ file: URL) -> [String] {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}
