package import Model
import Raft

/// The lock's part in changes of the ring of keys.
extension LockNode {
    /// The changes of the ring of keys that this node's copy of the table knows, the earliest first.
    package var amendments: [Amendment] { table.amendments.all }

    /// Whoever is to be shut out gives up its vote first: the lock must not lose its majority with it.
    ///
    /// Its vote goes as that of a node that leaves. The request comes again until it is gone.
    ///
    /// - Returns: Whether that is still to be done.
    mutating func unseats(
        _ request: LockRequest, at now: Instant, emit: (LockEffect) -> Void
    ) -> Bool {
        var evicted: Set<NodeID> = []
        for case .amend(.eviction(let eviction)) in request.operations {
            evicted.formUnion(eviction.nodes)
        }
        let seated = evicted.filter(engine.members.isVoter).sorted()
        guard !seated.isEmpty, configuration.mutation != .evictsSeated else { return false }
        for node in seated {
            leadership?.leaving[node] =
                now + configuration.requestTimeout * LockNode.leavingRequests
        }
        upkeep(at: now, emit: emit)
        return true
    }
}
