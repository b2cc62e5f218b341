import CRDT
import Model
import Testing

@testable import Cluster

@Suite struct TableReplicaTests {
    private func task(_ number: UInt64) -> TaskID { TaskID(Wide128(high: 9, low: number)) }

    private func submit(_ number: UInt64, at index: Int, in bench: inout TableBench) {
        bench.step(
            index,
            .submit(
                TaskSpec(command: ["run", "\(number)"]), id: task(number),
                wall: WallTime(milliseconds: Int64(number)), wantedCopies: 2))
    }

    @Test(arguments: 0..<40)
    func `replicas converge, and nothing acknowledged is lost`(seed: Int) {
        var bench = TableBench(seed: UInt64(seed), count: 4)
        var submitted: UInt64 = 0
        for _ in 0..<1_500 {
            bench.now = bench.now + .milliseconds(1)
            let index = Int(bench.random.next() % 4)
            switch bench.random.next() % 100 {
            case 0..<50:
                guard !bench.packets.isEmpty else { continue }
                bench.deliver(Int(bench.random.next() % UInt64(bench.packets.count)))
            case 50..<60:
                guard !bench.packets.isEmpty else { continue }
                bench.packets.removeFirst()
            case 60..<64:
                if let packet = bench.packets.first { bench.packets.append(packet) }
            case 64..<80: _ = bench.persistOne(index)
            case 80..<86:
                submitted += 1
                submit(submitted, at: index, in: &bench)
            case 86..<89 where submitted > 0:
                bench.step(index, .cancel(task(1 + bench.random.next() % submitted)))
            case 89..<94 where submitted > 0:
                var row = AttemptRow(
                    token: FencingToken(generation: 1, index: 1 + bench.random.next() % 20),
                    session: SessionID(UInt64(index)), node: TableBench.id(index),
                    phase: AttemptRow.Phase(rawValue: UInt8(1 + bench.random.next() % 7)) ?? .lost)
                row.reason = "\(bench.random.next() % 3)"
                bench.step(index, .writeAttempt(task(1 + bench.random.next() % submitted), row))
            case 94..<96: bench.restart(index)
            default: bench.step(index, .deadlineReached)
            }
        }
        bench.settle()
        let bytes = Set(bench.replicas.map { $0.canonicalBytes() })
        #expect(bytes.count == 1, "seed \(seed): the replicas differ")
        for (task, copies) in bench.copies where copies >= 1 {
            #expect(bench.replicas[0].record(task) != nil, "seed \(seed): \(task) was lost")
        }
        #expect(!bench.copies.isEmpty)
    }

    @Test func `a submission reports its own disk, then each peer's`() {
        var bench = TableBench(seed: 1, count: 3)
        submit(1, at: 0, in: &bench)
        #expect(bench.copies[task(1)] == nil)
        _ = bench.persistOne(0)
        #expect(bench.copies[task(1)] == 1)
        bench.settle(rounds: 1)
        #expect(bench.copies[task(1)] ?? 0 >= 2)
    }

    @Test func `a collected task does not come back from a node that was away`() {
        var bench = TableBench(seed: 2, count: 3, retention: .seconds(10))
        submit(1, at: 0, in: &bench)
        bench.settle(rounds: 3)
        let stale = bench.replicas[2]
        bench.step(
            0,
            .close(
                task(1), TaskOutcome(kind: .complete), token: nil,
                wall: WallTime(milliseconds: 5)))
        bench.settle(rounds: 120)
        #expect(bench.replicas.allSatisfy { $0.record(task(1)) == nil })
        bench.replicas[2] = stale
        bench.settle(rounds: 60)
        #expect(bench.replicas.allSatisfy { $0.record(task(1)) == nil })
    }

    @Test func `a report that comes late outranks a loss`() {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: 4), session: SessionID(1),
            node: TableBench.id(0), phase: .lost)
        var report = row
        report.phase = .complete
        report.exit = ExitStatus(code: 0)
        let hasGrown = row.join(report)
        #expect(hasGrown)
        #expect(row.phase == .complete)
    }

    @Test func `no damage traps the decoder, nor changes a record for the worse`() {
        var bench = TableBench(seed: 3, count: 2)
        submit(1, at: 0, in: &bench)
        guard let packet = bench.packets.first else {
            Issue.record("a submission must be pushed")
            return
        }
        for count in packet.bytes.indices {
            bench.step(
                1, .received(Array(packet.bytes.prefix(count)), from: TableBench.id(0)))
        }
        #expect(bench.replicas[1].records.isEmpty)
        for position in packet.bytes.indices {
            for bit in 0..<8 {
                var flipped = packet.bytes
                flipped[position] ^= 1 << bit
                bench.step(1, .received(flipped, from: TableBench.id(0)))
            }
        }
    }
}
