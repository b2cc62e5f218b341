import Foundation

/// Network namespaces, one per node, joined by a bridge in a namespace of its own.
///
/// Nothing of it touches the machine's own network; it is removed when the test ends.
struct TestNetwork: Sendable {
    private let prefix: String
    private let count: Int

    /// Makes the namespaces and connects them.
    static func make(of count: Int) async throws -> TestNetwork {
        let prefix = "mgp\(Int.random(in: 10_000...99_999))"
        let network = TestNetwork(prefix: prefix, count: count)
        do {
            try await network.build()
        } catch {
            await network.remove()
            throw error
        }
        return network
    }

    private func build() async throws {
        try await ip("netns", "add", hub)
        try await ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        try await ip("-n", hub, "link", "set", "bridge", "up")
        for index in 0..<count {
            let space = space(of: index)
            try await ip("netns", "add", space)
            try await ip(
                "-n", space, "link", "add", "eth", "type", "veth", "peer", "name", port(index),
                "netns", hub)
            try await ip("-n", hub, "link", "set", port(index), "master", "bridge", "up")
            try await ip("-n", space, "addr", "add", "\(host(of: index))/24", "dev", "eth")
            try await ip("-n", space, "link", "set", "eth", "up")
            try await ip("-n", space, "link", "set", "lo", "up")
        }
    }

    /// Takes a node's cable out.
    func cut(_ index: Int) async throws {
        try await ip("-n", hub, "link", "set", port(index), "down")
    }

    /// Puts it back.
    func mend(_ index: Int) async throws {
        try await ip("-n", hub, "link", "set", port(index), "up")
    }

    /// Removes all namespaces, and with them what is in them.
    func remove() async {
        for index in 0..<count { try? await ip("netns", "delete", space(of: index)) }
        try? await ip("netns", "delete", hub)
    }

    /// Where a node is heard.
    func address(of index: Int) -> String { "\(host(of: index)):7946" }

    /// What stands before a command that runs in a node's namespace.
    func entrance(to index: Int) -> [String] {
        ["/usr/bin/nsenter", "--net=/run/netns/\(space(of: index))"]
    }

    private var hub: String { "\(prefix)hub" }
    private func space(of index: Int) -> String { "\(prefix)n\(index + 1)" }
    private func port(_ index: Int) -> String { "port\(index + 1)" }
    private func host(of index: Int) -> String { "10.99.0.\(index + 1)" }

    private func ip(_ arguments: String...) async throws {
        let result = try await Program.run("/sbin/ip", arguments)
        guard result.code == 0 else {
            throw NeverHappened(
                description: "ip \(arguments.joined(separator: " ")): \(result.errors)")
        }
    }
}
