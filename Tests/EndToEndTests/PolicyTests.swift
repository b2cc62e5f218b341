import Foundation
import Testing

/// When tasks are run again, what is kept of that, and what a cut-off node says.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers and network namespaces need root"))
struct PolicyTests {
    private struct Attempt: Decodable {
        let attempt: Int
        let state: String
        let node: String
        let token: String
        let exit_code: Int?
        let started: String?
        let ended: String?
        let reason: String
    }

    private struct Status: Decodable {
        let state: String
        let attempt: Int
        let attempts: [Attempt]
        let waits_for: String?
        let reason: String
    }

    private func status(_ id: String, on node: TestNode) async throws -> Status {
        let reply = try await node.client("status", id, "-o", "json")
        guard reply.code == 0 else { throw NeverHappened(description: reply.errors) }
        return try JSONDecoder().decode(Status.self, from: Data(reply.output.utf8))
    }

    private func submit(_ words: [String], to node: TestNode) async throws -> String {
        let reply = try await node.client(["run", "-d"] + words)
        guard reply.code == 0 else { throw NeverHappened(description: reply.errors) }
        return reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func `failures, ends and time-outs are followed by as many attempts as asked for`()
        async throws
    {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let failing = try await submit(
                ["--restart", "on-failure:1", "sh", "--", "-c", "exit 3"], to: node)
            let always = try await submit(
                ["--restart", "always", "--max-attempts", "2", "true"], to: node)
            let slow = try await submit(
                ["--restart", "on-failure:1", "--timeout", "0.5", "--grace", "0.2", "sleep", "60"],
                to: node)
            let never = try await submit(["--restart", "never", "false"], to: node)
            for id in [failing, always, slow, never] {
                _ = try await node.client("wait", id)
            }
            let failed = try await status(failing, on: node)
            #expect(failed.state == "failed")
            #expect(failed.attempts.map(\.exit_code) == [3, 3])
            #expect(failed.attempts.map(\.attempt) == [1, 2])
            #expect(Set(failed.attempts.map(\.token)).count == 2)
            #expect(failed.attempts.allSatisfy { $0.started != nil && $0.ended != nil })
            let ended = try await status(always, on: node)
            #expect(ended.state == "complete")
            #expect(ended.attempts.map(\.state) == ["complete", "complete"])
            let timedOut = try await status(slow, on: node)
            #expect(timedOut.state == "failed")
            #expect(timedOut.attempts.count == 2)
            #expect(timedOut.reason.contains("run time"), "\(timedOut.reason)")
            #expect(try await status(never, on: node).attempts.count == 1)
            let events = try await node.client("events", failing)
            #expect(events.output.contains("submitted"))
            #expect(events.output.split(separator: "\n").count { $0.contains("failed") } == 3)
            let table = try await node.client("status", failing)
            #expect(table.output.contains("ATTEMPT"))
        }
    }

    @Test func `a node that is cut off takes work in, says what it waits for, and starts it later`()
        async throws
    {
        let network = try await TestNetwork.make(of: 3)
        do {
            try await TestCluster.run(of: 3, network: network) { cluster in
                try await checkMinority(cluster, network)
            }
        } catch {
            await network.remove()
            throw error
        }
        await network.remove()
    }

    private func checkMinority(_ cluster: TestCluster, _ network: TestNetwork) async throws {
        let node = cluster.nodes[0]
        try await eventually("all three vote") {
            try await cluster.members(seenBy: node).count { $0.voter } == 3
        }
        try await network.cut(0)
        let words = "waiting for lock quorum (2 of 3 voters unreachable)"
        let id = try await submit(["true"], to: node)
        try await eventually("it says what it waits for") {
            try await status(id, on: node).waits_for == words
        }
        #expect(try await node.client("status", id).output.contains(words))
        #expect(try await node.client("why", id).output.contains(words))
        #expect(try await status(id, on: node).state == "queued")
        try await network.mend(0)
        try await eventually("it runs") {
            try await status(id, on: node).state == "complete"
        }
        #expect(try await status(id, on: node).waits_for == nil)
    }
}
