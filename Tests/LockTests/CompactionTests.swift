import Model
import Raft
import Testing

@testable import Lock

/// The lock's disk use: bounded, however many tasks there ever were.
@Suite struct CompactionTests {
    /// What one claimed, ended and collected task leaves in the log at most, in bytes.
    private static let entrySizeBytesMax = 256
    /// Entries that are applied while a snapshot is being written.
    private static let slack = 64
    /// What a task leaves in the snapshot once it is collected, in bytes.
    private static let idSizeBytes = 16
    /// How many tasks are collected together.
    private static let batch = 32

    @Test func `many claims and compactions leave a short log and a small snapshot`() {
        let bench = LockBench(seed: 61)
        bench.found(3)
        var task = 0
        var mostRows = 0
        // Two entries each: the log is cut twice.
        while task < 2 * Int(LockConfiguration.compactEvery) / 2 + CompactionTests.slack {
            task += 1
            runOne(task, in: bench)
            for number in 1...3 {
                mostRows = max(mostRows, bench.machines[number]?.disk.rowCount(.raftLog) ?? 0)
            }
            let batch = CompactionTests.batch
            if task.isMultiple(of: batch) { collect(task - batch + 1...task, in: bench) }
        }
        let rowsMax = Int(LockConfiguration.compactEvery) + CompactionTests.slack
        #expect(mostRows <= rowsMax)
        for number in 1...3 {
            guard let machine = bench.machines[number] else { continue }
            #expect(machine.node?.table.entries == [:])
            #expect(machine.disk.sizeBytes(.raftLog) <= rowsMax * CompactionTests.entrySizeBytesMax)
            // What is not collected yet when the snapshot is made, and of all that ever was the IDs
            // of the last ones.
            let remembered = min(task, CollectedTasks.countMax) * CompactionTests.idSizeBytes
            #expect(
                machine.disk.sizeBytes(.raftState) <= CompactionTests.batch
                    * CompactionTests.entrySizeBytesMax + remembered)
            #expect((machine.node?.engine.firstIndex ?? 0) > 2 * LockConfiguration.compactEvery)
        }
        #expect(bench.record.grants == task)
        #expect(bench.record.violations.isEmpty)
    }

    private func runOne(_ task: Int, in bench: LockBench) {
        bench.acquire(2, [task])
        _ = bench.run(atMost: .seconds(1)) {
            bench.machines[2]?.running[LockBench.task(task)] != nil
        }
        bench.close(2, LockBench.task(task))
        _ = bench.run(atMost: .seconds(1)) { bench.record.outcomes[LockBench.task(task)] != nil }
    }

    private func collect(_ tasks: ClosedRange<Int>, in bench: LockBench) {
        let births = tasks.map { LockBench.birth(LockBench.task($0)) }
        for number in 1...3 { bench.step(number, .collected(births)) }
        bench.run(for: .milliseconds(600))
    }
}
