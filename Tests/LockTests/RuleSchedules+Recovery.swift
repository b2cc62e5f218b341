import Model
import Raft

@testable import Lock

// MARK: - Generations

extension RuleSchedules {
    /// A voter is cut off; then the two others die, and it is the only one left.
    ///
    /// The fifth machine holds the task, and has renewed its lease after the last voter lost its
    /// own.
    private func lastVoter(in bench: LockBench) -> Int {
        let voters = (bench.machines[leader(of: bench)]?.node?.voters ?? []).map(LockBench.number)
        let last = voters.first { $0 != leader(of: bench) } ?? 0
        bench.isolate(last)
        bench.run(for: .seconds(3))
        for voter in voters where voter != last { bench.crash(voter) }
        bench.heal()
        _ = bench.run(atMost: .seconds(6)) { bench.machines[last]?.node?.session == nil }
        return last
    }

    /// Nobody has told of the task that is running; the new generation is asked for it.
    func claimRightAfterRecovery() -> [String] {
        let bench = bench(5, claimer: 5)
        let last = lastVoter(in: bench)
        bench.step(last, .recover(LockRecovery()))
        for _ in 0..<12 {
            bench.run(for: .milliseconds(500))
            claim(bench, last)
        }
        let isFree = bench.record.grants > 1
        return bench.record.violations + (isFree ? [] : ["the task is stuck"])
    }

    /// What the leader of the lost generation has sent arrives when the new one is under way.
    func messageOfALostGeneration() -> [String] {
        let bench = bench(5)
        let first = leader(of: bench)
        bench.crash(first)
        bench.run(for: .seconds(3))
        bench.start(first)
        bench.run(for: .seconds(3))
        let appends = capture(bench, letsPass: true) { _, message in
            guard case .raft(let raft) = message, case .append = raft.content else { return false }
            return true
        }
        bench.run(for: .milliseconds(300))
        bench.filter = nil
        let last = lastVoter(in: bench)
        bench.step(last, .recover(LockRecovery()))
        bench.run(for: .seconds(2))
        guard bench.machines[last]?.node?.isLeader == true,
            let late = appends.wires.last(where: { $0.to == last })
        else { return ["the schedule was not played"] }
        bench.step(last, .received(late.bytes, from: LockBench.id(late.from)))
        let leads = bench.machines[last]?.node?.isLeader == true
        return bench.record.violations + (leads ? [] : ["the lost generation is heeded"])
    }

    func recoveryBesideAMajority() -> [String] {
        let bench = bench(4)
        bench.step(2, .recover(LockRecovery()))
        bench.step(4, .recover(LockRecovery()))
        bench.run(for: .seconds(2))
        let isRefused = bench.record.recoveriesRefused == 2 && bench.record.generations.isEmpty
        return bench.record.violations + (isRefused ? [] : ["begun anew beside a majority"])
    }
}
