import Testing

@testable import Raft

/// Disks that come back as they were before: Raft does not promise anything then, but goes on.
@Suite struct RollbackTests {
    @Test func `a follower gets again what its disk has forgotten, from the same leader`() {
        let bench = RaftBench(seed: 1)
        bench.found([1, 2, 3])
        bench.tick(1)
        bench.exchange([1, 2, 3])
        let copy = bench.disks[3]
        for _ in 0..<5 { bench.step(1, .propose([1], context: 1)) }
        bench.exchange([1, 2, 3])
        let last = bench.engines[1]?.lastIndex ?? 0
        #expect(bench.engines[3]?.lastIndex == last)
        bench.crash(3)
        bench.disks[3] = copy
        bench.start(3)
        #expect((bench.engines[3]?.lastIndex ?? 0) < last)
        bench.step(1, .propose([1], context: 1))
        bench.exchange([1, 2, 3])
        #expect(bench.engines[1]?.role == .leader)
        #expect(bench.engines[3]?.lastIndex == last + 1)
        // It counts again: the other follower is not needed.
        bench.step(1, .propose([1], context: 1))
        bench.exchange([1, 3])
        #expect(bench.engines[1]?.commitIndex == last + 2)
    }
}
