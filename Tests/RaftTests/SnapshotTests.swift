import Model
import Testing

@testable import Raft

/// Snapshots in parts, and what compaction leaves.
@Suite struct SnapshotTests {
    private static func part(
        _ bench: RaftBench, term: UInt64, from leader: Int, offset: UInt64, _ bytes: [UInt8],
        total: UInt64
    ) {
        let content = RaftMessage.Content.snapshot(
            index: 5, term: 1, members: RaftMembers(voters: [RaftBench.id(1), RaftBench.id(2)]),
            offset: offset, totalBytes: total, chunk: bytes, round: 1)
        bench.step(
            3, .received(RaftMessage(term: term, content), from: RaftBench.id(leader)))
    }

    /// Whether the second part of another leader's snapshot completes the first one's.
    static func mixesParts(mutation: RaftMutation?) -> Bool {
        let bench = RaftBench(seed: 1, mutation: mutation)
        bench.found([1, 2, 3])
        part(bench, term: 1, from: 1, offset: 0, [1], total: 2)
        part(bench, term: 2, from: 2, offset: 1, [2], total: 2)
        return bench.engines[3]?.commitIndex == 5
    }

    @Test func `parts of two leaders' snapshots are not put together`() {
        #expect(!SnapshotTests.mixesParts(mutation: nil))
    }

    @Test func `a snapshot is as large as its bound at most`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        let max = UInt64(RaftSnapshot.payloadSizeBytesMax)
        SnapshotTests.part(bench, term: 1, from: 1, offset: 0, [1], total: max + 1)
        #expect(bench.engines[3]?.incomingSnapshot == nil)
        SnapshotTests.part(bench, term: 1, from: 1, offset: 0, [1], total: max)
        #expect(bench.engines[3]?.incomingSnapshot?.payload.count == 1)
        // More than was announced is not kept.
        SnapshotTests.part(bench, term: 1, from: 1, offset: 0, [1], total: 3)
        SnapshotTests.part(bench, term: 1, from: 1, offset: 1, [2, 3, 4], total: 3)
        #expect(bench.engines[3]?.incomingSnapshot?.payload == [1])
    }

    @Test func `parts that nobody needs any more are forgotten`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        SnapshotTests.part(bench, term: 1, from: 1, offset: 0, [1], total: 2)
        let entries = (0..<4).map { _ in RaftEntry(term: 1, content: .noop) }
        let append = RaftMessage.Content.append(
            previousIndex: 1, previousTerm: 1, entries: entries, commit: 5, round: 2)
        bench.step(3, .received(RaftMessage(term: 1, append), from: RaftBench.id(1)))
        #expect(bench.engines[3]?.commitIndex == 5)
        #expect(bench.engines[3]?.incomingSnapshot == nil)
    }

    @Test func `a leader takes proposals up to its bounds, and none past them`() {
        let bench = RaftBench(seed: 1)
        bench.configuration.uncommittedMax = 3
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        for _ in 0..<4 { bench.step(1, .propose([1], context: 1)) }
        #expect(bench.engines[1]?.lastIndex == 5)
        #expect(bench.notices == ["the proposal is dropped"])
        // Committed, they make room.
        bench.exchange([1, 2, 3])
        bench.step(1, .propose([1], context: 1))
        #expect(bench.engines[1]?.lastIndex == 6)
    }
}
