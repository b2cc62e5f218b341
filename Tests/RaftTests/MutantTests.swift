import Model
import Testing

@testable import Raft

/// Known bugs, put back one at a time: each is caught by the transcript of the rule that it breaks.
@Suite struct MutantTests {
    /// How a transcript notices.
    enum Trace {
        /// A property of the paper's figure 3, or of what must be on disk, is violated.
        case violation
        /// It plays otherwise than it is written: what is lost is progress, or peace.
        case otherwise
    }

    static let traces: [RaftMutation: (transcript: String, trace: Trace)] = [
        .votesWithoutLogCheck: ("vote-restriction", .violation),
        .votesTwice: ("vote-once", .violation),
        .votesBeforeDisk: ("vote-once", .violation),
        .leadsOnUnwrittenVote: ("sole-voter", .violation),
        .skipsPreVote: ("pre-vote", .otherwise),
        .countsStalePreVotes: ("stale-pre-vote", .otherwise),
        .disturbsLeaders: ("pre-vote", .otherwise),
        .leadsWithoutQuorum: ("check-quorum", .otherwise),
        .commitsOldTerms: ("figure-8", .violation),
        .countsUnpersisted: ("asynchronous-disk", .violation),
        .answersBeforeDisk: ("asynchronous-disk", .violation),
        .truncatesAlways: ("stale-append", .violation),
        .keepsLostMembers: ("lost-change", .otherwise),
        .keepsLogBehindSnapshot: ("snapshot-conflict", .otherwise),
        .forgetsRestartedReceivers: ("snapshot-parts", .otherwise),
        .overlapsChanges: ("overlapping-change", .otherwise),
        .skipsJoint: ("joint-majorities", .otherwise),
        .countsJointAsOne: ("joint-majorities", .violation),
        .leavesTooEarly: ("abandoned-change", .otherwise),
        .promotesAtOnce: ("learner-promotion", .otherwise),
        .readsUnconfirmed: ("read-index", .violation),
        .readsWithOldRound: ("read-index", .violation),
        .readsBeforeOwnEntry: ("read-new-leader", .violation),
        .transfersTooEarly: ("transfer-lagging", .otherwise),
    ]

    @Test(arguments: RaftMutation.allCases)
    func `each known bug is caught`(mutation: RaftMutation) throws {
        switch mutation {
        // Identical snapshots of two leaders would hide it from a transcript.
        case .mixesSnapshots: #expect(SnapshotTests.mixesParts(mutation: mutation))
        // Of a leader as this one is, no append arrives before a stale tail that it leaves there.
        case .answersLastIndex: #expect(MutantTests.heard(mutation).acknowledged == 4)
        case .commitsUnchecked: #expect(MutantTests.heard(mutation).committed == 4)
        default: try playTranscript(with: mutation)
        }
    }

    @Test func `only what was compared with the leader's log is acknowledged and committed`() {
        let (acknowledged, committed) = MutantTests.heard(nil)
        #expect(acknowledged == 2)
        #expect(committed == 2)
    }

    /// What a node makes of a leader that has committed 4, and shows that they agree up to 2.
    private static func heard(
        _ mutation: RaftMutation?
    ) -> (acknowledged: UInt64?, committed: UInt64?) {
        let bench = RaftBench(seed: 1, mutation: mutation)
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        for context in 1...2 as ClosedRange<UInt64> {
            bench.step(1, .propose([1], context: context))
        }
        bench.wires = []
        let append = RaftMessage.Content.append(
            previousIndex: 2, previousTerm: 2, entries: [], commit: 4, round: 1)
        bench.step(1, .received(RaftMessage(term: 3, append), from: RaftBench.id(2)))
        guard case .appendReply(let acknowledged, _)? = bench.wires.last?.message.content else {
            return (nil, nil)
        }
        return (acknowledged, bench.engines[1]?.commitIndex)
    }

    private func playTranscript(with mutation: RaftMutation) throws {
        let (name, trace) = try #require(MutantTests.traces[mutation])
        let text = try TranscriptTests.text(of: name + ".txt")
        let (played, violations) = try Transcript.play(text, mutation: mutation)
        switch trace {
        case .violation: #expect(!violations.isEmpty, "\(name) breaks nothing")
        case .otherwise: #expect(played != text, "\(name) plays as it is written")
        }
    }
}
