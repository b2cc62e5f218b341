import Foundation
import SystemPackage
import Testing

/// Tokens with real daemons: for so many machines, and taken back.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct JoinTokenTests {
    private func token(_ words: String..., of node: TestNode) async throws -> ProgramResult {
        let reply = try await Program.run(
            "daemon", ["token"] + words + ["--data-dir", node.dataDirectory.path])
        #expect(reply.code == 0, "\(words): \(reply.errors)")
        return reply
    }

    private func join(_ seed: TestNode, _ token: String, in cluster: TestCluster) async throws
        -> ProgramResult
    {
        // The time-out ends what has joined against all expectation.
        try await Program.run(
            "/usr/bin/timeout",
            [
                "30", Program.path("daemon").string, "join", seed.address, "--token", token,
                "--data-dir", cluster.folder.appendingPathComponent("refused").path, "--bind",
                LoopbackAddresses.draw(1)[0], "--profile", "local", "--no-tasks",
            ])
    }

    @Test func `a token for one machine lets one in, and one that was taken back lets none in`()
        async throws
    {
        try await TestCluster.run(of: 1) { cluster in
            let maker = cluster.nodes[0]
            let made = try await token("--uses", "1", of: maker)
            let single = made.output.trimmingCharacters(in: .newlines)
            #expect(single.hasPrefix("mgp1-") && !single.contains("\n"))
            #expect(made.errors.contains("for one machine"))
            let second = TestNode(
                name: "second", address: LoopbackAddresses.draw(1)[0],
                dataDirectory: cluster.folder.appendingPathComponent("second"), options: [],
                entrance: [])
            try await second.start(["join", maker.address, "--token", single])
            let late = try await join(second, single, in: cluster)
            #expect(late.code == 1)
            #expect(late.errors.contains("as many nodes as it may"), "\(late.errors)")

            let leaked = try await token(of: maker).output.trimmingCharacters(in: .newlines)
            _ = try await token("revoke", leaked, of: maker)
            let refused = try await join(second, leaked, in: cluster)
            #expect(refused.code == 1)
            #expect(refused.errors.contains("was taken back"), "\(refused.errors)")
            let list = try await token("list", of: maker).output
            #expect(list.contains("1 of 1") && list.contains("used up"))
            #expect(list.contains("revoked") && !list.contains("mgp1-"))
            // By its name, too.
            let third = try await token("--ttl", "10m", of: maker).errors
            let name = String(
                try #require(third.split(separator: " ").dropFirst().first).dropLast())
            _ = try await token("revoke", name, of: maker)
            let line = try await token("list", of: maker).output.split(separator: "\n")
                .first { $0.hasPrefix(name) }
            #expect(line?.hasSuffix("revoked") == true)
            await second.stop()
            try await second.purge()
        }
    }
}
