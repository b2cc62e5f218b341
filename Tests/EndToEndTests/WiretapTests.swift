import Foundation
import Testing

/// Somebody listens on the wire between real daemons.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(3)))
struct WiretapTests {
    @Test func `no datagram between daemons tells what a task's command is`() async throws {
        let tap = try DatagramTap()
        let marker = "hunter\(UInt64.random(in: .min ... .max))"
        do {
            try await listen(by: tap, to: marker)
        } catch {
            try await tap.end()
            throw error
        }
        try await tap.end()
    }

    private func listen(by tap: DatagramTap, to marker: String) async throws {
        var addresses: Set<String> = []
        try await TestCluster.run(of: 3) { cluster in
            addresses = Set(cluster.nodes.map(\.address))
            for (number, node) in cluster.nodes.enumerated() {
                let reply = try await node.client("run", "echo", "\(marker)-\(number)")
                #expect(reply.code == 0, "\(reply.errors)")
                #expect(reply.output == "\(marker)-\(number)\n")
            }
            for node in cluster.nodes {
                try await eventually("\(node.name) shows all tasks") {
                    try await cluster.tasks(seenBy: node).count { $0.state == "complete" } == 3
                }
            }
        }
        // What is said openly is heard.
        let open = try #require(DatagramTap.say(marker))
        try await eventually("the tap hears") {
            tap.datagrams.contains { $0.target == open && $0.contains(marker) }
        }
        let between = tap.datagrams.filter { addresses.contains($0.target) }
        #expect(between.count > 50, "the cluster was not heard")
        #expect(Set(between.map(\.target)) == addresses)
        #expect(!between.contains { $0.contains(marker) })
        // Nor the names of nodes, which they tell each other all the time.
        #expect(!between.contains { $0.contains("node1") || $0.contains("node2") })
    }
}
