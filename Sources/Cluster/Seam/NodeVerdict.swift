package import Model

/// Why one node has not taken a task.
package struct NodeVerdict: Hashable, Sendable {
    /// The node.
    package var node: NodeID
    /// Its name.
    package var name: String
    /// The reason, in words for a person.
    package var reason: String

    /// Makes a verdict.
    package init(node: NodeID, name: String, reason: String) {
        self.node = node
        self.name = name
        self.reason = reason
    }
}
