import Model
import Testing

@testable import Lock
@testable import Raft

/// A disk that has lost a part of what its node had promised as a voter.
@Suite struct LostLogTests {
    private func leader(of bench: LockBench) -> Int? {
        bench.machines.first { $0.value.node?.isLeader == true }?.key
    }

    @Test func `a voter that has lost its log is replaced, claims again, and never votes again`()
        throws
    {
        let bench = LockBench(seed: 11)
        bench.found(4)
        let leader = try #require(self.leader(of: bench))
        let members = try #require(bench.machines[leader]?.node).engine.members
        let victim = try #require(
            (1...4).first { $0 != leader && members.isVoter(LockBench.id($0)) })
        bench.crash(victim)
        bench.lostLogs = [victim]
        bench.start(victim)
        #expect(bench.machines[victim]?.node?.isForsworn == true)
        let isReplaced = bench.run(atMost: .seconds(30)) {
            bench.machines.values.contains { machine in
                guard let node = machine.node, node.isLeader else { return false }
                return !node.engine.members.isVoter(LockBench.id(victim))
                    && node.engine.members.voters.count == 3
            }
        }
        #expect(isReplaced)
        #expect(
            bench.run(atMost: .seconds(20)) {
                bench.machines[victim]?.node?.mayAcquire == true
            })
        // The next start finds nothing damaged any more, and remembers.
        bench.crash(victim)
        bench.start(victim)
        #expect(bench.machines[victim]?.node?.isForsworn == true)
        bench.run(for: .seconds(10))
        for machine in bench.machines.values {
            #expect(machine.node?.engine.members.isVoter(LockBench.id(victim)) == false)
        }
        #expect(bench.record.violations.isEmpty, "\(bench.record.violations)")
    }

    @Test func `what is left of a damaged log is not believed`() throws {
        let bench = LockBench(seed: 12)
        bench.found(3)
        bench.acquire(1, [1])
        bench.run(for: .seconds(1))
        bench.crash(2)
        bench.lostLogs = [2]
        bench.start(2)
        let node = try #require(bench.machines[2]?.node)
        #expect(node.engine.members.everyone.isEmpty)
        #expect(node.session == nil)
        #expect(node.appliedIndex == 0)
    }

    @Test func `a lone node that has lost its log begins a generation above all its tokens`() throws
    {
        let bench = LockBench(seed: 13)
        bench.found(1)
        bench.crash(1)
        bench.lostLogs = [1]
        bench.start(1)
        var recovery = LockRecovery()
        let task = LockBench.task(1)
        recovery.attempts = [
            LockRecovery.Attempt(
                task: task, birth: LockBench.birth(task),
                token: FencingToken(generation: 4, index: 9), session: SessionID(1),
                node: LockBench.id(1), isLive: false, waits: false, isLastAttempt: false)
        ]
        bench.run(for: .seconds(1))
        bench.step(1, .recover(recovery))
        #expect(
            bench.run(atMost: .seconds(60)) { bench.machines[1]?.node?.mayAcquire == true })
        #expect(bench.machines[1]?.node?.generation == 1_004)
        #expect(bench.machines[1]?.node?.isForsworn == false)
        bench.crash(1)
        bench.start(1)
        #expect(bench.machines[1]?.node?.isForsworn == false)
    }
}
