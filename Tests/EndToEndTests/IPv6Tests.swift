import Foundation
import Testing

/// Nodes that speak IPv6, and nodes that speak both.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct IPv6Tests {
    private static func port() -> Int { Int.random(in: 20_000...30_000) }

    @Test func `a cluster works over IPv6, on one address and on all`() async throws {
        let first = IPv6Tests.port()
        let addresses = ["[::1]:\(first)", "[::]:\(first + 1)", "[::1]:\(first + 2)"]
        try await TestCluster.run(of: 3, addresses: addresses) { cluster in
            try await checkRuns(in: cluster)
            let shown = try await cluster.nodes[2].client("nodes", "-o", "json").output
            for port in first...(first + 2) { #expect(shown.contains("\"[::1]:\(port)\"")) }
        }
    }

    @Test func `a node on all addresses of both kinds has peers of IPv4`() async throws {
        let old = LoopbackAddresses.draw(1)[0]
        try await TestCluster.run(of: 2, addresses: [old, "[::]:\(IPv6Tests.port())"]) { cluster in
            try await checkRuns(in: cluster)
        }
    }

    @Test func `the API is had over IPv6 loopback`() async throws {
        let api = "[::1]:\(IPv6Tests.port())"
        try await TestCluster.run(of: 1, options: ["--api", api, "--api-insecure-loopback"]) {
            cluster in
            let reply = try await Program.run("client", ["-N", api, "run", "echo", "hello"])
            #expect(reply.output == "hello\n", "\(reply.errors)")
        }
    }

    private func checkRuns(in cluster: TestCluster) async throws {
        for node in cluster.nodes {
            let reply = try await node.client("run", "echo", "hello")
            #expect(reply.output == "hello\n", "\(node.name): \(reply.errors)")
            #expect(reply.errors.isEmpty, "\(node.name): \(reply.errors)")
        }
        // What another node writes is read over a stream.
        for task in try await cluster.tasks(seenBy: cluster.nodes[0]) {
            for node in cluster.nodes {
                #expect(try await node.client("logs", task.id).output == "hello\n")
            }
        }
    }
}
