package import Model
package import Cluster
package import Gossip
package import Lock
package import Raft

/// A rule that is broken on purpose, in whichever part: a run must notice.
package enum Mutation: Hashable, Sendable {
    /// A rule of the lock.
    case lock(LockMutation)
    /// A rule of the log below it.
    case raft(RaftMutation)
    /// A rule of the membership.
    case gossip(GossipMutation)
    /// A rule of the task table.
    case table(TableMutation)
    /// A rule of the node that joins the parts.
    case node(NodeMutation)
    /// A rule of the driver.
    case driver(DriverMutation)

    /// All of them.
    package static let all: [Mutation] =
        LockMutation.allCases.map(lock) + RaftMutation.allCases.map(raft)
        + GossipMutation.allCases.map(gossip) + TableMutation.allCases.map(table)
        + NodeMutation.allCases.map(node) + DriverMutation.allCases.map(driver)

    /// The name on the command line; unique among all parts.
    package var name: String {
        switch self {
        case .lock(let mutation): mutation.rawValue
        case .raft(let mutation): mutation.rawValue
        case .gossip(let mutation): mutation.rawValue
        case .table(let mutation): mutation.rawValue
        case .node(let mutation): mutation.rawValue
        case .driver(let mutation): mutation.rawValue
        }
    }

    /// The mutation of that name.
    package init?(name: String) {
        guard let known = Mutation.all.first(where: { $0.name == name }) else { return nil }
        self = known
    }

    /// The part of it that concerns the driver.
    var driver: DriverMutation? {
        if case .driver(let mutation) = self { mutation } else { nil }
    }

    /// Breaks the rule in a node.
    func apply(to configuration: inout NodeConfiguration) {
        switch self {
        case .lock(let mutation): configuration.lock.mutation = mutation
        case .raft(let mutation): configuration.lock.raft.mutation = mutation
        case .gossip(let mutation): configuration.gossipMutation = mutation
        case .table(let mutation): configuration.tableMutation = mutation
        case .node(let mutation): configuration.mutation = mutation
        case .driver: break
        }
    }
}
