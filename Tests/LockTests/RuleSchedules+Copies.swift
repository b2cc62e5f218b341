import Model

@testable import Lock

// MARK: - Copies of a data directory

extension RuleSchedules {
    /// A copy of the data directory comes up elsewhere, and asks in its node's name, while the node
    /// itself is cut off.
    func clonedDirectory() -> [String] {
        let bench = bench(4, claimer: 4)
        let opening = openingOfClone(in: bench)
        bench.isolate(4)
        let other = leader(of: bench)
        deliver(opening, to: other, in: bench)
        for _ in 0..<8 {
            claim(bench, other)
            bench.run(for: .seconds(1))
        }
        let isFree = bench.machines[other]?.running[RuleSchedules.task] != nil
        return bench.record.violations + (isFree ? [] : ["the task is stuck"])
    }

    /// Two machines come up from an image that was made of a third one, which is gone.
    func goldenImage() -> [String] {
        let bench = bench(4)
        bench.crash(4)
        bench.clone(4)
        // Others answer whoever they heard last.
        bench.mailboxes[4] = 104
        bench.run(for: .seconds(3))
        claim(bench, 104)
        let wasHeld = bench.machines[104]?.running[RuleSchedules.task] != nil
        bench.mailboxes[4] = 204
        bench.clone(4, as: 200)
        for place in [204, 104, 204] {
            bench.mailboxes[4] = place
            for _ in 0..<12 {
                bench.run(for: .milliseconds(500))
                claim(bench, leader(of: bench))
            }
        }
        return bench.record.violations + (wasHeld ? [] : ["nobody ever held the task"])
    }

    /// A copy of the leader's data directory claims while the leader stands still; then the leader leads
    /// again, and opens a session in place of the copy's.
    func copyOfTheLeader() -> [String] {
        // So long that no lease ends by itself.
        let bench = LockBench(seed: 31, configuration: configuration(leaseLength: .seconds(60)))
        bench.knowsCopies = true
        bench.found(3)
        let original = leader(of: bench)
        let copy = original + 100
        bench.isolate(original)
        bench.run(for: .seconds(3))
        bench.mailboxes[original] = copy
        bench.clone(original)
        bench.run(for: .seconds(2))
        claim(bench, copy)
        guard bench.machines[copy]?.running[RuleSchedules.task] != nil else {
            return ["the copy never held the task"]
        }
        bench.crash(copy)
        bench.mailboxes = [:]
        // It opens no session before it leads: then the request does not travel.
        _ = capture(bench, letsPass: false) { $0.from == original && isRequest($1) }
        for _ in 0..<20 where leader(of: bench) != original {
            bench.heal()
            bench.run(for: .seconds(1))
            let other = leader(of: bench)
            if other != original, other != 0 { bench.isolate(other) }
            bench.run(for: .seconds(1))
        }
        bench.heal()
        guard leader(of: bench) == original else { return ["the original never led again"] }
        for _ in 0..<4 {
            bench.openSession(original)
            bench.run(for: .milliseconds(500))
            claim(bench, original)
        }
        return bench.record.violations
    }

    /// A copy of a holder's data directory asks while the holder is cut off and runs on: its task
    /// waits, before and after the lease; or the copy names the claim, and gives it back.
    func copyOfACutOffHolder() -> [String] {
        Copy.allCases.flatMap(copy)
    }

    /// What the copy does, and when.
    enum Copy: CaseIterable {
        /// It names nothing, while the holder has its lease, or when that has expired.
        case asksWithinTheLease, asksAfterTheLease
        /// Its disk tells it of the claim, which it takes over and gives back.
        case namesTheClaim
    }

    func copy(_ copy: Copy) -> [String] {
        switch copy {
        case .asksWithinTheLease: waitingCopy(after: .zero)
        case .asksAfterTheLease: waitingCopy(after: RuleSchedules.lease * 2)
        case .namesTheClaim: namingCopy()
        }
    }

    private func waitingCopy(after span: Duration) -> [String] {
        let bench = LockBench(seed: 31, configuration: configuration())
        bench.partitionPolicies[RuleSchedules.task] = .wait
        bench.found(4)
        claim(bench, 4)
        bench.isolate(4)
        bench.run(for: span)
        bench.mailboxes[4] = 104
        bench.clone(4)
        for _ in 0..<16 {
            claim(bench, leader(of: bench))
            bench.run(for: .milliseconds(500))
        }
        var problems = bench.record.violations
        if bench.record.claimsElsewhere[104] != 1 { problems.append("the copy was not told") }
        // The holder comes back to its claim; the copy has been found out by then.
        bench.crash(104)
        bench.mailboxes = [:]
        bench.heal()
        bench.run(for: .seconds(4))
        guard bench.machines[4]?.running[RuleSchedules.task] != nil else {
            return problems + bench.record.violations + ["the holder has lost its claim"]
        }
        bench.release(4, RuleSchedules.task)
        bench.run(for: .milliseconds(300))
        for _ in 0..<4 { claim(bench, leader(of: bench)) }
        if bench.record.grants < 2 { problems.append("the task is stuck") }
        return problems + bench.record.violations
    }

    private func namingCopy() -> [String] {
        let bench = bench(4, claimer: 4)
        guard let token = bench.machines[4]?.running[RuleSchedules.task] else {
            return ["nothing was claimed"]
        }
        bench.isolate(4)
        bench.mailboxes[4] = 104
        bench.opensSessions = false
        bench.clone(4)
        bench.step(104, .openSession(keeping: [(RuleSchedules.task, token)]))
        for _ in 0..<16 {
            claim(bench, leader(of: bench))
            bench.run(for: .milliseconds(500))
        }
        let isFree = bench.record.grants > 1
        return bench.record.violations + (isFree ? [] : ["the task is stuck"])
    }

    /// A copy of a voter comes up beside the third one, while the two that are left go on.
    func copyOfAVoter() -> [String] {
        let bench = bench(3)
        bench.knowsCopies = true
        let leader = leader(of: bench)
        let others = (1...3).filter { $0 != leader }
        let (follower, third) = (others[0], others[1])
        bench.clone(follower)
        bench.cut(follower + 100, from: [leader, follower])
        bench.cut(third, from: [leader, follower])
        bench.privateMail[LockBench.Cut(from: third, to: follower)] = follower + 100
        claim(bench, leader)
        bench.run(for: .milliseconds(300))
        let isHeld = bench.machines[leader]?.running[RuleSchedules.task] != nil
        for _ in 0..<40 {
            claim(bench, third)
            bench.run(for: .milliseconds(500))
        }
        return bench.record.violations + (isHeld ? [] : ["nobody ever held the task"])
    }

    /// A second machine with the identity of the fourth; what it asks for does not arrive by itself.
    func openingOfClone(in bench: LockBench) -> [LockBench.Wire] {
        let requests = capture(bench, letsPass: false) { $0.from == 104 && isRequest($1) }
        bench.clone(4)
        bench.run(for: .milliseconds(5))
        bench.filter = nil
        bench.isolate(104)
        return Array(requests.wires.prefix(1))
    }
}
