import Cluster
import Hummingbird
import Model

/// Counters and states for Prometheus.
extension APIServer {
    func metrics() async throws -> Response {
        var text = PrometheusText()
        for (name, value) in try await driver.metrics().sorted(by: { $0.key < $1.key }) {
            text.add(
                "magpie_\(name.family)_total", .counter, help: name.help,
                labels: name.reason.map { [("reason", $0)] } ?? [], value: Double(value))
        }
        let (tasks, nodes, id, hasLease) = try await driver.read { node in
            (
                Dictionary(grouping: node.tasks(), by: \.state).mapValues(\.count),
                node.nodes(at: NodeDriver.now), node.id, node.hasLease
            )
        }
        for state in TaskState.allCases {
            text.add(
                "magpie_tasks", .gauge, help: "Tasks that this node knows of, by state.",
                labels: [("state", state.rawValue)], value: Double(tasks[state] ?? 0))
        }
        for state in [MemberState.alive, .suspect, .dead, .left, .evicted] {
            text.add(
                "magpie_nodes", .gauge, help: "Members of the cluster as this node sees them.",
                labels: [("state", state.rawValue)],
                value: Double(nodes.count { $0.state == state }))
        }
        let own = nodes.first { $0.id == id }
        text.add(
            "magpie_tasks_held", .gauge, help: "Tasks that this node runs or has claimed.",
            value: Double(own?.runningCount ?? 0))
        text.add(
            "magpie_load_ratio", .gauge, help: "The share of this node that is reserved.",
            value: own?.load ?? 0)
        text.add(
            "magpie_lock_lease", .gauge, help: "1 when this node holds a lease.",
            value: hasLease ? 1 : 0)
        text.add(
            "magpie_lock_leader", .gauge, help: "1 when this node leads the lock.",
            value: own?.isLeader == true ? 1 : 0)
        text.add(
            "magpie_event_streams", .gauge, help: "Streams of events that clients listen to.",
            value: Double(try await driver.followerCount()))
        return APIServer.plain(text.text, type: "text/plain; version=0.0.4; charset=utf-8")
    }
}

/// The text format in which Prometheus reads metrics; samples of one family stay together.
///
/// Source: Prometheus, "Exposition formats", text format 0.0.4.
struct PrometheusText {
    enum Kind: String {
        case counter
        case gauge
    }

    private var order: [String] = []
    private var families: [String: [String]] = [:]

    mutating func add(
        _ name: String, _ kind: Kind, help: String, labels: [(String, String)] = [], value: Double
    ) {
        if families[name] == nil {
            order.append(name)
            families[name] = ["# HELP \(name) \(help)", "# TYPE \(name) \(kind.rawValue)"]
        }
        let pairs = labels.map { "\($0)=\"\(PrometheusText.escaped($1))\"" }
        let label = pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
        let isWhole = value == value.rounded() && abs(value) < 1e15
        families[name]?.append("\(name)\(label) \(isWhole ? "\(Int64(value))" : "\(value)")")
    }

    var text: String {
        order.flatMap { families[$0] ?? [] }.map { $0 + "\n" }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
    }
}
