import Model
import Testing

@testable import Raft

/// What waits for the disk, and what must not.
@Suite struct DurabilityTests {
    private func led(_ count: Int) -> RaftBench {
        let bench = RaftBench(seed: 3)
        bench.found(Array(1...count))
        bench.tick(1)
        bench.exchange(Set(1...count))
        return bench
    }

    @Test func `a sole voter leads once its vote is on disk, and tells a learner nothing before`() {
        let bench = led(1)
        bench.start(2)
        bench.step(1, .proposeMembers(voters: [RaftBench.id(1), RaftBench.id(2)]))
        bench.crash(1)
        bench.start(1)
        bench.wires = []
        bench.slowDisks = [1]
        bench.tick(1)
        #expect(bench.engines[1]?.role == .candidate)
        #expect(bench.wires.isEmpty)
        bench.persistOne(1)
        #expect(bench.engines[1]?.role == .leader)
        #expect(bench.violations.isEmpty, "\(bench.violations)")
    }

    @Test func `a leader whose disk is slow commits with the others' disks`() {
        let bench = led(3)
        bench.slowDisks = [1]
        bench.step(1, .propose([1], context: 1))
        bench.exchange([1, 2])
        #expect(bench.engines[1]?.commitIndex == 2)
        bench.exchange([1, 2, 3])
        #expect(bench.engines[1]?.commitIndex == 3)
        #expect(bench.violations.isEmpty, "\(bench.violations)")
    }

    @Test func `an entry that was replaced and came back counts once it is written again`() {
        // Writes under way: A at 3 (term 2), then another entry at 3 (term 3), then A again.
        let bench = led(3)
        bench.slowDisks = [2]
        let one = RaftBench.id(1)
        let old = RaftEntry(term: 2, content: .command([1]))
        func append(term: UInt64, _ entry: RaftEntry) -> RaftEvent {
            .received(
                RaftMessage(
                    term: term,
                    .append(
                        previousIndex: 2, previousTerm: 2, entries: [entry], commit: 0, round: 1)),
                from: one)
        }
        bench.step(2, append(term: 2, old))
        bench.step(2, append(term: 3, RaftEntry(term: 3, content: .command([2]))))
        bench.step(2, append(term: 4, old))
        bench.wires = []
        bench.persistOne(2)
        bench.persistOne(2)
        #expect(bench.engines[2]?.persistedIndex == 2)
        bench.persistOne(2)
        #expect(bench.engines[2]?.persistedIndex == 3)
        #expect(bench.violations.isEmpty, "\(bench.violations)")
    }

    @Test func `a node starts from each prefix of what it wrote`() throws {
        for seed in 0..<6 as Range<UInt64> {
            var schedule = RandomSchedule(seed: seed)
            schedule.play(steps: 600)
            for number in 1...5 {
                var disk = schedule.bench.disks[number] ?? RaftDisk()
                for (write, _) in schedule.bench.writes[number] ?? [] {
                    _ = try disk.image
                    disk.apply(write.durableWrites)
                }
                let image = try disk.image
                let engine = RaftEngine(
                    id: RaftBench.id(number), configuration: schedule.bench.configuration,
                    restored: image, seed: 1, at: .zero)
                #expect(engine.term == image.hardState.term)
                #expect(engine.lastIndex == image.snapshot.index + UInt64(image.entries.count))
            }
        }
    }
}
