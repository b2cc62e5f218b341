import Model
import Raft

@testable import Lock

/// For each rule the schedule that breaks without it: what went wrong is returned.
struct RuleSchedules {
    let rule: LockMutation
    let isBroken: Bool

    static let task = LockBench.task(1)
    static let lease = LockConfiguration(profile: .local).leaseLength

    func play() -> [String] {
        switch rule {
        case .repeatsToken: givenBackAndTakenAgain()
        case .grantsHeldTasks: twoAskAtOnce()
        case .appliesRepetitions: lateCopyOfAcquire()
        case .forgetsEarlierLives: lateForgetOfAnEarlierLife()
        case .reopensClosed: cancelAfterTheEnd()
        case .grantsCollected: claimAfterCollection()
        case .freesWaiting: waitingHolderIsCutOff()
        case .forgetsLiving: forgetWhileItLives()
        case .opensUnnamed: lateOpeningOfAnEarlierLife()
        case .renewsTwice: twoRenewOneKey()
        case .servesEvicted: evictedHolder()
        case .evictsSeated: evictedVoterBesideADeadOne()
        case .renewsUnconfirmed: renewalByADeposedLeader()
        case .expiresAtOnce: failOver()
        case .forgetsLongLeases: mixedLengths()
        case .renewsExpiring: renewalAfterTheProposal()
        case .freesAtOpening: clonedDirectory() + goldenImage() + copyOfTheLeader()
        case .freesForCopies: copyOfACutOffHolder()
        case .renewsReplaced: renewalWhileReplaced()
        case .skipsUnreadable: entryOfANewerVersion()
        case .holdsTooLong: holderIsCutOff()
        case .countsFromAnswer: slowAnswers()
        case .revivesLapsed: lapseThenRenew()
        case .takesLateGrants: grantAfterTheLapse()
        case .trustsLateClock: suspend()
        case .believesAnybody: liar()
        case .leadsBehind: rolledBackVoter()
        case .votesAsCopy: copyOfAVoter()
        case .heedsOldGenerations: messageOfALostGeneration()
        case .grantsWhileRecovering: claimRightAfterRecovery()
        case .recoversWhileInTouch: recoveryBesideAMajority()
        }
    }

    // MARK: Tools

    func configuration(leaseLength: Duration? = nil) -> LockConfiguration {
        var configuration = LockConfiguration(profile: .local)
        configuration.mutation = isBroken ? rule : nil
        if let leaseLength {
            configuration.leaseLength = leaseLength
            configuration.leaseLengthWithFewVoters = leaseLength
        }
        return configuration
    }

    /// Settled machines; the first `claimer` holds the task.
    func bench(_ count: Int, claimer: Int? = nil) -> LockBench {
        let bench = LockBench(seed: 31, configuration: configuration())
        bench.found(count)
        if let claimer { claim(bench, claimer) }
        return bench
    }

    func claim(_ bench: LockBench, _ number: Int) {
        bench.acquire(number, [1])
        bench.run(for: .milliseconds(300))
    }

    func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    func entry(in bench: LockBench) -> LockTable.Entry? {
        bench.machines[leader(of: bench)]?.node?.table.entries[RuleSchedules.task]
    }

    /// Messages that a filter has seen.
    final class Capture {
        var wires: [LockBench.Wire] = []
    }

    func capture(
        _ bench: LockBench, letsPass: Bool,
        _ isWanted: @escaping (LockBench.Wire, LockMessage) -> Bool
    ) -> Capture {
        let capture = Capture()
        bench.filter = { wire, message in
            guard isWanted(wire, message) else { return message }
            capture.wires.append(wire)
            return letsPass ? message : nil
        }
        return capture
    }

    func deliver(_ wires: [LockBench.Wire], to number: Int, in bench: LockBench) {
        for wire in wires {
            bench.step(number, .received(wire.bytes, from: LockBench.id(wire.from)))
            bench.run(for: .milliseconds(50))
        }
    }

    func isRequest(_ message: LockMessage) -> Bool {
        if case .request = message { true } else { false }
    }

    /// Heartbeats pass, entries don't: nothing is committed, and the leader stays.
    func withoutEntries(_ message: LockMessage) -> LockMessage {
        guard case .raft(let raft) = message,
            case .append(let index, let term, _, let commit, let round) = raft.content
        else { return message }
        return .raft(
            RaftMessage(
                term: raft.term,
                .append(
                    previousIndex: index, previousTerm: term, entries: [], commit: commit,
                    round: round)))
    }
}

// MARK: - The table

extension RuleSchedules {
    private func givenBackAndTakenAgain() -> [String] {
        let bench = bench(3, claimer: 2)
        bench.release(2, RuleSchedules.task)
        bench.run(for: .milliseconds(300))
        claim(bench, 3)
        return bench.record.violations
    }

    private func twoAskAtOnce() -> [String] {
        let bench = bench(3)
        bench.acquire(2, [1])
        bench.acquire(3, [1])
        bench.run(for: .milliseconds(300))
        return bench.record.violations
    }

