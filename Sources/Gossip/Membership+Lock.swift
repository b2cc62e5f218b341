package import Model

/// What members sign about the lock: good in this cluster only, and for nothing else.
extension Membership {
    /// Signs a statement about the lock with this node's key; `nil` outside of a cluster.
    package func sign(lock statement: [UInt8]) -> [UInt8]? {
        ring.map { key.sign(Membership.text(of: statement, in: $0.cluster)) }
    }

    /// Whether a member has signed a statement about the lock.
    package func verifies(
        _ signature: [UInt8], ofLock statement: [UInt8], by node: NodeID
    ) -> Bool {
        guard let ring else { return false }
        let text = Membership.text(of: statement, in: ring.cluster)
        return ring.verify(signature, of: text, by: node)
    }

    private static func text(of statement: [UInt8], in cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-lock-1".utf8)
        cluster.encode(into: &writer)
        writer.blob(statement)
        return writer.bytes
    }
}
