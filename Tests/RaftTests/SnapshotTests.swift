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

    @Test func `a leader takes bytes up to its bound, and none past it`() {
        let bench = RaftBench(seed: 1)
        let command = [UInt8](repeating: 1, count: 100)
        let sizeBytes = UInt64(RaftEntry(term: 1, content: .command(command)).sizeBytes)
        bench.configuration.uncommittedSizeBytesMax = 3 * sizeBytes
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        for _ in 0..<4 { bench.step(1, .propose(command, context: 1)) }
        #expect(bench.engines[1]?.lastIndex == 5)
        #expect(bench.notices == ["the proposal is dropped"])
        bench.exchange([1, 2, 3])
        for _ in 0..<3 { bench.step(1, .propose(command, context: 1)) }
        #expect(bench.engines[1]?.lastIndex == 8)
    }

    @Test func `a log knows the size of what stands behind any entry`() {
        var generator = SeededGenerator(seed: 11)
        var log = RaftLog(snapshot: RaftSnapshot.none, entries: [])
        for _ in 0..<2_000 {
            switch generator.next() % 8 {
            case 0 where log.lastIndex > log.firstIndex:
                log.truncate(
                    from: log.firstIndex + generator.next() % (log.lastIndex - log.firstIndex))
            case 1 where log.lastIndex > log.firstIndex:
                var newer = log.snapshot
                newer.index += 1 + generator.next() % (log.lastIndex - log.firstIndex)
                log.compact(into: newer)
            case 2 where generator.next() % 16 == 0:
                var newer = log.snapshot
                newer.index = log.lastIndex + 3
                log.replace(by: newer)
            default:
                let command = [UInt8](repeating: 0, count: Int(generator.next() % 50))
                log.append(RaftEntry(term: 1, content: .command(command)))
            }
            let index =
                log.snapshot.index + generator.next() % (log.lastIndex - log.snapshot.index + 2)
            let behind = (index + 1..<max(index + 1, log.lastIndex + 1)).compactMap(log.entry)
            #expect(log.sizeBytes(after: index) == behind.reduce(0) { $0 + UInt64($1.sizeBytes) })
        }
    }
}
