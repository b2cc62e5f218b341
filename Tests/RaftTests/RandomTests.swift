import Foundation
import Model
import Testing

@testable import Raft

/// Random schedules: loss, doubling, reordering, crashes, slow disks, cuts, changes of members,
/// snapshots in parts, transfers.
@Suite struct RandomTests {
    /// How many schedules are played; `MAGPIE_RAFT_SEEDS=20000` for a long run.
    static let seeds =
        ProcessInfo.processInfo.environment["MAGPIE_RAFT_SEEDS"].flatMap { Int($0) } ?? 120

    /// Seeds that found something: there, that the one who was removed is needed as a candidate.
    static let found = [530, 575, 882, 1_332]

    @Test(arguments: Array(0..<seeds) + found.filter { $0 >= seeds })
    func `no schedule breaks safety, and all heals afterwards`(seed: Int) {
        var schedule = RandomSchedule(seed: UInt64(seed))
        schedule.play(steps: 2_500)
        let bench = schedule.bench
        #expect(bench.violations.isEmpty, "seed \(seed): \(bench.violations)")
        let heals = schedule.heals()
        #expect(heals, "seed \(seed): nothing is committed any more\n\(bench.states)")
        #expect(bench.violations.isEmpty, "seed \(seed): \(bench.violations)")
    }

    @Test(arguments: [RaftMutation.votesWithoutLogCheck, .votesTwice, .countsUnpersisted])
    func `a known bug is caught by some schedule`(mutation: RaftMutation) {
        let isCaught = (0..<100).contains { seed in
            var schedule = RandomSchedule(seed: UInt64(seed), mutation: mutation)
            schedule.play(steps: 3_000)
            return !schedule.bench.violations.isEmpty
        }
        #expect(isCaught, "\(mutation) went unnoticed")
    }
}

/// Five nodes, three of which vote at first; what happens next is drawn from the seed.
struct RandomSchedule {
    let bench: RaftBench
    private var proposals: UInt64 = 0
    private var cut: Set<Int> = []

    init(seed: UInt64, mutation: RaftMutation? = nil) {
        bench = RaftBench(seed: seed, mutation: mutation)
        bench.configuration.batchCountMax = 1 + Int(bench.random.next() % 8)
        bench.configuration.inflightMax = 1 + Int(bench.random.next() % 4)
        bench.configuration.chunkSizeBytes = 64
        bench.found([1, 2, 3])
        bench.slowDisks = Set(1...5)
        for number in 4...5 { bench.start(number) }
    }

    mutating func play(steps: Int) {
        for _ in 0..<steps where bench.violations.isEmpty {
            let number = 1 + Int(bench.random.next() % 5)
            let draw = bench.random.next() % 200
            if draw < 156 { transmit(draw, number) } else { act(draw, number) }
        }
    }

    private mutating func transmit(_ draw: UInt64, _ number: Int) {
        switch draw {
        case 0..<110:
            guard !bench.wires.isEmpty else { return }
            // Mostly in order, sometimes not.
            let reach = bench.random.next() % 4 == 0 ? bench.wires.count : 1
            let index = Int(bench.random.next() % UInt64(reach))
            let wire = bench.wires[index]
            if cut.contains(wire.from) != cut.contains(wire.to) {
                bench.wires.remove(at: index)
            } else {
                bench.deliver(index)
            }
        case 110..<152: bench.persistOne(number)
        case 152..<154:
            guard !bench.wires.isEmpty else { return }
            bench.wires.remove(at: Int(bench.random.next() % UInt64(bench.wires.count)))
        default:
            guard let wire = bench.wires.randomElement(using: &bench.random) else { return }
            bench.wires.append(wire)
        }
    }

    private mutating func act(_ draw: UInt64, _ number: Int) {
        switch draw {
        case 156..<170: tick(number)
        case 170..<182:
            proposals += 1
            bench.step(number, .propose([UInt8(truncatingIfNeeded: proposals)], context: proposals))
        case 182..<184:
            let pending = bench.writes[number]?.count ?? 0
            bench.crash(number, survivors: Int(bench.random.next() % UInt64(pending + 1)))
            bench.start(number)
        case 184..<187:
            let count = 1 + Int(bench.random.next() % 4)
            let voters = (1...5).shuffled(using: &bench.random).prefix(count).map(RaftBench.id)
            bench.step(number, .proposeMembers(voters: voters))
        case 187..<190:
            guard let engine = bench.engines[number], engine.appliedIndex > 2 else { return }
            let back = bench.random.next() % 3
            let size = 8 + Int(bench.random.next() % 300)
            bench.compact(number, upTo: engine.appliedIndex - min(back, 2), sizeBytes: size)
        case 190..<191:
            let target = RaftBench.id(1 + Int(bench.random.next() % 5))
            bench.step(number, .transferLeadership(target))
        case 191..<192:
            // Now and then two groups that do not hear each other; mostly none.
            let isHealed = bench.random.next() % 2 == 0
            cut = isHealed ? [] : Set((1...5).filter { _ in bench.random.next() % 3 == 0 })
        default:
            // Whoever believes that it leads is asked: of two, one is wrong.
            for number in 1...5 where bench.engines[number]?.role == .leader {
                proposals += 1
                bench.step(number, .readIndex(context: proposals))
            }
        }
    }

    /// Mostly the node whose deadline comes first; now and then one whose clock is ahead.
    private mutating func tick(_ number: Int) {
        let due = (1...5).compactMap { number in
            bench.engines[number]?.nextDeadline.map { (number, $0) }
        }
        let first = due.min { $0.1 < $1.1 }?.0
        bench.tick(bench.random.next() % 8 == 0 ? number : first ?? number)
    }

    /// Liveness: a network without faults elects a leader that commits, and all catch up.
    mutating func heals() -> Bool {
        cut = []
        bench.slowDisks = []
        for number in 1...5 {
            while bench.persistOne(number) {}
        }
        let before = bench.checker.commitMax
        for round in 0..<400 {
            bench.now = bench.now + .milliseconds(50)
            for number in 1...5 {
                if let due = bench.engines[number]?.nextDeadline, due <= bench.now {
                    bench.step(number, .deadlineReached)
                }
            }
            bench.exchange(Set(1...5))
            for number in 1...5 where bench.engines[number]?.role == .leader {
                bench.step(number, .propose([UInt8(round & 0xFF)], context: 1))
            }
            bench.exchange(Set(1...5))
            guard let leader = bench.engines.values.first(where: { $0.role == .leader }) else {
                continue
            }
            let isEverywhere = leader.members.everyone.allSatisfy {
                bench.engines[RaftBench.number($0)]?.lastIndex == leader.lastIndex
            }
            if bench.checker.commitMax > before + 3, isEverywhere { return true }
        }
        return false
    }
}
