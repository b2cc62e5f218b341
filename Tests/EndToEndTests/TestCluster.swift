import Foundation
import Glibc
import Runner

/// A cluster of real daemons on loopback, removed without a trace when the test ends.
struct TestCluster: Sendable {
    let nodes: [TestNode]
    let folder: URL

    /// Whether this machine can run containers for tests: root is needed.
    static let canRunContainers = geteuid() == 0

    /// Runs `body` on a fresh cluster of `count` nodes, then removes all of it.
    ///
    /// The nodes listen at `addresses`, or at some drawn from the loopback range.
    static func run(
        of count: Int, options: [String] = [], network: TestNetwork? = nil,
        addresses: [String]? = nil, user: TestUser? = nil,
        preparing prepare: (TestCluster) async throws -> Void = { _ in },
        afterwards cleanUp: @escaping @Sendable () -> Void = {},
        _ body: (TestCluster) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-test-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("shared"), withIntermediateDirectories: true)
        let ports =
            network.map { network in (0..<count).map(network.address) }
            ?? addresses ?? LoopbackAddresses.draw(count)
        let nodes = ports.enumerated().map { index, address in
            TestNode(
                name: "node\(index + 1)", address: address,
                dataDirectory: folder.appendingPathComponent("node\(index + 1)"),
                options: options + [
                    "--allow-volume", folder.appendingPathComponent("shared").path,
                ],
                entrance: network?.entrance(to: index) ?? [], user: user)
        }
        let cluster = TestCluster(nodes: nodes, folder: folder)
        do {
            try user?.own(folder)
            try await prepare(cluster)
            try await cluster.form()
            try await body(cluster)
        } catch {
            await cluster.showLogs()
            try? await cluster.remove(cleanUp)
            throw error
        }
        try await cluster.remove(cleanUp)
    }

    /// The folder that tasks may mount.
    var shared: URL { folder.appendingPathComponent("shared") }

    private func form() async throws {
        try await nodes[0].start(["start"])
        let token = try await Program.run(
            "daemon", ["token", "--data-dir", nodes[0].dataDirectory.path])
        guard token.code == 0 else { throw NeverHappened(description: token.errors) }
        let text = token.output.trimmingCharacters(in: .whitespacesAndNewlines)
        for node in nodes.dropFirst() {
            try await node.start(["join", nodes[0].address, "--token", text])
        }
        let count = nodes.count
        for node in nodes {
            try await eventually("\(node.name) sees \(count) nodes alive") {
                try await aliveCount(seenBy: node) == count
            }
        }
    }

    func aliveCount(seenBy node: TestNode) async throws -> Int {
        try await members(seenBy: node).count { $0.state == "alive" }
    }

    func members(seenBy node: TestNode) async throws -> [NodeLine] {
        let reply = try await node.client("nodes", "-o", "json")
        guard reply.code == 0 else { return [] }
        return try JSONDecoder().decode([NodeLine].self, from: Data(reply.output.utf8))
    }

    func tasks(seenBy node: TestNode) async throws -> [TaskLine] {
        let reply = try await node.client("list", "-o", "json")
        guard reply.code == 0 else { throw NeverHappened(description: reply.errors) }
        return try JSONDecoder().decode([TaskLine].self, from: Data(reply.output.utf8))
    }

    /// The end of each daemon's log, for a failing test.
    private func showLogs() async {
        for node in nodes {
            let path = node.dataDirectory.path + ".log"
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { continue }
            print("--- \(node.name)\n\(text.suffix(4_000))")
        }
    }

    private func remove(_ cleanUp: () -> Void) async throws {
        for node in nodes { await node.stop() }
        for node in nodes { try await node.purge() }
        cleanUp()
        let groups = nodes.map { node in
            let run = RunnerConfiguration.runDirectory(for: node.dataDirectory.path)
            return "magpie-" + (run.split(separator: "/").last ?? "")
        }
        let left = Leftovers.find(mentioning: folder.path, groups: Set(groups))
        try FileManager.default.removeItem(at: folder)
        guard left.isEmpty else {
            throw NeverHappened(description: "left behind: \(left.joined(separator: "; "))")
        }
    }
}

/// Draws addresses of the loopback range that no other test uses at the same time.
enum LoopbackAddresses {
    static func draw(_ count: Int) -> [String] {
        let host = "127.\(Int.random(in: 1...250)).\(Int.random(in: 0...250))"
        return (1...count).map { "\(host).\($0):\(Int.random(in: 20_000...30_000))" }
    }
}

/// What a test forgot: processes and mounts that mention its folder.
enum Leftovers {
    /// `names` are those of the nodes' control groups.
    static func find(mentioning folder: String, groups names: Set<String>) -> [String] {
        let manager = FileManager.default
        var found: [String] = []
        for entry in (try? manager.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let id = Int32(entry), id != getpid(),
                let line = manager.contents(atPath: "/proc/\(entry)/cmdline"),
                let text = String(bytes: line.map { $0 == 0 ? 32 : $0 }, encoding: .utf8)
            else { continue }
            if text.contains(folder) { found.append("process \(id): \(text)") }
        }
        let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
        for hierarchy in (try? manager.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? [] {
            let groups = try? manager.contentsOfDirectory(atPath: "/sys/fs/cgroup/\(hierarchy)")
            for group in groups ?? [] where names.contains(group) {
                found.append("cgroup \(hierarchy)/\(group)")
            }
        }
        for mount in mounts.split(separator: "\n") where mount.contains(folder) {
            found.append("mount \(mount)")
        }
        return found
    }
}

/// What the tests read of `client nodes -o json`.
struct NodeLine: Decodable {
    let name: String
    let state: String
    let running: Int
    let voter: Bool
    let address: String
}

/// What the tests read of `client list -o json`.
struct TaskLine: Decodable {
    let id: String
    let state: String
    let attempt: Int
    let node: String?
    let exit_code: Int?
    let reason: String
}
