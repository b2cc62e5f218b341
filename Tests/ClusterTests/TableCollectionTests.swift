import CRDT
import Model
import Testing

@testable import Cluster

/// A collected task never returns, whoever brings it back.
@Suite struct TableCollectionTests {
    private func task(_ number: UInt64) -> TaskID { TableBench.task(number) }

    private func gone(_ number: UInt64, in bench: TableBench) -> Bool {
        bench.replicas.allSatisfy { $0.record(task(number)) == nil }
    }

    /// Three replicas, ten seconds of retention, and one task that all of them know.
    private func bench(seed: UInt64) -> TableBench {
        var bench = TableBench(seed: seed, count: 3, retention: .seconds(10))
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        return bench
    }

    @Test func `an ended task goes once its retention is over, and not before`() {
        var bench = bench(seed: 1)
        bench.close(1, at: 0)
        bench.settle(rounds: 8)
        #expect(bench.replicas.allSatisfy { $0.record(task(1))?.outcome != nil })
        bench.settle(rounds: 30)
        #expect(gone(1, in: bench))
        #expect(bench.replicas.allSatisfy { $0.collected.intervalCount == 1 })
    }

    @Test func `a task's own retention outranks the node's`() {
        var bench = bench(seed: 2)
        var spec = TaskSpec(command: ["true"])
        spec.retention = .seconds(60)
        bench.step(
            0,
            .submit(
                spec, id: task(2), wall: WallTime(milliseconds: 1), wantedCopies: 1))
        bench.close(1, at: 0)
        bench.close(2, at: 0)
        bench.settle(rounds: 40)
        #expect(gone(1, in: bench))
        #expect(bench.replicas.allSatisfy { $0.record(task(2)) != nil })
        bench.settle(rounds: 60)
        #expect(gone(2, in: bench))
    }

    @Test func `a task that a member in reach may lack is kept`() {
        var bench = bench(seed: 3)
        bench.close(1, at: 0)
        // Nothing reaches replica 2, which is not dead for the others.
        for _ in 0..<200 {
            bench.now = bench.now + .seconds(1)
            for index in 0...1 { bench.step(index, .deadlineReached) }
            while let packet = bench.packets.first {
                if packet.to == 2 { bench.packets.removeFirst() } else { bench.deliver(0) }
            }
            for index in 0...1 { bench.persistAll(index) }
        }
        #expect(bench.replicas[0].record(task(1)) != nil)
        #expect(bench.replicas[1].record(task(1)) != nil)
        bench.settle(rounds: 40)
        #expect(gone(1, in: bench))
    }

    @Test func `a stale node that comes back after the collection brings nothing back`() {
        var bench = bench(seed: 4)
        let stale = bench.replicas[2]
        let disk = bench.disks[2]
        bench.close(1, at: 0)
        bench.settle(rounds: 40)
        #expect(gone(1, in: bench))
        bench.now = bench.now + .seconds(100_000)
        bench.replicas[2] = stale
        bench.disks[2] = disk
        bench.attempt(1, token: 7, at: 2)
        bench.settle(rounds: 10)
        #expect(gone(1, in: bench))
        bench.restart(2)
        #expect(bench.replicas[2].record(task(1)) == nil)
    }

    @Test func `a restored old disk brings nothing back`() {
        var bench = bench(seed: 5)
        let old = bench.disks[2]
        bench.close(1, at: 0)
        bench.settle(rounds: 40)
        bench.disks[2] = old
        bench.restart(2)
        #expect(bench.replicas[2].record(task(1)) != nil)
        bench.settle(rounds: 10)
        #expect(gone(1, in: bench))
    }

    @Test func `all packets ever sent, replayed, bring nothing back`() {
        var bench = TableBench(seed: 6, count: 3, retention: .seconds(10))
        bench.submit(1, at: 0)
        var all: [TableBench.Packet] = []
        func run(_ rounds: Int) {
            for _ in 0..<rounds {
                bench.now = bench.now + .seconds(1)
                for index in bench.replicas.indices { bench.step(index, .deadlineReached) }
                while !bench.packets.isEmpty {
                    all.append(bench.packets[0])
                    bench.deliver(0)
                }
                for index in bench.replicas.indices { bench.persistAll(index) }
            }
        }
        run(3)
        bench.attempt(1, token: 3, at: 1)
        bench.close(1, at: 0)
        run(60)
        #expect(gone(1, in: bench))
        for packet in all {
            for index in bench.replicas.indices {
                bench.step(index, .received(packet.bytes, from: packet.from))
            }
        }
        #expect(gone(1, in: bench))
        bench.settle(rounds: 5)
        #expect(gone(1, in: bench) && bench.isConverged)
    }

    @Test func `a task taken in twice is collected under both births`() {
        var bench = TableBench(seed: 7, count: 3, retention: .seconds(10))
        // The client repeats itself at replica 1, which has not heard of the first submission.
        bench.submit(1, at: 0)
        bench.submit(1, at: 1)
        bench.persistAll(1)
        let stale = bench.replicas[1]
        bench.settle(rounds: 5)
        #expect(bench.isConverged)
        #expect(bench.replicas.allSatisfy { $0.record(task(1))?.births.count == 2 })
        bench.close(1, at: 0)
        bench.settle(rounds: 60)
        #expect(gone(1, in: bench))
        bench.replicas[1] = stale
        bench.settle(rounds: 10)
        #expect(gone(1, in: bench))
    }

    @Test func `a task that comes back under a birth that nobody knew is collected, too`() {
        var bench = TableBench(seed: 7, count: 3, retention: .seconds(10))
        let before = bench.replicas[1]
        // The client repeats itself at replica 1, which is cut off from then on.
        bench.submit(1, at: 1)
        bench.persistAll(1)
        let away = bench.replicas[1]
        bench.replicas[1] = before
        bench.packets = []
        bench.submit(1, at: 0)
        bench.settle(rounds: 3)
        bench.close(1, at: 0)
        bench.settle(rounds: 60)
        #expect(gone(1, in: bench))
        bench.replicas[1] = away
        #expect(!gone(1, in: bench))
        bench.settle(rounds: 10)
        #expect(gone(1, in: bench))
        #expect(bench.isConverged)
    }

    @Test func `a task that the lock calls collected goes, and no other`() {
        var bench = bench(seed: 12)
        bench.submit(2, at: 0)
        bench.step(0, .collectedElsewhere(task(1)))
        bench.settle(rounds: 10)
        #expect(gone(1, in: bench))
        #expect(!gone(2, in: bench))
    }

    @Test func `a crash between the collection and its write brings nothing back`() {
        for survivors in 0...3 {
            var bench = bench(seed: 8)
            bench.close(1, at: 0)
            bench.settle(rounds: 8)
            for _ in 0..<30 where bench.replicas[0].record(task(1)) != nil {
                bench.now = bench.now + .seconds(1)
                for index in bench.replicas.indices { bench.step(index, .deadlineReached) }
                while !bench.packets.isEmpty { bench.deliver(0) }
                for index in 1...2 { bench.persistAll(index) }
                for _ in 0..<survivors { _ = bench.persistOne(0) }
            }
            bench.restart(0)
            bench.settle(rounds: 60)
            #expect(gone(1, in: bench), "\(survivors) writes survived")
        }
    }

    @Test func `a member that is dead holds up nothing`() {
        var bench = bench(seed: 9)
        bench.lose(2)
        bench.close(1, at: 0)
        bench.settle(rounds: 40)
        #expect(bench.replicas[0].record(task(1)) == nil)
        #expect(bench.replicas[1].record(task(1)) == nil)
    }
}
