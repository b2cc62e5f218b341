import Cluster
import ControlAPI
import Hummingbird
import Model

/// What a person can say about a member.
extension APIServer {
    /// How many digits of a node's ID may stand for it at least.
    static let nodePrefixSizeMin = 4

    /// The nodes of this ID or name; when there is none, those whose ID begins so.
    ///
    /// Not those whose name begins so: `node1` must not mean `node10` because `node1` is unknown. Who
    /// was evicted is not meant when another node has its name now.
    static func find(_ wanted: String, among nodes: [NodeStatus]) -> [NodeStatus] {
        let exact = nodes.filter { "\($0.id)" == wanted || $0.name == wanted }
        let present = exact.filter { $0.state != .evicted }
        guard present.isEmpty else { return present }
        guard exact.isEmpty, wanted.utf8.count >= nodePrefixSizeMin else { return exact }
        return nodes.filter { "\($0.id)".hasPrefix(wanted.lowercased()) }
    }

    /// The one node that is meant.
    func node(_ wanted: String) async throws -> NodeStatus {
        let nodes = try await driver.read { $0.nodes(at: NodeDriver.now) }
        let found = APIServer.find(wanted, among: nodes)
        guard let node = found.first else {
            throw Refusal(
                .notFound,
                "there is no node \(wanted); give its name, or the first digits of its ID")
        }
        guard found.count == 1 else {
            let list = found.map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
            throw Refusal(
                .conflict, "\(wanted) may mean any of \(list); give more of the ID")
        }
        return node
    }

    func evict(_ request: Request, _ wanted: String) async throws -> Response {
        let wish: EvictRequest = try await decode(request)
        let node = try await node(wanted)
        guard
            case .evicted(let evicted) = try await ask(
                .evict(node.id, isCascading: wish.cascade))
        else { throw Refusal(.unavailable, "the node evicted nobody") }
        let nodes = try await driver.read { $0.nodes(at: NodeDriver.now) }
        let others = evicted.filter { $0 != node.id }.map { other in
            nodes.first { $0.id == other }?.name ?? "\(other)"
        }
        return try json(EvictionView(evicted: [node.name] + others.sorted()))
    }
}
