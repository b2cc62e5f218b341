import Cluster
import Model

/// A running daemon's core; a class, since asking a value that lies in an optional copies it first.
///
/// Measured: copies of nodes were a quarter of the simulator's time.
final class RunningNode {
    private var core: Node

    init(_ core: Node) {
        self.core = core
    }

    func handle(_ event: NodeEvent, at now: Instant, emit: (NodeEffect) -> Void) {
        core.handle(event, at: now, emit: emit)
    }

    var nextDeadline: Instant? { core.nextDeadline }
    var id: NodeID { core.id }
    var isMember: Bool { core.isMember }
    var hasLease: Bool { core.hasLease }
    var aliveCount: Int { core.aliveCount }
    var lockAppliedIndex: UInt64 { core.lockAppliedIndex }
    var lockState: (appliedIndex: UInt64, bytes: [UInt8]) { core.lockState }

    func task(_ task: TaskID) -> TaskStatus? { core.task(task) }
    func nodes(at now: Instant) -> [NodeStatus] { core.nodes(at: now) }
    func tableBytes() -> [UInt8] { core.tableBytes() }
}
