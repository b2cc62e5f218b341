import Model
import Testing

@testable import Raft

/// Nothing that a peer says may trap, or make an engine believe what can't be.
@Suite struct HostilePeerTests {
    private static let extremes: [UInt64] = [0, 1, 2, 3, .max / 2, .max / 2 + 1, .max]

    /// A founded node hears these in each role, time-outs in between.
    static func suffer(_ messages: [RaftMessage]) {
        for role in [RaftEngine.Role.follower, .leader] {
            let bench = RaftBench(seed: 6)
            bench.found([1, 2, 3])
            if role == .leader {
                bench.tick(1)
                bench.exchange([1, 2, 3])
            }
            for message in messages {
                bench.step(1, .received(message, from: RaftBench.id(2)))
                bench.step(1, .received(message, from: RaftBench.id(9)))
                bench.tick(1)
                bench.step(
                    1,
                    .received(
                        RaftMessage(term: message.term, .preVoteReply(isGranted: true)),
                        from: RaftBench.id(3)))
                bench.step(1, .readIndex(context: 4))
                bench.step(1, .propose([1], context: 4))
                bench.tick(1)
            }
            // Whatever came, the node can start again from what it wrote.
            bench.crash(1)
            bench.start(1)
            bench.tick(1)
            #expect(bench.engines[1] != nil, "\(messages): \(bench.violations)")
        }
    }

    @Test(arguments: extremes)
    func `extreme numbers never trap, and leave a disk that can be read`(a: UInt64) {
        for b in HostilePeerTests.extremes {
            for term in [1, 2, .max / 2, .max] as [UInt64] {
                for content in hostile(a, b) {
                    HostilePeerTests.suffer([RaftMessage(term: term, content)])
                }
            }
        }
    }

    private func hostile(_ a: UInt64, _ b: UInt64) -> [RaftMessage.Content] {
        [
            .append(
                previousIndex: a, previousTerm: b,
                entries: [RaftEntry(term: b, content: .noop)], commit: a, round: b),
            .appendReply(matchIndex: a, round: b),
            .appendReject(previousIndex: a, hintIndex: b, round: b),
            .snapshotReply(index: a, receivedBytes: b, round: a),
            .snapshot(
                index: a, term: b, members: RaftMembers(voters: []), offset: b, totalBytes: a,
                chunk: [1], round: a),
            .snapshot(
                index: a, term: b, members: RaftMembers(voters: [RaftBench.id(1)]), offset: 0,
                totalBytes: 1, chunk: [1], round: a),
            .voteRequest(lastIndex: a, lastTerm: b, isTransfer: true),
        ]
    }

    @Test func `the last terms of the range are no terms`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        bench.step(
            1,
            .received(
                RaftMessage(term: RaftEngine.termMax + 1, .voteReply(isGranted: false)),
                from: RaftBench.id(2)))
        #expect(bench.engines[1]?.term == 1)
        bench.step(
            1,
            .received(
                RaftMessage(term: RaftEngine.termMax, .voteReply(isGranted: false)),
                from: RaftBench.id(2)))
        #expect(bench.engines[1]?.term == RaftEngine.termMax)
        bench.tick(1)
        bench.tick(1)
        #expect(bench.engines[1]?.term == RaftEngine.termMax)
    }

    @Test func `entries whose terms fall, or exceed the leader's, are not taken`() {
        for terms in [[3, 2], [2, 4], [1, 0]] as [[UInt64]] {
            let bench = RaftBench(seed: 1)
            bench.found([1, 2, 3])
            bench.step(
                1,
                .received(
                    RaftMessage(
                        term: 3,
                        .append(
                            previousIndex: 1, previousTerm: 1,
                            entries: terms.map { RaftEntry(term: $0, content: .noop) }, commit: 0,
                            round: 1)), from: RaftBench.id(2)))
            #expect(bench.engines[1]?.lastIndex == 1, "\(terms)")
        }
    }

    @Test func `a snapshot of a term that the leader has not reached is not taken`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        let voters = RaftMembers(voters: [RaftBench.id(1)])
        bench.step(
            1,
            .received(
                RaftMessage(
                    term: 3,
                    .snapshot(
                        index: 9, term: 4, members: voters, offset: 0, totalBytes: 0, chunk: [],
                        round: 1)), from: RaftBench.id(2)))
        #expect(bench.engines[1]?.lastIndex == 1)
    }

    @Test func `only the leader can make a voter campaign at once`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        let term = bench.engines[1]?.term ?? 0
        bench.step(2, .received(RaftMessage(term: term, .timeoutNow), from: RaftBench.id(3)))
        #expect(bench.engines[2]?.role == .follower)
        bench.step(2, .received(RaftMessage(term: term, .timeoutNow), from: RaftBench.id(1)))
        #expect(bench.engines[2]?.role == .candidate)
    }

    @Test func `entries that contradict what is committed change nothing`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        let before = bench.engines[2]?.lastIndex
        #expect(bench.engines[2]?.commitIndex == before)
        bench.step(
            2,
            .received(
                RaftMessage(
                    term: 9,
                    .append(
                        previousIndex: 1, previousTerm: 1,
                        entries: [RaftEntry(term: 9, content: .noop)], commit: 2, round: 1)),
                from: RaftBench.id(1)))
        #expect(bench.engines[2]?.lastIndex == before)
        #expect(bench.violations.isEmpty)
    }
}
