import Gossip
import Lock
package import Model
package import Raft

/// What a node knows, for people and programs to read.
extension Node {
    /// The cluster that the node belongs to; `nil` before it has joined one.
    package var clusterID: ClusterID? { membership.clusterID }

    /// Whether the node belongs to a cluster.
    package var isMember: Bool { membership.isMember }

    /// Why the node can do nothing for clients; `nil` when it can.
    package var hindrance: Refusal? {
        if let refusalOfShutOut { return refusalOfShutOut }
        return isMember ? nil : Refusal(.unavailable, "not a member yet")
    }

    /// What is known about a task; `nil` when there is no such task here.
    package func task(_ id: TaskID) -> TaskStatus? {
        table.record(id).map { status($0, quorumWait: quorumWait) }
    }

    /// All known tasks, in order of submission.
    package func tasks() -> [TaskStatus] {
        let quorumWait = quorumWait
        return table.records.map { status($0, quorumWait: quorumWait) }
    }

    /// The tasks whose ID begins or ends with `fragment`, at most a handful, in rising order.
    package func find(_ fragment: String) -> [TaskID] {
        table.ids(matching: fragment)
    }

    /// How many members look alive from here, this node included.
    package var aliveCount: Int { membership.aliveCount }

    /// Whether the node holds a lease, as far as it knows.
    package var hasLease: Bool { lock.session != nil }

    /// The last entry of the lock's log that this node has applied, 0 when it has none.
    package var lockAppliedIndex: UInt64 { lock.appliedIndex }

    /// The lock's replicated table and how far it is applied: equal bytes for equal indices.
    package var lockState: (appliedIndex: UInt64, bytes: [UInt8]) {
        (lock.appliedIndex, lock.tableBytes)
    }

    /// How far the lock's log is committed as far as this node knows, and in which generation.
    package var lockCommitted: FencingToken {
        FencingToken(generation: lock.generation, index: lock.commitIndex)
    }

    /// The committed entries of the lock's log behind `index`, in order: equal on all voters.
    package func lockEntries(after index: UInt64) -> [RaftEngine.CommittedEntry] {
        lock.committedEntries(after: index)
    }

    /// Every set of voters of which this node knows that a majority of it is needed.
    package var lockVoterSets: [[NodeID]] { lock.voterSets }

    /// The table as bytes: equal on nodes that know the same.
    package func tableBytes() -> [UInt8] {
        table.canonicalBytes()
    }

    /// The membership view, in order of node IDs.
    package func nodes(at now: Instant) -> [NodeStatus] {
        let voters = Set(lock.voters)
        return membership.members.map { member in
            let usage = holders[member.id]
            var status = NodeStatus(
                id: member.id, name: member.name, address: member.address,
                state: MemberState(member.state),
                isEligible: member.state == .alive && member.metadata.isEligible
                    && (member.id != id || activity == .active),
                isVoter: voters.contains(member.id), isLeader: lock.leader == member.id,
                runningCount: usage.count, capacity: member.metadata.capacity,
                reserved: usage.resources, incarnation: member.incarnation,
                version: member.metadata.version, labels: member.metadata.labels)
            status.eviction = evictionStatus(of: member.id)
            return status
        }
    }

    /// For each member, why it has not taken a task; empty when there is no such task.
    package func why(_ id: TaskID, at now: Instant) -> [NodeVerdict] {
        guard let task = task(id) else { return [] }
        return nodes(at: now).map { node in
            NodeVerdict(node: node.id, name: node.name, reason: reason(task, not: node, at: now))
        }
    }

    private func reason(_ task: TaskStatus, not node: NodeStatus, at now: Instant) -> String {
        if task.state.isTerminal { return "the task has ended (\(task.state.rawValue))" }
        if task.node == node.id, task.state != .queued { return "it has the task" }
        if task.state != .queued { return "another node has the task" }
        guard node.state == .alive else { return "it is \(node.state.rawValue)" }
        if node.id == id {
            if let hindrance = hindrance(to: task.spec) { return "it \(hindrance)" }
            if let quorumWait { return "it is \(quorumWait)" }
            guard isLeaseHeld(at: now) else {
                return "it has no lease: the lock's voters do not answer"
            }
        }
        guard node.isEligible else { return "it takes no tasks" }
        if let missing = task.spec.constraints.first(where: { !node.labels.contains($0) }) {
            return "it does not carry the label \(missing)"
        }
        guard task.spec.resources.fits(within: node.capacity) else {
            return "it is too small: the task asks for more than the node gives to all tasks"
        }
        guard (node.reserved + task.spec.resources).fits(within: node.capacity) else {
            return "it has no room: \(node.runningCount) tasks reserve what is missing"
        }
        return "it may take the task at any moment"
    }

    /// What everybody here waits for while a majority of the lock's voters is out of reach.
    var quorumWait: String? {
        let voters = lock.voters
        let unreachable = voters.count { voter in
            voter != id && membership.member(voter)?.state.isInReach != true
        }
        guard !voters.isEmpty, voters.count - unreachable <= voters.count / 2 else { return nil }
        return "waiting for lock quorum (\(unreachable) of \(voters.count) voters unreachable)"
    }

    private func status(_ record: TaskRecord, quorumWait: String?) -> TaskStatus {
        let attempt = record.latestAttempt
        let isQueued = record.state == .queued
        var status = TaskStatus(
            id: record.id, state: record.state, spec: record.spec,
            node: isQueued ? nil : attempt?.node,
            nodeName: isQueued ? nil : attempt.flatMap { membership.member($0.node)?.name },
            exit: record.outcome?.exit ?? (isQueued ? nil : attempt?.exit),
            attempt: attempt.map { Int($0.count.used) } ?? 0, token: attempt?.token,
            isCancelRequested: record.isCancelRequested,
            isUnconfirmed: record.state.isTerminal && record.outcome == nil,
            submitted: record.submitted, started: attempt?.started, ended: attempt?.ended,
            reason: record.outcome?.reason ?? attempt?.reason ?? "")
        // A note on limits stands in the row alone.
        if status.reason.isEmpty, let attempt, attempt.phase != .lost {
            status.reason = attempt.reason
        }
        status.usage = attempt?.usage
        status.attempts = record.attempts.map { self.status($0, of: record) }
        if isQueued { status.waitsFor = quorumWait }
        return status
    }

    private func status(_ row: AttemptRow, of record: TaskRecord) -> AttemptStatus {
        let isOvertaken =
            !row.phase.isTerminal
            && (row.token != record.latestAttempt?.token || record.outcome != nil)
        return AttemptStatus(
            number: Int(row.count.used), token: row.token, node: row.node,
            nodeName: membership.member(row.node)?.name, phase: isOvertaken ? .lost : row.phase,
            exit: row.exit, claimed: row.claimed, started: row.started, ended: row.ended,
            reason: isOvertaken ? "its node was lost and has not reported its end" : row.reason)
    }
}
