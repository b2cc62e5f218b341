import ArgumentParser
import ControlAPI
import Foundation
import NIOHTTP1

/// `client nodes`: the membership view, and what a person can say about a member.
struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "Show the members of the cluster.",
        subcommands: [NodesListCommand.self, ForgetCommand.self, EvictCommand.self],
        defaultSubcommand: NodesListCommand.self)
}

/// `client nodes list`, or `client nodes` for short.
struct NodesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the members of the cluster.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions

    func run() async throws {
        let nodes = try await reporting {
            try await Connection(common.node).ask(.GET, APIPaths.nodes, as: [NodeView].self)
                .sorted { ($0.name, $0.id) < ($1.name, $1.id) }
        }
        switch list.output {
        case .json: Output.line(try json(nodes))
        case .name: for node in nodes { Output.line(node.name) }
        case .table, .wide:
            for line in NodesListCommand.table(nodes, isWide: list.output == .wide).lines {
                Output.line(line)
            }
        }
    }

    static func table(_ nodes: [NodeView], isWide: Bool) -> Table {
        var table = Table(
            header: ["NAME", "STATE", "ADDRESS", "LOCK", "TASKS", "LOAD", "CPUS", "MEMORY"]
                + (isWide ? ["ELIGIBLE", "INCARNATION", "VERSION", "LABELS", "ID", "EVICTED"] : []))
        for node in nodes {
            var row = [
                node.name, node.state, node.address,
                node.leader ? "leader" : node.voter ? "voter" : "-", "\(node.running)",
                "\(Int((node.load * 100).rounded())) %", plain(node.cpus), size(node.memory),
            ]
            if isWide {
                row += [
                    node.eligible ? "yes" : "no", "\(node.incarnation)", node.version,
                    node.labels.isEmpty ? "-" : node.labels.joined(separator: ","), node.id,
                    node.evicted.map { "\($0) at \(node.evictedBy ?? "?")" } ?? "-",
                ]
            }
            table.rows.append(row)
        }
        return table
    }
}

/// `client nodes forget`: declares a node gone for good.
struct ForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Declare a node gone for good.",
        discussion: """
            Tasks that wait for the node may then run elsewhere. Refused while the node is alive or its lease is not over; \
            should it come back, its containers are ended before it works again.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "The node's name, or its ID or the beginning of that.") var node: String

    func run() async throws {
        try await reporting {
            let path = try NodesCommand.path(of: node, "forget")
            try await Connection(common.node).ask(.POST, path)
        }
    }
}

/// `client nodes evict`: shuts a node's key out for good.
struct EvictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evict", abstract: "Shut a node out of the cluster for good.",
        discussion: """
            Nothing that bears the node's key is heard any more, its tokens are void, and it can't join again under this key. \
            Its tasks run elsewhere once its lease is over, those that wait for it too: turn the machine off, or such a task may \
            run twice while the node has not heard of it. The lock's voters must agree; where most of them are out of reach this \
            waits for them.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Evict those, too, whom the node has let in, directly or by way of others.")
    var cascade = false
    @Argument(help: "The node's name, or its ID or the beginning of that.") var node: String

    func run() async throws {
        let evicted = try await reporting {
            let path = try NodesCommand.path(of: node, "evict")
            return try await Connection(common.node).ask(
                .POST, path, EvictRequest(cascade: cascade), as: EvictionView.self
            ).evicted
        }
        for name in evicted { Output.line(name) }
    }
}

extension NodesCommand {
    /// The path of what is to be done with a node.
    fileprivate static func path(of node: String, _ verb: String) throws -> String {
        guard let escaped = node.addingPercentEncoding(withAllowedCharacters: .alphanumerics),
            !escaped.isEmpty
        else { throw InvalidInput("nodes \(verb): the node's name is missing") }
        return "\(APIPaths.nodes)/\(escaped)/\(verb)"
    }
}

private func plain(_ number: Double) -> String {
    number == number.rounded() ? "\(Int(number))" : "\(number)"
}

/// A size in the largest unit that leaves a whole number, or one decimal.
func size(_ bytes: UInt64) -> String {
    for (unit, factor) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] as [(String, UInt64)]
    where bytes >= factor {
        let tenths = bytes * 10 / factor
        return tenths % 10 == 0 ? "\(tenths / 10)\(unit)" : "\(tenths / 10).\(tenths % 10)\(unit)"
    }
    return "\(bytes)"
}
