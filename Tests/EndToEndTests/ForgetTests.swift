import Foundation
import Testing

/// A task that waits for its node is freed by a person alone, once the lock knows the node's end.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct ForgetTests {
    @Test func `forgetting is refused while the node may live, and frees what waits for it`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            try await eventually("all three vote") {
                try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
            }
            let beats = cluster.shared.appendingPathComponent("beats")
            let reply = try await cluster.nodes[0].client(
                "run", "-d", "--on-partition", "wait", "-v", "\(cluster.shared.path):/shared",
                "sh", "--", "-c",
                "while :; do echo $MAGPIE_TOKEN >> /shared/beats; sleep 0.01; done")
            #expect(reply.code == 0, "\(reply.errors)")
            try await eventually("the task runs") { lines(beats).count > 10 }
            let task = try #require(try await cluster.tasks(seenBy: cluster.nodes[0]).first)
            let index = try #require(cluster.nodes.firstIndex { $0.name == task.node })
            let holder = cluster.nodes[index]
            let asker = cluster.nodes[(index + 1) % 3]

            // Before anybody could take it for dead.
            let early = try await asker.client("nodes", "forget", holder.name)
            #expect(early.code == 1)
            #expect(
                early.errors.contains("\(holder.name) is alive; stop its daemon"),
                "\(early.errors)")
            await holder.kill()
            try await forget(holder, asking: asker) {
                let seen = try await cluster.tasks(seenBy: asker).first
                #expect(seen?.attempt == 1 && seen?.node == holder.name)
            }
            try await eventually("the task runs elsewhere") {
                let seen = try await cluster.tasks(seenBy: asker).first
                return seen?.attempt == 2 && seen?.state == "running" && seen?.node != holder.name
            }

            // Whoever was forgotten ends what it ran before it works again.
            try await holder.start(["start"])
            let first = try #require(lines(beats).first)
            try await eventually("its copy has ended") {
                lines(beats).suffix(100).allSatisfy { $0 != first }
            }
            #expect(try await asker.client("cancel", task.id).code == 0)
            try await eventually("the task has ended") {
                try await cluster.tasks(seenBy: holder).first?.state == "canceled"
            }
        }
    }

    /// Asks until it is granted, by ID; each refusal says why.
    private func forget(
        _ node: TestNode, asking asker: TestNode, whileRefused check: () async throws -> Void
    ) async throws {
        let names = try await asker.client("nodes", "-o", "json")
        let known = try JSONDecoder().decode([Identity].self, from: Data(names.output.utf8))
        let id = try #require(known.first { $0.name == node.name }?.id)
        var refusals: Set<String> = []
        try await eventually("the node is forgotten") {
            let reply = try await asker.client("nodes", "forget", String(id.prefix(12)))
            if reply.code == 0 { return true }
            refusals.insert(reply.errors)
            try await check()
            return false
        }
        #expect(
            refusals.allSatisfy {
                $0.contains("is alive; stop its daemon")
                    || $0.contains("\(node.name) is alive in the lock")
                    || $0.contains("no majority of the lock's voters answers")
            }, "\(refusals)")
        let unknown = try await asker.client("nodes", "forget", String(id.prefix(3)))
        #expect(unknown.errors.contains("no node \(id.prefix(3))"), "\(unknown.errors)")
    }

    private struct Identity: Decodable {
        let id: String
        let name: String
    }

    private func lines(_ beats: URL) -> [String] {
        ((try? String(contentsOf: beats, encoding: .utf8)) ?? "").split(separator: "\n")
            .map(String.init)
    }
}
