import Model

/// The keys that a node has had: the first one makes its identity, each signs for the next.
struct KeyHistory: Sendable {
    /// All of them, the newest last.
    private(set) var all: [PublicKey]
    /// The IDs that they make, in the same order.
    private(set) var ids: [NodeID]
    /// The one under which the node speaks.
    private(set) var current: PublicKey
    /// Whom each retired key has let in.
    private var spared: [Set<NodeID>] = []

    /// Follows the successions, sorted by their serials, as far as each is signed by the key before.
    init(
        _ first: PublicKey, _ successions: [Succession], in cluster: ClusterID,
        scheme: any SignatureScheme
    ) {
        all = [first]
        ids = [first.id]
        current = first
        for succession in successions where Int(succession.serial) == all.count {
            guard
                scheme.verify(
                    succession.signature[...], of: succession.statement(in: cluster), by: current)
            else { continue }
            current = PublicKey(bytes: succession.newKey)
            all.append(current)
            ids.append(current.id)
            spared.append(Set(succession.spared))
        }
    }

    /// Whether a node that was let in under one of these keys stays.
    func stands(_ node: NodeID, signedBy index: Int) -> Bool {
        index < spared.count ? spared[index].contains(node) : index < all.count
    }
}
