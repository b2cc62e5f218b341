import Foundation
import Glibc
import Testing

/// A task that is run again elsewhere does not run any more where it was, whatever happened there.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers and network namespaces need root"))
struct FencingTests {
    /// What becomes of the node that runs the task.
    enum Blow: CaseIterable {
        /// The daemon is killed; its container is not.
        case killed
        /// The daemon stands still for longer than its lease; its container does not.
        case frozen
        /// The node can't be reached, nor reach anybody.
        case cutOff
    }

    @Test(arguments: Blow.allCases)
    func `two copies of a task never run at once`(blow: Blow) async throws {
        let network = try await TestNetwork.make(of: 3)
        do {
            try await TestCluster.run(of: 3, network: network) { cluster in
                try await check(blow, cluster, network)
            }
        } catch {
            await network.remove()
            throw error
        }
        await network.remove()
    }

    private func check(
        _ blow: Blow, _ cluster: TestCluster, _ network: TestNetwork
    ) async throws {
        let beats = cluster.shared.appendingPathComponent("beats")
        try await eventually("all three vote") {
            try await cluster.members(seenBy: cluster.nodes[0]).count { $0.voter } == 3
        }
        let reply = try await cluster.nodes[0].client(
            "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "--", "-c",
            "while :; do echo $MAGPIE_TOKEN >> /shared/beats; sleep 0.01; done")
        #expect(reply.code == 0, "\(reply.errors)")
        let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
        try await eventually("the task runs") { tokens(beats).count > 10 }
        let holder = try #require(try await cluster.tasks(seenBy: cluster.nodes[0]).first?.node)
        let index = try #require(cluster.nodes.firstIndex { $0.name == holder })
        let others = cluster.nodes.indices.filter { $0 != index }.map { cluster.nodes[$0] }

        switch blow {
        case .killed: await cluster.nodes[index].kill()
        case .frozen: await cluster.nodes[index].signal(SIGSTOP)
        case .cutOff: try await network.cut(index)
        }
        try await eventually("the task runs elsewhere") { Set(tokens(beats)).count == 2 }
        try await eventually("it goes on there") { blocks(beats).last?.count ?? 0 > 50 }
        switch blow {
        case .killed: try await cluster.nodes[index].start(["start"])
        case .frozen: await cluster.nodes[index].signal(SIGCONT)
        case .cutOff: try await network.mend(index)
        }
        try await eventually("all see the task on its new node") {
            for node in cluster.nodes {
                let task = try await cluster.tasks(seenBy: node).first
                guard task?.attempt == 2, task?.state == "running" else { return false }
            }
            return true
        }
        #expect(try await others[0].client("cancel", id).code == 0)
        try await eventually("the task has ended") {
            try await cluster.tasks(seenBy: others[0]).first?.state == "canceled"
        }
        let written = blocks(beats)
        #expect(written.count == 2, "tokens \(written.map(\.token)) interleave")
    }

    private func tokens(_ beats: URL) -> [String] {
        ((try? String(contentsOf: beats, encoding: .utf8)) ?? "").split(separator: "\n")
            .map(String.init)
    }

    /// What was written under one token without another in between.
    private func blocks(_ beats: URL) -> [(token: String, count: Int)] {
        tokens(beats).reduce(into: []) { blocks, token in
            if blocks.last?.token == token {
                blocks[blocks.count - 1].count += 1
            } else {
                blocks.append((token, 1))
            }
        }
    }
}
