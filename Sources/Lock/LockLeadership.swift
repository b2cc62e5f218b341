import Model

/// What only the leader of the voters keeps; none of it outlives its leadership.
struct LockLeadership: Sendable {
    /// A renewal that waits until a majority has confirmed the leader.
    struct Renewal: Sendable {
        var session: SessionID
        var number: UInt64
        var node: NodeID
        /// The fingerprint of the amendments that the node knows.
        var amendments: UInt64
    }

    /// A proposal of which the log has not told yet whether it takes it.
    struct Proposal: Sendable {
        var client: ClientLife
        /// The leader's own operation, when it is one.
        var own: LockOperation?
    }

    /// One life of a node that asks.
    struct ClientLife: Hashable, Sendable {
        var node: NodeID
        var boot: BootID

        init(of request: LockRequest) {
            node = request.client
            boot = request.boot
        }
    }

    /// When the leadership began, on this node's clock.
    var since: Instant
    /// Until when each session's holder may trust its lease, at the latest.
    var expiries: [SessionID: Instant] = [:]
    /// Sessions whose expiry is proposed: their renewals are refused.
    var expiring: Set<SessionID> = []
    /// Sessions in whose place others are being opened, by who does: their renewals wait.
    var replaced: [ClientLife: SessionID] = [:]
    /// Requests that stand in the log, but are not applied yet.
    var proposed: [NodeID: (boot: BootID, sequence: UInt64)] = [:]
    var proposals: [UInt64: Proposal] = [:]
    var reads: [UInt64: Renewal] = [:]
    /// Who is about to leave, and until when that is believed without a reminder.
    var leaving: [NodeID: Instant] = [:]
    /// When each voter was last heard in the log's own matters.
    var heard: [NodeID: Instant] = [:]
    /// Who looks alive, but takes no part in the log.
    var unheard: Set<NodeID> = []
    /// The voters that should be and are not yet, and since when.
    var wanted: (voters: [NodeID], since: Instant)?
    /// Whether a length of leases, or collected tasks, are on their way through the log.
    var isSettingLength = false
    /// Whether the end of a recovery is on its way through the log.
    var isEndingRecovery = false
    /// When the length of leases was last changed under this leadership.
    var lengthChanged: Instant?
    var isCollecting = false
    var lastContext: UInt64 = 0
    var lastOwnSequence: UInt64 = 0
    var upkeepDue: Instant

    init(since: Instant) {
        self.since = since
        upkeepDue = since
    }

    mutating func newContext() -> UInt64 {
        lastContext += 1
        return lastContext
    }

    /// A proposal was not taken: its client will ask again, the leader itself at its upkeep.
    mutating func dropped(_ context: UInt64) {
        guard let proposal = proposals.removeValue(forKey: context) else { return }
        replaced[proposal.client] = nil
        if let own = proposal.own { turnedDown(own) } else { proposed[proposal.client.node] = nil }
    }

    /// An operation is applied.
    mutating func settled(_ operation: LockOperation, at now: Instant) {
        if case .setLeaseLength = operation { lengthChanged = now }
        turnedDown(operation)
    }

    /// An own operation is no longer under way.
    private mutating func turnedDown(_ operation: LockOperation) {
        switch operation {
        case .expireSession(let session): expiring.remove(session)
        case .setLeaseLength, .settleLeaseLength: isSettingLength = false
        case .collect: isCollecting = false
        case .endRecovery: isEndingRecovery = false
        case .openSession, .acquire, .release, .close, .forget, .amend: break
        }
    }
}
