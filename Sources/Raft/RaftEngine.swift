package import Model

/// One member of a replicated log, without I/O: events in, effects out.
///
/// Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended
/// version, 2014), sections as noted; Ongaro's thesis for pre-vote, check-quorum, read index and
/// leadership transfer. The design follows etcd-io/raft. Nothing that a peer sends may trap.
///
/// What the caller must do:
///
/// 1. Perform writes in order, each whole, and answer each ticket only once its write is on disk.
///    A write that fails is tried again before any later one.
/// 2. Start again from what was written, and from nothing else: who lost its disk is a new member
///    under a new name.
/// 3. Send messages in any order, to whom they are addressed; each may be lost or doubled.
/// 4. Pass on the time with every event, from a clock that does not go back.
package struct RaftEngine: Sendable {
    /// What a member is doing.
    package enum Role: Hashable, Sendable {
        /// Follows a leader, or waits for one.
        case follower
        /// Asks whether it would be elected; its term has not changed yet.
        case preCandidate
        /// Asks for votes.
        case candidate
        /// Leads.
        case leader
    }

    /// This member.
    package let id: NodeID
    let configuration: RaftConfiguration

    /// What the member is doing.
    package internal(set) var role: Role = .follower
    /// Who leads the current term, as far as this member knows.
    package internal(set) var leader: NodeID?
    /// The last entry that is known to be committed.
    package internal(set) var commitIndex: UInt64
    /// The last entry that was handed to the application.
    package internal(set) var appliedIndex: UInt64
    /// The members in force: the newest ones in the log, committed or not.
    package internal(set) var members: RaftMembers

    var hardState: RaftHardState
    var log: RaftLog
    /// Where the members in force stand in the log.
    var membersIndex: UInt64
    var random: SeededGenerator
    var storage = RaftStorageQueue()

    var electionDeadline: Instant
    var heartbeatDeadline: Instant?
    /// Until then a live leader is believed in, and votes are refused (thesis §4.2.3).
    var leaderHeardUntil: Instant = .zero

    var grants: Set<NodeID> = []
    var refusals: Set<NodeID> = []
    var leading: RaftLeading?
    var incomingSnapshot: RaftIncomingSnapshot?

    /// The current term.
    package var term: UInt64 { hardState.term }
    /// The last entry in the log.
    package var lastIndex: UInt64 { log.lastIndex }
    /// Whether the members in force are committed, so that nobody can fall back behind them.
    package var areMembersCommitted: Bool { membersIndex <= commitIndex }
    /// The first entry that is not compacted away.
    package var firstIndex: UInt64 { log.firstIndex }

    /// The last term of all: nobody campaigns in it, and messages of later ones are not taken.
    package static let termMax = UInt64.max / 2

    /// The last entry of which this node knows that it is on its disk.
    var persistedIndex: UInt64 { min(log.lastIndex, storage.firstUnwrittenIndex - 1) }

    /// Begins, or goes on from what is on disk.
    ///
    /// With an empty disk the member is passive: it
    /// answers, but never campaigns until a leader has added it, or `bootstrap` was sent.
    package init(
        id: NodeID, configuration: RaftConfiguration, restored: RaftImage, seed: UInt64,
        at now: Instant
    ) {
        self.id = id
        self.configuration = configuration
        hardState = restored.hardState
        log = RaftLog(snapshot: restored.snapshot, entries: restored.entries)
        commitIndex = restored.snapshot.index
        appliedIndex = restored.snapshot.index
        (members, membersIndex) = log.newestMembers
        random = SeededGenerator(seed: seed)
        electionDeadline = now
        resetElectionTimer(at: now)
    }

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    package mutating func handle(
        _ event: RaftEvent, at now: Instant, emit: (RaftEffect) -> Void
    ) {
        switch event {
        case .received(let message, let sender):
            receive(message, from: sender, at: now, emit: emit)
        case .persisted(let ticket):
            persisted(ticket, at: now, emit: emit)
        case .propose(let command, let context):
            propose(command, context: context, at: now, emit: emit)
        case .proposeMembers(let voters):
            proposeMembers(voters: voters, at: now, emit: emit)
        case .readIndex(let context):
            readIndex(context: context, at: now, emit: emit)
        case .compact(let index, let payload):
            compact(upTo: index, payload: payload)
        case .transferLeadership(let target):
            transferLeadership(to: target, at: now, emit: emit)
        case .bootstrap(let voters):
            bootstrap(voters: voters, at: now, emit: emit)
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
        storage.flush(emit: emit)
    }

    /// When the engine next wants `.deadlineReached`, if ever.
    package var nextDeadline: Instant? {
        if role == .leader { return heartbeatDeadline }
        return mayCampaign ? electionDeadline : nil
    }

    private mutating func deadlineReached(at now: Instant, emit: (RaftEffect) -> Void) {
        if role == .leader {
            if let due = heartbeatDeadline, due <= now { heartbeat(at: now, emit: emit) }
        } else if electionDeadline <= now, mayCampaign {
            campaignBeforeVote(at: now, emit: emit)
        }
    }

    private mutating func bootstrap(
        voters: [NodeID], at now: Instant, emit: (RaftEffect) -> Void
    ) {
        guard log.lastIndex == 0, hardState == .initial, !voters.isEmpty,
            voters.count <= RaftMembers.countMax
        else { return }
        hardState.term = 1
        storage.write.hardState = hardState
        append(RaftEntry(term: 1, content: .members(RaftMembers(voters: voters))), emit: emit)
        if voters == [id] { campaign(isTransfer: false, at: now, emit: emit) }
    }

    /// Lets the application's state stand for the entries up to `index`.
    private mutating func compact(upTo index: UInt64, payload: [UInt8]) {
        guard index > log.snapshot.index, index <= appliedIndex, let term = log.term(at: index),
            payload.count <= RaftSnapshot.payloadSizeBytesMax
        else { return }
        let snapshot = RaftSnapshot(
            index: index, term: term, members: log.members(at: index), payload: payload)
        log.compact(into: snapshot)
        storage.write.snapshot = snapshot
    }

    mutating func resetElectionTimer(at now: Instant) {
        let timeout = configuration.electionTimeout
        electionDeadline = now + timeout + random.duration(upTo: timeout)
    }

    /// Appends to the own log, and takes note when the entry changes the members.
    mutating func append(_ entry: RaftEntry, emit: (RaftEffect) -> Void) {
        log.append(entry)
        storage.write.entries.append((log.lastIndex, entry))
        if case .members(let changed) = entry.content {
            members = changed
            membersIndex = log.lastIndex
            emit(.membersChanged(changed))
        }
    }

    /// Hands committed entries to the application.
    mutating func advanceCommit(to index: UInt64, emit: (RaftEffect) -> Void) {
        guard index > commitIndex else { return }
        commitIndex = min(index, log.lastIndex)
        if let incoming = incomingSnapshot, incoming.index <= commitIndex { incomingSnapshot = nil }
        guard commitIndex > appliedIndex else { return }
        while appliedIndex < commitIndex, let entry = log.entry(at: appliedIndex + 1) {
            appliedIndex += 1
            if case .command(let payload) = entry.content {
                emit(.apply(index: appliedIndex, term: entry.term, payload: payload))
            }
        }
        emit(.applied(upTo: appliedIndex))
        settleDeparture()
    }
}
