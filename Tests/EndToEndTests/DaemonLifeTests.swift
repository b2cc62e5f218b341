import Foundation
import Glibc
import SystemPackage
import Testing

/// How daemons begin and end, and what they say when they can't.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct DaemonLifeTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let words: String
        let arguments: [String]
        var before: [String] = []
        var testDescription: String { words }
    }

    private func token(of node: TestNode) async throws -> String {
        let reply = try await Program.run(
            "daemon", ["token", "--data-dir", node.dataDirectory.path])
        #expect(reply.code == 0, "\(reply.errors)")
        return reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func expectFailure(_ row: Row) async throws {
        // The time-out ends what started against all expectation.
        let command = ["20"] + row.before + [Program.path("daemon").string] + row.arguments
        let reply = try await Program.run("/usr/bin/timeout", command)
        #expect(reply.code == 1, "\(row.arguments): \(reply.output) \(reply.errors)")
        #expect(reply.errors.contains(row.words), "\(row.arguments): \(reply.errors)")
        #expect(reply.errors.hasPrefix("daemon: "), "\(reply.errors)")
        #expect(!reply.output.contains("ready"))
    }

    @Test func `a daemon that can't start says what, why and what to do`() async throws {
        let api = LoopbackAddresses.draw(2)
        try await TestCluster.run(of: 1, options: ["--api", api[0]]) { cluster in
            let node = cluster.nodes[0]
            let folder = cluster.folder.path
            let other = TestNode(
                name: "other", address: LoopbackAddresses.draw(1)[0],
                dataDirectory: cluster.folder.appendingPathComponent("other"), options: [],
                entrance: [])
            try await other.start(["start"])
            let token = try await token(of: node)
            var rows = DaemonLifeTests.rows(folder, node, api)
            rows.append(
                Row(
                    words: "another cluster than the token",
                    arguments: ["join", other.address, "--token", token]
                        + DaemonLifeTests.usual(folder, "joiner")))
            for row in rows { try await expectFailure(row) }
            let code = await other.stop()
            #expect(code == 0)
            try await expectFailure(
                Row(
                    words: "belongs to another cluster",
                    arguments: [
                        "join", node.address, "--token", token, "--data-dir",
                        other.dataDirectory.path, "--bind", other.address, "--profile", "local",
                    ]))
            try await other.purge()
            #expect(try await node.client("nodes", "-o", "name").output == "node1\n")
        }
    }

    /// The options of a daemon that would start in a directory of its own.
    private static func usual(_ folder: String, _ name: String) -> [String] {
        [
            "--data-dir", "\(folder)/\(name)", "--bind", LoopbackAddresses.draw(1)[0],
            "--profile", "local",
        ]
    }

    private static func rows(_ folder: String, _ node: TestNode, _ api: [String]) -> [Row] {
        let manager = FileManager.default
        for name in ["foreign", "rotten", "small"] {
            try? manager.createDirectory(
                atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        _ = manager.createFile(atPath: "\(folder)/foreign/thesis.tex", contents: Data("x".utf8))
        _ = manager.createFile(
            atPath: "\(folder)/rotten/state.sqlite", contents: Data(repeating: 7, count: 9_000))
        let own = node.dataDirectory.path
        func start(_ name: String, _ more: String...) -> [String] {
            ["start"] + usual(folder, name) + more
        }
        return [
            Row(
                words: "in use by another daemon",
                arguments: ["start", "--data-dir", own, "--bind", api[1]]),
            Row(
                words: "the port is taken",
                arguments: ["start", "--data-dir", "\(folder)/a", "--bind", node.address]),
            Row(words: "--api \(api[0]): can't listen", arguments: start("a", "--api", api[0])),
            Row(
                words: "only allowed on loopback",
                arguments: start("a", "--api", "10.0.0.1:80", "--api-insecure-loopback")),
            Row(words: "holds files", arguments: start("foreign")),
            Row(words: "is damaged", arguments: start("rotten")),
            Row(words: "too long", arguments: start(String(repeating: "x", count: 120))),
            Row(words: "no-such-runtime", arguments: start("a", "--runtime", "no-such-runtime")),
            Row(words: "there is no such file", arguments: start("a", "--config", "/nonexistent")),
            Row(
                words: "Permission denied", arguments: start("b"),
                before: ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]),
            Row(
                words: "its disk is full", arguments: start("small"),
                before: [
                    "/usr/bin/unshare", "-m", "/bin/sh", "-c",
                    "mount -t tmpfs -o size=1M none \(folder)/small && exec \"$@\"", "sh",
                ]),
            Row(
                words: "token is missing",
                arguments: ["join", node.address] + usual(folder, "joiner")),
            Row(
                words: "token is malformed",
                arguments: ["join", node.address, "--token", "mgp1-x"] + usual(folder, "joiner")),
            Row(
                words: "no name of a seed",
                arguments: ["join", "no.such.host.invalid:1", "--token", "mgp1-x"]
                    + usual(folder, "joiner")),
        ]
    }

    @Test func `a daemon comes back as itself, and its tasks do not notice`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let first = cluster.nodes[0]
            let file = cluster.shared.appendingPathComponent("go").path
            let reply = try await first.client(
                "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "-c",
                "until [ -e /shared/go ]; do sleep 0.05; done; echo done")
            #expect(reply.code == 0, "\(reply.errors)")
            let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await eventually("the task runs") {
                try await cluster.tasks(seenBy: first).first?.state == "running"
            }
            let holder = try await cluster.tasks(seenBy: first).first?.node
            let node = try #require(cluster.nodes.first { $0.name == holder })
            let seed = try #require(cluster.nodes.first { $0.name != holder })
            let before = try await identity(of: node)
            #expect(await node.stop() == 0)
            try await node.start(["join", seed.address])
            #expect(try await identity(of: node) == before)
            #expect(await node.stop(SIGINT) == 0)
            try await node.start(["start"])
            #expect(try await identity(of: node) == before)
            #expect(FileManager.default.createFile(atPath: file, contents: nil))
            let end = try await seed.client("wait", id)
            #expect(end.code == 0, "\(end.output) \(end.errors)")
            #expect(try await seed.client("logs", id).output == "done\n")
            #expect(try await cluster.tasks(seenBy: seed).first?.attempt == 1)
        }
    }

    private func identity(of node: TestNode) async throws -> String {
        let reply = try await node.client("nodes", "-o", "wide")
        let line = reply.output.split(separator: "\n").first { $0.hasPrefix(node.name + " ") }
        return line?.split(separator: " ").last.map(String.init) ?? reply.errors
    }

    @Test func `options come from the command line, else the environment, else a file`()
        async throws
    {
        try await TestCluster.run(of: 1) { cluster in
            let file = cluster.folder.appendingPathComponent("options")
            try Data("# all of it\nlabel = from=file\nmemory = 1G\nretain = 2h\n".utf8)
                .write(to: file)
            let second = TestNode(
                name: "second", address: LoopbackAddresses.draw(1)[0],
                dataDirectory: cluster.folder.appendingPathComponent("second"), options: [],
                entrance: [
                    "/usr/bin/env", "MAGPIE_CONFIG=\(file.path)", "MAGPIE_LABEL=from=env,b=2",
                    "MAGPIE_NAME=ignored",
                    "MAGPIE_TOKEN=\(try await token(of: cluster.nodes[0]))",
                ])
            // A seed that is dead and one that is unknown do not keep it from the third.
            try await second.start([
                "join", "no.such.host.invalid:1", LoopbackAddresses.draw(1)[0],
                cluster.nodes[0].address,
            ])
            let reply = try await second.client("nodes", "-o", "json")
            let nodes = try JSONDecoder().decode([Options].self, from: Data(reply.output.utf8))
            let own = nodes.first { $0.name == "second" }
            #expect(own?.labels == ["b=2", "from=env"])
            #expect(own?.memory == 2 << 30, "the command line outranks the file")
            await second.stop()
            try await second.purge()
        }
    }

    private struct Options: Decodable {
        let name: String
        let labels: [String]
        let memory: UInt64
    }
}
