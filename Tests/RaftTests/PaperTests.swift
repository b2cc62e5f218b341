import Model
import Testing

@testable import Raft

/// One test for each statement of the paper's section 5 to 8 that no transcript spells out.
///
/// Transcripts: 5.2 `vote-once`, 5.3 `stale-append`, `rejection-hints`, `figure-7`, 5.4.1
/// `vote-restriction`, 5.4.2 `commit-rule`, `figure-8`, 6 `joint-…`, `lost-change`,
/// `removed-leader`, 7 `snapshot…`, 8 `read-…`.
@Suite struct PaperTests {
    private func led(_ count: Int = 3) -> RaftBench {
        let bench = RaftBench(seed: 2)
        bench.found(Array(1...count))
        bench.tick(1)
        bench.exchange(Set(1...count))
        return bench
    }

    private func reply(_ term: UInt64) -> RaftEvent {
        .received(RaftMessage(term: term, .voteReply(isGranted: false)), from: RaftBench.id(3))
    }

    @Test(arguments: [RaftEngine.Role.follower, .candidate, .leader])
    func `5.1: whoever sees a newer term becomes a follower in it`(role: RaftEngine.Role) {
        let bench = RaftBench(seed: 2)
        bench.found([1, 2, 3])
        if role != .follower { bench.tick(1) }
        bench.exchange([1, 2]) { role == .leader || $0.message.content.isPreVote }
        #expect(bench.engines[1]?.role == role)
        bench.step(1, reply(7))
        #expect(bench.engines[1]?.role == .follower)
        #expect(bench.engines[1]?.term == 7)
        #expect(bench.disks[1]?.hardState == RaftHardState(term: 7, vote: nil))
    }

    @Test func `5.1: what an older term says is refused`() {
        let bench = led()
        bench.step(2, reply(9))
        bench.wires = []
        bench.tick(1)
        let index = bench.wires.firstIndex { $0.to == 2 } ?? 0
        bench.deliver(index)
        #expect(bench.engines[2]?.leader == nil)
        // The answer names the newer term, so that the old leader steps down.
        bench.exchange([1, 2])
        #expect(bench.engines[1]?.term == 9)
        #expect(bench.engines[1]?.role == .follower)
    }

    @Test func `5.2: a candidate follows a leader of its term`() {
        let bench = RaftBench(seed: 2)
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2]) { $0.message.content.isPreVote }
        #expect(bench.engines[1]?.role == .candidate)
        let append = RaftMessage.Content.append(
            previousIndex: 1, previousTerm: 1, entries: [], commit: 0, round: 1)
        bench.step(1, .received(RaftMessage(term: 2, append), from: RaftBench.id(3)))
        #expect(bench.engines[1]?.role == .follower)
        #expect(bench.engines[1]?.leader == RaftBench.id(3))
        #expect(bench.engines[1]?.term == 2)
    }

    @Test func `5.2: time-outs differ, so split votes end`() {
        var waits: Set<Duration> = []
        let bench = RaftBench(seed: 2)
        bench.found(Array(1...5))
        for number in 1...5 {
            guard let due = bench.engines[number]?.nextDeadline else { continue }
            let wait = due - Instant(nanoseconds: 1)
            waits.insert(wait)
            let shortest = bench.configuration.electionTimeout
            #expect(wait >= shortest && wait < shortest * 2)
        }
        #expect(waits.count == 5)
    }

    @Test func `5.3: an entry is committed once a majority has it, and commits what precedes it`() {
        let bench = led(5)
        bench.step(1, .propose([1], context: 1))
        bench.step(1, .propose([2], context: 2))
        let before = bench.engines[1]?.commitIndex ?? 0
        bench.exchange([1, 2])
        #expect(bench.engines[1]?.commitIndex == before)
        bench.exchange([1, 3])
        #expect(bench.engines[1]?.commitIndex == before + 2)
    }

    @Test func `5.3: a follower learns what is committed from the next append`() {
        let bench = led()
        bench.step(1, .propose([1], context: 1))
        bench.exchange([1, 2, 3])
        let committed = bench.engines[1]?.commitIndex
        bench.tick(1)
        bench.exchange([1, 2, 3])
        #expect(bench.engines[2]?.commitIndex == committed)
        #expect(bench.engines[3]?.commitIndex == committed)
    }

    @Test func `5.5: requests may be repeated`() {
        let bench = led()
        bench.step(1, .propose([1], context: 1))
        let copies = bench.wires
        bench.exchange([1, 2, 3])
        let before = bench.engines[2]?.lastIndex
        bench.wires = copies + copies
        bench.exchange([1, 2, 3])
        #expect(bench.engines[2]?.lastIndex == before)
        #expect(bench.violations.isEmpty)
    }

    @Test func `5.6: leaders beat well within a time-out`() {
        for profile in TimingProfile.allCases {
            let configuration = RaftConfiguration(profile: profile)
            #expect(configuration.heartbeatInterval * 3 <= configuration.electionTimeout)
        }
    }

    @Test func `6: a newcomer never campaigns before it has a vote`() {
        let bench = led()
        bench.start(4)
        #expect(bench.engines[4]?.nextDeadline == nil)
        let voters = [1, 2, 3, 4].map(RaftBench.id)
        bench.step(1, .proposeMembers(voters: voters))
        bench.exchange([1, 4])
        #expect(bench.engines[4]?.members.learners == [RaftBench.id(4)])
        #expect(bench.engines[4]?.nextDeadline == nil)
    }

    @Test func `6: a new leader ends the joint change that it finds`() {
        let bench = led()
        bench.step(1, .proposeMembers(voters: [RaftBench.id(1), RaftBench.id(2)]))
        // The joint entry reaches node 2 alone.
        let index = bench.wires.firstIndex { $0.from == 1 && $0.to == 2 } ?? 0
        bench.deliver(index)
        bench.crash(1)
        bench.wires = []
        bench.now = bench.now + .seconds(10)
        bench.tick(2)
        bench.exchange([2, 3])
        // Both majorities are needed: 2 of (1, 2) is missing one.
        #expect(bench.engines[2]?.role != .leader)
        bench.start(1)
        for _ in 0..<3 where bench.engines[2]?.role != .leader {
            bench.now = bench.now + .seconds(10)
            bench.tick(2)
            bench.exchange([1, 2, 3])
        }
        bench.tick(2)
        bench.exchange([1, 2, 3])
        #expect(bench.engines[2]?.members == RaftMembers(voters: [1, 2].map(RaftBench.id)))
        #expect(bench.violations.isEmpty)
    }

    @Test func `8: a leader begins its term with an entry of its own`() {
        let bench = led()
        let first = bench.engines[1]?.log.entry(at: 2)
        #expect(first == RaftEntry(term: 2, content: .noop))
    }
}

extension RaftMessage.Content {
    fileprivate var isPreVote: Bool {
        switch self {
        case .preVoteRequest, .preVoteReply: true
        default: false
        }
    }
}