    /// A copy of the request arrives when its node has given the task back.
    private func lateCopyOfAcquire() -> [String] {
        let bench = bench(4)
        let copies = capture(bench, letsPass: true) { $0.from == 4 && isRequest($1) }
        claim(bench, 4)
        bench.filter = nil
        bench.release(4, RuleSchedules.task)
        bench.run(for: .milliseconds(300))
        deliver(copies.wires, to: leader(of: bench), in: bench)
        if case .held? = entry(in: bench) { return ["held, and nobody knows it"] }
        return bench.record.violations
    }

    /// A person declares a node gone, which comes back and takes the task again; then a copy of
    /// the person's word arrives, and the node is cut off.
    private func lateForgetOfAnEarlierLife() -> [String] {
        let bench = LockBench(seed: 31, configuration: configuration())
        bench.partitionPolicies[RuleSchedules.task] = .wait
        bench.found(5)
        claim(bench, 5)
        bench.isolate(5)
        bench.run(for: RuleSchedules.lease * 2)
        let copies = capture(bench, letsPass: true) { $0.from == 4 && isRequest($1) }
        bench.step(4, .forget(LockBench.id(5)))
        bench.run(for: .milliseconds(300))
        bench.filter = nil
        bench.crash(4)
        bench.start(4)
        bench.heal()
        bench.run(for: .seconds(4))
        claim(bench, 5)
        bench.isolate(5)
        bench.run(for: RuleSchedules.lease * 2)
        deliver(copies.wires, to: leader(of: bench), in: bench)
        claim(bench, leader(of: bench))
        return bench.record.violations
    }

    private func cancelAfterTheEnd() -> [String] {
        let bench = bench(3, claimer: 2)
        bench.close(2, RuleSchedules.task)
        bench.run(for: .milliseconds(300))
        let canceled = TaskOutcome(kind: .canceled)
        let birth = LockBench.birth(RuleSchedules.task)
        bench.step(3, .close(RuleSchedules.task, nil, canceled, birth: birth))
        bench.run(for: .milliseconds(300))
        return bench.record.violations
    }

    private func claimAfterCollection() -> [String] {
        let bench = bench(3, claimer: 2)
        bench.close(2, RuleSchedules.task)
        bench.run(for: .milliseconds(300))
        bench.step(leader(of: bench), .collected([LockBench.birth(RuleSchedules.task)]))
        bench.run(for: .seconds(1))
        claim(bench, 3)
        return bench.record.violations + (bench.record.grants > 1 ? ["granted again"] : [])
    }

    private func waitingHolderIsCutOff() -> [String] {
        let bench = LockBench(seed: 31, configuration: configuration())
        bench.partitionPolicies[RuleSchedules.task] = .wait
        bench.found(4)
        claim(bench, 4)
        bench.isolate(4)
        bench.run(for: RuleSchedules.lease * 3)
        claim(bench, leader(of: bench))
        return bench.record.violations
    }

    private func forgetWhileItLives() -> [String] {
        let bench = bench(4, claimer: 4)
        let asker = leader(of: bench) == 2 ? 3 : 2
        bench.step(asker, .forget(LockBench.id(4)))
        bench.run(for: .milliseconds(100))
        claim(bench, asker)
        let isRefused = bench.record.forgets.first?.isRefused == true
        return bench.record.violations + (isRefused ? [] : ["the asker was not told"])
    }

    private func lateOpeningOfAnEarlierLife() -> [String] {
        let bench = bench(4)
        bench.crash(4)
        let late = capture(bench, letsPass: false) { $0.from == 4 && isRequest($1) }
        bench.start(4)
        bench.run(for: .milliseconds(100))
        bench.crash(4)
        bench.filter = nil
        bench.start(4)
        bench.run(for: .milliseconds(300))
        claim(bench, 4)
        let session = bench.machines[4]?.session
        deliver(late.wires, to: leader(of: bench), in: bench)
        bench.run(for: .seconds(3))
        let isDisplaced = bench.machines[4]?.session != session
        return bench.record.violations + (isDisplaced ? ["the newer session is gone"] : [])
    }

    /// One voter can't read an entry that the others can.
    private func entryOfANewerVersion() -> [String] {
        let bench = bench(3)
        let reader = leader(of: bench) == 3 ? 2 : 3
        bench.filter = { wire, message in
            guard wire.to == reader, case .raft(let raft) = message,
                case .append(let index, let term, let entries, let commit, let round) = raft.content
            else { return message }
            let foreign = entries.map { entry -> RaftEntry in
                guard case .command = entry.content else { return entry }
                return RaftEntry(term: entry.term, content: .command([0xFF]))
            }
            return .raft(
                RaftMessage(
                    term: raft.term,
                    .append(
                        previousIndex: index, previousTerm: term, entries: foreign, commit: commit,
                        round: round)))
        }
        claim(bench, 1)
        bench.run(for: .seconds(1))
        let isSaid = bench.record.unreadable == [reader]
        return bench.record.violations + (isSaid ? [] : ["nobody was told"])
    }
}
