import Cluster
import Model
import Raft

/// A running daemon's core; a class, since asking a value that lies in an optional copies it first.
///
/// Measured: copies of nodes were a quarter of the simulator's time. Reading a property through a
/// class copies the whole value as well, so reads go through an `inout`, like changes.
final class RunningNode {
    private var core: Node
    /// The identity; it never changes.
    let id: NodeID

    init(_ core: Node) {
        self.core = core
        id = core.id
    }

    func handle(_ event: NodeEvent, at now: Instant, emit: (NodeEffect) -> Void) {
        core.handle(event, at: now, emit: emit)
    }

    private static func read<Value>(_ core: inout Node, _ body: (inout Node) -> Value) -> Value {
        body(&core)
    }

    var nextDeadline: Instant? { RunningNode.read(&core) { $0.nextDeadline } }
    var isMember: Bool { RunningNode.read(&core) { $0.isMember } }
    var hasLease: Bool { RunningNode.read(&core) { $0.hasLease } }
    var aliveCount: Int { RunningNode.read(&core) { $0.aliveCount } }
    var lockAppliedIndex: UInt64 { RunningNode.read(&core) { $0.lockAppliedIndex } }
    var lockCommitted: FencingToken { RunningNode.read(&core) { $0.lockCommitted } }
    var lockVoterSets: [[NodeID]] { RunningNode.read(&core) { $0.lockVoterSets } }

    var lockState: (appliedIndex: UInt64, bytes: [UInt8]) {
        RunningNode.read(&core) { $0.lockState }
    }

    func lockEntries(after index: UInt64) -> [RaftEngine.CommittedEntry] {
        RunningNode.read(&core) { $0.lockEntries(after: index) }
    }

    var queues: [NodeQueue] { RunningNode.read(&core) { $0.queues } }

    func newerFields(of task: TaskID) -> [UInt8] {
        RunningNode.read(&core) { $0.newerFields(of: task) }
    }

    func task(_ task: TaskID) -> TaskStatus? { RunningNode.read(&core) { $0.task(task) } }

    func nodes(at now: Instant) -> [NodeStatus] { RunningNode.read(&core) { $0.nodes(at: now) } }

    func tableBytes() -> [UInt8] { RunningNode.read(&core) { $0.tableBytes() } }
}
