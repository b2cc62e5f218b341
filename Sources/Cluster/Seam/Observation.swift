package import Model

/// What a node wants people to know; becomes log lines, metrics and event streams.
package enum Observation: Sendable {
    /// A task's visible state may have changed (submitted, claimed, started, ended, collected).
    case taskChanged(TaskID)
    /// A member's visible state changed.
    case memberChanged(NodeID, MemberState)
    /// Incoming bytes were dropped; the reason is a short fixed word for a counter.
    case dropped(reason: String)
    /// The node asked the lock for this many tasks in one request.
    case claimsRequested(count: Int)
    /// The lock granted a claim.
    case claimGranted(TaskID, FencingToken)
    /// The lock did not grant a claim; somebody else was faster, or the task has ended.
    case claimDenied(TaskID)
    /// The node's lease ended before it was renewed: its containers are being killed.
    case leaseLapsed(SessionID)
    /// The node holds a lease until then.
    case leaseExtended(SessionID, until: Instant)
    /// The node leads the lock's voters, or no longer does.
    case lockLeader(isLeader: Bool)
    /// The set of voters changed.
    case votersChanged([NodeID])
    /// Something that an operator should read.
    case notice(Severity, String)

    /// How urgent a notice is.
    package enum Severity: String, Sendable {
        /// Good to know.
        case info
        /// Something does not work as it should, and is being worked around.
        case warning
        /// A person is needed.
        case error
    }
}
