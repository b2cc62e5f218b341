import Model
import Raft

@testable import Lock

// MARK: - The leader

extension RuleSchedules {
    /// The leader is frozen and deposed; a holder that hears only the old one sends a renewal,
    /// which the old leader answers on waking, before it knows.
    func renewalByADeposedLeader() -> [String] {
        let bench = bench(4, claimer: 4)
        let old = leader(of: bench)
        for number in [4, old] { bench.cut(number, from: [1, 2, 3].filter { $0 != old }) }
        bench.deathAfter = .seconds(60)
        bench.machines[old]?.frozenUntil = bench.now + 3_300_000_000
        bench.run(for: .seconds(11))
        return bench.record.violations
    }

    /// A holder dies, then the leader, just before it would expire the holder's session.
    func failOver() -> [String] {
        let bench = bench(5, claimer: 4)
        bench.isolate(4)
        bench.run(for: RuleSchedules.lease - .milliseconds(1_200))
        bench.crash(leader(of: bench))
        bench.run(for: .seconds(6))
        return bench.record.violations
    }

    /// The leader's operator has configured longer leases than those of the others.
    func mixedLengths() -> [String] {
        let bench = LockBench(seed: 31, configuration: configuration(leaseLength: .seconds(3)))
        bench.otherConfigurations[1] = configuration(leaseLength: .seconds(12))
        bench.found(4)
        guard leader(of: bench) == 1 else { return ["the founder does not lead"] }
        claim(bench, 4)
        bench.run(for: .seconds(4))
        bench.isolate(4)
        bench.crash(1)
        bench.run(for: .seconds(15))
        return bench.record.violations + (bench.record.gone.isEmpty ? ["nobody is gone"] : [])
    }

    /// The expiry is proposed, and can't be committed yet; a renewal arrives.
    func renewalAfterTheProposal() -> [String] {
        let bench = bench(4)
        let leader = leader(of: bench)
        guard let session = bench.machines[4]?.session else { return ["no session"] }
        bench.isolate(4)
        bench.filter = { withoutEntries($1) }
        let isProposed = bench.run(atMost: .seconds(8)) {
            bench.machines[leader]?.node?.leadership?.expiring.contains(session) == true
        }
        guard isProposed else { return ["no expiry is proposed"] }
        bench.heal()
        var problems: [String] = []
        bench.filter = { wire, message in
            if case .renewed(session, _, _, _) = message { problems.append("it is renewed") }
            return withoutEntries(message)
        }
        let late = LockMessage.renew(session, number: 1_000).encoded
        bench.step(leader, .received(late, from: LockBench.id(4)))
        bench.run(for: .milliseconds(50))
        return bench.record.violations + problems
    }

    /// The copy's opening waits for its commit; meanwhile the first machine renews its lease, and is
    /// cut off.
    func renewalWhileReplaced() -> [String] {
        let bench = bench(4, claimer: 4)
        guard let machine = bench.machines[4] else { return ["no machine"] }
        // The leader knows of an old renewal only; the next one is about to be sent.
        let isDue = bench.run(atMost: .seconds(3)) {
            let due = machine.node?.renewal.due ?? .distantFuture
            return machine.node?.renewal.isAwaited == false
                && due - machine.local(bench.now) < .milliseconds(70)
        }
        let opening = openingOfClone(in: bench)
        bench.filter = { withoutEntries($1) }
        deliver(opening, to: leader(of: bench), in: bench)
        bench.run(for: .milliseconds(100))
        bench.filter = nil
        bench.isolate(4)
        for _ in 0..<25 { claim(bench, leader(of: bench)) }
        let isFree = bench.record.grants > 1
        return bench.record.violations + (isDue && isFree ? [] : ["the schedule was not played"])
    }

    /// One voter lags, one has its disk restored from a copy, and the complete one stops.
    ///
    /// The copy is one from a moment before, or from before its node had a vote.
    func rolledBackVoter() -> [String] {
        rolledBackVoter(isEarly: false) + rolledBackVoter(isEarly: true) + rolledBackFounder()
            + rolledBackWithoutItsVote()
    }

    /// All voters are replaced, and two come back who were never told that they vote no more.
    ///
    /// One was cut off; the other one's disk is restored from a copy of before.
    private func rolledBackWithoutItsVote() -> [String] {
        let bench = bench(6)
        let former = bench.machines[1]?.node?.engine.members.voters.map(LockBench.number) ?? []
        guard former == [1, 2, 3] else { return ["others vote: \(former)"] }
        let copy = bench.machines[2]?.disk ?? Machine.Disk()
        for number in [3, 2, 1] {
            if number == 3 { bench.isolate(number) } else { bench.crash(number) }
            let isReplaced = bench.run(atMost: .seconds(20)) {
                guard let node = bench.machines[leader(of: bench)]?.node else { return false }
                return node.engine.areMembersCommitted
                    && !node.engine.members.isVoter(LockBench.id(number))
            }
            guard isReplaced else { return ["nobody takes the place of \(number)"] }
        }
        claim(bench, 4)
        bench.machines[2]?.disk = copy
        bench.heal()
        bench.start(2)
        // For longer than every member's word counts after a start.
        for _ in 0..<30 { claim(bench, 2) }
        let leads = former.filter { bench.machines[$0]?.node?.isLeader == true }
        let holds = bench.machines[4]?.running[RuleSchedules.task] != nil
        return bench.record.violations + (holds ? [] : ["nobody holds the task"])
            + (leads.isEmpty ? [] : ["\(leads) lead, and vote no more"])
    }

