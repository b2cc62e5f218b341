import Model

@testable import Lock

/// Nodes that are shut out for good.
extension RuleSchedules {
    static func eviction(of number: Int, by author: Int) -> Amendment.Change {
        .eviction(
            Eviction(
                nodes: [LockBench.id(number)], spared: [], author: LockBench.id(author),
                time: WallTime(milliseconds: 1)))
    }

    /// A holder is shut out, and goes on asking as if nothing had been.
    func evictedHolder() -> [String] {
        let bench = bench(4)
        let leader = leader(of: bench)
        let holder = (1...4).first { $0 != leader } ?? 0
        claim(bench, holder)
        bench.opensSessions = false
        bench.step(leader, .amend(RuleSchedules.eviction(of: holder, by: leader)))
        bench.run(for: .seconds(20))
        guard bench.record.amendmentAnswers.contains(where: { $0.answer == .agreed }) else {
            return ["the eviction is not agreed on"]
        }
        var problems = bench.record.violations
        if bench.machines[holder]?.node?.session != nil {
            problems.append("who was shut out keeps its lease")
        }
        bench.step(holder, .amend(RuleSchedules.eviction(of: leader, by: holder)))
        bench.run(for: .seconds(2))
        if bench.machines[leader]?.node?.amendments.count != 1 {
            problems.append("who was shut out shuts out others")
        }
        bench.acquire(leader, [1])
        bench.run(for: .seconds(1))
        if bench.record.grants != 2 { problems.append("its task is not run elsewhere") }
        return problems
    }

    /// Of three voters one is dead, and another one is shut out: from then on nobody hears it.
    func evictedVoterBesideADeadOne() -> [String] {
        let bench = bench(3)
        let leader = leader(of: bench)
        let others = (1...3).filter { $0 != leader }
        bench.crash(others[0])
        bench.run(for: .seconds(3))
        bench.step(leader, .amend(RuleSchedules.eviction(of: others[1], by: leader)))
        for _ in 0..<100 {
            bench.run(for: .milliseconds(100))
            guard bench.machines[leader]?.node?.amendments.isEmpty == false else { continue }
            bench.cuts = [
                LockBench.Cut(from: leader, to: others[1]),
                LockBench.Cut(from: others[1], to: leader),
            ]
        }
        bench.run(for: .seconds(10))
        bench.acquire(leader, [1])
        bench.run(for: .seconds(2))
        return bench.record.grants == 1 ? bench.record.violations : ["the lock stands still"]
    }

    /// Thief and owner renew the key of one node, each to a key of its own.
    func twoRenewOneKey() -> [String] {
        let bench = bench(3)
        let number = (1...3).first { $0 != leader(of: bench) } ?? 0
        for key in [1, 2] as [UInt8] {
            var succession = Succession(
                node: LockBench.id(number), serial: 1,
                newKey: [UInt8](repeating: key, count: Succession.keySizeBytes), spared: [])
            succession.signature = [UInt8](repeating: key, count: Succession.signatureSizeBytes)
            bench.step(number, .amend(.succession(succession)))
        }
        bench.run(for: .seconds(2))
        let answers = bench.record.amendmentAnswers.map(\.answer)
        guard answers.first == .agreed, answers.count == 2 else {
            return ["the lock does not answer"]
        }
        return answers[1] == .overtaken
            ? bench.record.violations : ["the second one takes the place of the first"]
    }
}
