import Foundation
import Testing

/// What an acknowledged submission is worth, and what is said when it is worth less.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct AcknowledgementTests {
    @Test func `a submission says on how many disks it is, and is there when its node is gone`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            let nodes = cluster.nodes
            for wanted in ["1", "2", "3", "majority"] {
                #expect(try await submit(to: nodes[0], ack: wanted).notice.isEmpty, "\(wanted)")
            }
            let four = try await submit(to: nodes[0], ack: "4")
            #expect(four.notice.contains("only 3 of 4 disks hold the task"), "\(four.notice)")

            // Who was told that three disks hold it finds it on any of them, at once.
            let everywhere = try await submit(to: nodes[0], ack: "3")
            await nodes[0].kill()
            for node in nodes.dropFirst() {
                let status = try await node.client("status", everywhere.id, "-o", "name")
                #expect(status.output == everywhere.id + "\n", "\(node.name): \(status.errors)")
            }

            await nodes[1].kill()
            let alone = nodes[2]
            #expect(try await !submit(to: alone, ack: "1").notice.contains("disks"))
            for (wanted, count) in [(nil, 2), ("2", 2), ("majority", 2), ("3", 3)] {
                let reply = try await submit(to: alone, ack: wanted)
                #expect(
                    reply.notice.contains("only 1 of \(count) disks hold the task"),
                    "\(wanted ?? "default"): \(reply.notice)")
            }

            for node in nodes.dropLast() { try await node.start(["start"]) }
            try await eventually("everything that was taken in is done") {
                let tasks = try await cluster.tasks(seenBy: nodes[0])
                return tasks.count == 11 && tasks.allSatisfy { $0.state == "complete" }
            }
        }
    }

    private func submit(
        to node: TestNode, ack: String?
    ) async throws -> (id: String, notice: String) {
        let option = ack.map { ["--ack", $0] } ?? []
        let reply = try await node.client(["run", "-d"] + option + ["true"])
        guard reply.code == 0 else { throw NeverHappened(description: reply.errors) }
        return (reply.output.trimmingCharacters(in: .whitespacesAndNewlines), reply.errors)
    }
}