    /// The founder's disk comes back from when it voted alone, and no log reaches it at first.
    private func rolledBackFounder() -> [String] {
        let bench = LockBench(seed: 31, configuration: configuration(leaseLength: .seconds(60)))
        bench.found(2)
        let copy = bench.machines[1]?.disk ?? Machine.Disk()
        bench.add(3)
        bench.run(for: .seconds(6))
        claim(bench, 2)
        guard bench.machines[2]?.running[RuleSchedules.task] != nil,
            bench.machines[2]?.node?.voters.count == 3
        else { return ["nobody ever held the task"] }
        bench.crash(1)
        bench.machines[1]?.disk = copy
        bench.run(for: .seconds(3))
        bench.filter = { wire, message in
            if wire.to == 1, case .raft = message { nil } else { message }
        }
        bench.start(1)
        for _ in 0..<8 {
            bench.run(for: .milliseconds(500))
            claim(bench, 1)
        }
        bench.filter = nil
        bench.run(for: .seconds(4))
        let isWhole = bench.machines[1]?.node?.isBehind == false
        return bench.record.violations + (isWhole ? [] : ["it never caught up"])
    }

    private func rolledBackVoter(isEarly: Bool) -> [String] {
        let bench = bench(5)
        let complete = leader(of: bench)
        let others = [1, 2, 3].filter { $0 != complete }
        bench.isolate(others[0])
        bench.deathAfter = .seconds(60)
        let copy = isEarly ? nil : bench.machines[others[1]]?.disk
        claim(bench, 4)
        bench.run(for: .milliseconds(1_500))
        bench.crash(others[1])
        bench.machines[others[1]]?.disk = copy ?? Machine.Disk()
        bench.crash(complete)
        bench.heal()
        bench.start(others[1])
        for _ in 0..<10 { claim(bench, 5) }
        var problems = bench.record.violations
        if leader(of: bench) != 0 { problems.append("a voter leads that lacks what is committed") }
        // The complete one makes them whole again.
        bench.start(complete)
        bench.run(for: .seconds(8))
        if leader(of: bench) != complete { problems.append("the complete one does not lead") }
        // Its holder may have renewed in time.
        bench.release(4, RuleSchedules.task)
        for _ in 0..<12 { claim(bench, 5) }
        if bench.record.grants < 2 { problems.append("the task is stuck") }
        return problems + bench.record.violations
    }
}

// MARK: - The holder

extension RuleSchedules {
    func holderIsCutOff() -> [String] {
        let bench = bench(4, claimer: 4)
        bench.isolate(4)
        for _ in 0..<8 {
            bench.run(for: .seconds(1))
            claim(bench, leader(of: bench))
        }
        return bench.record.violations
    }

    /// Answers are long on their way; then the leader hears the holder no more.
    func slowAnswers() -> [String] {
        let bench = bench(4, claimer: 4)
        for number in 1...3 {
            bench.detours[LockBench.Cut(from: number, to: 4)] = .milliseconds(1_500)
        }
        bench.run(for: .seconds(6))
        for number in 1...3 { bench.cuts.insert(LockBench.Cut(from: 4, to: number)) }
        bench.run(for: .seconds(8))
        return bench.record.violations + (bench.record.gone.isEmpty ? ["nobody is gone"] : [])
    }

    /// All answers are held back until the lease is over, then they arrive.
    private func withLateAnswers(
        _ isWanted: @escaping (LockMessage) -> Bool
    ) -> (bench: LockBench, wires: [LockBench.Wire]) {
        let bench = bench(4)
        let answers = capture(bench, letsPass: false) { $0.to == 4 && isWanted($1) }
        bench.acquire(4, [1])
        bench.run(for: RuleSchedules.lease)
        bench.filter = { wire, message in
            if wire.to == 4, case .reply = message { nil } else { message }
        }
        return (bench, answers.wires)
    }

    func lapseThenRenew() -> [String] {
        let (bench, wires) = withLateAnswers {
            if case .renewed = $0 { true } else if case .reply = $0 { true } else { false }
        }
        let renewals = wires.filter {
            if case .renewed? = try? LockMessage(decoding: $0.bytes) { true } else { false }
        }
        deliver(renewals, to: 4, in: bench)
        let isLate = bench.record.lapses == 1 && !renewals.isEmpty
        return bench.record.violations + (isLate ? [] : ["nothing came late"])
    }

    func grantAfterTheLapse() -> [String] {
        let (bench, wires) = withLateAnswers {
            if case .renewed = $0 { true } else if case .reply = $0 { true } else { false }
        }
        let replies = wires.filter {
            if case .reply? = try? LockMessage(decoding: $0.bytes) { true } else { false }
        }
        deliver(replies, to: 4, in: bench)
        return bench.record.violations + (replies.isEmpty ? ["nothing came late"] : [])
    }

    /// The machine sleeps through its lease; a grant is the first thing that it sees on waking.
    func suspend() -> [String] {
        let bench = bench(4)
        bench.acquire(4, [1])
        bench.machines[4]?.frozenUntil = bench.now + RuleSchedules.lease.nanoseconds
        bench.run(for: RuleSchedules.lease + .seconds(1))
        return bench.record.violations
    }

    /// A member that nobody has asked prolongs another one's lease.
    func liar() -> [String] {
        let bench = bench(5, claimer: 4)
        bench.isolate(4)
        bench.run(for: .seconds(2))
        guard let node = bench.machines[4]?.node, let session = node.session?.id else {
            return ["no session"]
        }
        let lie = LockMessage.renewed(
            session, number: node.renewal.lastNumber,
            leaseLength: LockConfiguration.leaseLengthMax, voters: [LockBench.id(5)])
        bench.step(4, .received(lie.encoded, from: LockBench.id(5)))
        bench.run(for: .seconds(8))
        return bench.record.violations
    }
}
