package import Model

/// How a member looks from one node.
package enum MemberState: String, Hashable, Sendable {
    /// Answers probes.
    case alive
    /// Did not answer; has time to refute.
    case suspect
    /// Did not answer in time. It may still run.
    case dead
    /// Said goodbye.
    case left
    /// Is shut out for good.
    case evicted
}

/// One line of the membership view.
package struct NodeStatus: Hashable, Sendable {
    /// The member.
    package var id: NodeID
    /// The name that its operator gave it.
    package var name: String
    /// Where it listens for gossip.
    package var address: PeerAddress
    /// How it looks from here.
    package var state: MemberState
    /// Whether it takes work.
    package var isEligible: Bool
    /// Whether it votes in the lock.
    package var isVoter: Bool
    /// Whether it leads the lock, as far as this node knows.
    package var isLeader: Bool
    /// How many tasks it runs or has claimed.
    package var runningCount: Int
    /// What its operator gives to tasks.
    package var capacity: Resources
    /// What its tasks reserve.
    package var reserved: Resources
    /// The SWIM incarnation number.
    package var incarnation: UInt64
    /// The version of its software.
    package var version: String
    /// Its labels, `K=V`, sorted.
    package var labels: [String]
    /// How it was shut out, if it was.
    package var eviction: EvictionStatus?

    /// The larger share of CPU or memory that is reserved, 0 for an idle node.
    package var load: Double { reserved.dominantShare(of: capacity) }
}

/// How a node was shut out.
package struct EvictionStatus: Hashable, Sendable {
    /// When, by the clock of the member that was asked for it.
    package var time: WallTime
    /// At which member.
    package var author: NodeID
    /// That member's name, when it is known.
    package var authorName: String?
}

/// The visible states of a task.
package enum TaskState: String, Hashable, Sendable, CaseIterable {
    /// Waits for a node.
    case queued
    /// A node has claimed it and prepares its container.
    case claimed
    /// Its program runs.
    case running
    /// It ended with exit code zero.
    case complete
    /// It ended otherwise.
    case failed
    /// A user ended it.
    case canceled
    /// Its node was lost, and its policy forbids another attempt.
    case lost

    /// Whether the task has ended for good.
    package var isTerminal: Bool {
        switch self {
        case .queued, .claimed, .running: false
        case .complete, .failed, .canceled, .lost: true
        }
    }
}

/// One attempt at a task, as one node knows it.
package struct AttemptStatus: Hashable, Sendable {
    /// Counts the task's attempts from 1.
    package var number: Int
    /// Its fencing token.
    package var token: FencingToken
    /// The node that claimed it.
    package var node: NodeID
    /// That node's name, when it is known.
    package var nodeName: String?
    /// How far it has come; `lost` also for one whose node has not reported its end and that a later
    /// attempt or the task's end has overtaken.
    package var phase: AttemptRow.Phase
    /// The process's exit, once there is one.
    package var exit: ExitStatus?
    /// When it was claimed, by that node's clock, as all times here.
    package var claimed: WallTime?
    /// When its program started.
    package var started: WallTime?
    /// When it ended.
    package var ended: WallTime?
    /// Why it ended so, when there is more to say.
    package var reason: String
}

/// All that one node knows about a task.
package struct TaskStatus: Hashable, Sendable {
    /// The task.
    package var id: TaskID
    /// Its state, derived from outcome, wish and attempts.
    package var state: TaskState
    /// What was asked for.
    package var spec: TaskSpec
    /// The node of its newest attempt.
    package var node: NodeID?
    /// That node's name, when it is known.
    package var nodeName: String?
    /// The process's exit, once there is one.
    package var exit: ExitStatus?
    /// Counts its attempts, 0 while it was never claimed.
    package var attempt: Int
    /// The newest attempt's fencing token.
    package var token: FencingToken?
    /// Whether a user wishes it to end.
    package var isCancelRequested: Bool
    /// Whether it has ended, but the end is not yet committed in the lock.
    package var isUnconfirmed: Bool
    /// When it was submitted.
    package var submitted: WallTime
    /// When its program started.
    package var started: WallTime?
    /// When it ended.
    package var ended: WallTime?
    /// Why it is in this state, when there is more to say.
    package var reason: String
    /// What its newest attempt has used up, once that has ended.
    package var usage: ResourceUsage?
    /// Its attempts, oldest first; the newest `TaskRecord.attemptsMax`.
    package var attempts: [AttemptStatus] = []
    /// What a queued task waits for, when it is not just a node's turn.
    package var waitsFor: String?

    /// Makes a status.
    package init(
        id: TaskID, state: TaskState, spec: TaskSpec, node: NodeID? = nil,
        nodeName: String? = nil, exit: ExitStatus? = nil, attempt: Int,
        token: FencingToken? = nil, isCancelRequested: Bool, isUnconfirmed: Bool,
        submitted: WallTime, started: WallTime? = nil, ended: WallTime? = nil, reason: String
    ) {
        self.id = id
        self.state = state
        self.spec = spec
        self.node = node
        self.nodeName = nodeName
        self.exit = exit
        self.attempt = attempt
        self.token = token
        self.isCancelRequested = isCancelRequested
        self.isUnconfirmed = isUnconfirmed
        self.submitted = submitted
        self.started = started
        self.ended = ended
        self.reason = reason
    }
}
