import Foundation
import Testing

/// A cluster that has lost most of its voters goes on once a person has said so.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: TestCluster.canRunContainers, "containers need root"))
struct RecoverLockTests {
    @Test func `the lock is begun anew when its majority is lost, and not before`() async throws {
        try await TestCluster.run(of: 3) { cluster in
            let last = cluster.nodes[0]
            try await eventually("all three vote") { try await voters(in: cluster) == 3 }
            let early = try await recover(last)
            #expect(early.code == 1)
            #expect(early.errors.contains("in reach"), "\(early.errors)")

            for node in cluster.nodes.dropFirst() { await node.kill() }
            let submitted = try await last.client("run", "-d", "--ack", "1", "true")
            #expect(submitted.code == 0, "\(submitted.errors)")
            try await eventually("nobody doubts the loss") { try await recover(last).code == 0 }
            try await eventually("the task is done") {
                try await cluster.tasks(seenBy: last).map(\.state) == ["complete"]
            }

            // Who comes back belongs to the new lock.
            for node in cluster.nodes.dropFirst() { try await node.start(["start"]) }
            try await eventually("all three vote again") { try await voters(in: cluster) == 3 }
            let reply = try await cluster.nodes[2].client("run", "true")
            #expect(reply.code == 0, "\(reply.errors)")
        }
    }

    private func recover(_ node: TestNode) async throws -> ProgramResult {
        try await Program.run(
            "daemon", ["recover-lock", "--data-dir", node.dataDirectory.path])
    }

    private func voters(in cluster: TestCluster) async throws -> Int {
        try await cluster.members(seenBy: cluster.nodes[0]).count(where: \.voter)
    }
}
