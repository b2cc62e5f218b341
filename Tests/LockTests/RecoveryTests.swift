import Model
import Testing

@testable import Lock

/// The lock begun anew after the loss of a majority of its voters.
@Suite struct RecoveryTests {
    private static let lease = LockConfiguration(profile: .local).leaseLength

    private func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    private func attempt(
        _ task: Int, on number: Int, _ token: FencingToken, isLive: Bool = true,
        waits: Bool = false, isLast: Bool = false
    ) -> LockRecovery.Attempt {
        LockRecovery.Attempt(
            task: LockBench.task(task), birth: LockBench.birth(LockBench.task(task)), token: token,
            session: SessionID(7), node: LockBench.id(number), isLive: isLive, waits: waits,
            isLastAttempt: isLast)
    }

    /// Of three voters only the second is left.
    ///
    /// The fourth and fifth machine hold a task each that waits for them; the third one held one
    /// that stops, and one that may not run again.
    private func disaster() throws -> (bench: LockBench, recovery: LockRecovery) {
        let bench = LockBench(seed: 51)
        for task in [4, 5] { bench.partitionPolicies[LockBench.task(task)] = .wait }
        bench.restartPolicies[LockBench.task(2)] = .never
        bench.found(5)
        bench.acquire(4, [4])
        bench.acquire(5, [5])
        bench.acquire(3, [1, 2, 3])
        bench.run(for: .seconds(1))
        var recovery = LockRecovery()
        for (task, number) in [(4, 4), (5, 5), (1, 3), (2, 3)] {
            let token = try #require(bench.machines[number]?.running[LockBench.task(task)])
            recovery.attempts.append(
                attempt(
                    task, on: number, token, waits: task != 1, isLast: task == 2))
        }
        let ended = try #require(bench.machines[3]?.running[LockBench.task(3)])
        bench.close(3, LockBench.task(3))
        bench.run(for: .milliseconds(300))
        recovery.closes = [
            LockRecovery.Close(
                task: LockBench.task(3), birth: LockBench.birth(LockBench.task(3)),
                token: ended,
                outcome: try #require(bench.record.outcomes[LockBench.task(3)]))
        ]
        recovery.collected = [(BirthDot(origin: BootID(99), sequence: 20), 29)]
        for voter in [1, 3] { bench.crash(voter, isReboot: true) }
        bench.run(for: RecoveryTests.lease * 2)
        return (bench, recovery)
    }

    private func entry(_ task: Int, in bench: LockBench) -> LockTable.Entry? {
        bench.machines[leader(of: bench)]?.node?.table.entries[LockBench.task(task)]
    }

    @Test func `claims stay with the machine on which they were made`() throws {
        let (bench, recovery) = try disaster()
        let machine = bench.machines[4]?.node?.machine
        bench.step(2, .recover(recovery))
        #expect(bench.run(atMost: .seconds(5)) { leader(of: bench) == 2 })
        guard case .held(let claim)? = entry(4, in: bench) else {
            Issue.record("the task that waits must be held")
            return
        }
        #expect(claim.machine == machine)
        #expect(claim.machine != .unknown)
    }

    @Test func `ends stand, what runs is kept, and the rest is free after the longest lease`()
        throws
    {
        let (bench, recovery) = try disaster()
        bench.step(2, .recover(recovery))
        let begin = bench.now
        let isOpen = bench.run(atMost: .seconds(5)) {
            [2, 4, 5].allSatisfy { bench.machines[$0]?.node?.mayAcquire == true }
        }
        #expect(isOpen, "not every survivor has a session of the new generation")
        #expect([2, 4, 5].allSatisfy { bench.machines[$0]?.node?.generation == 2 })
        // Whoever waited out the disaster goes on under its old token.
        for number in [4, 5] {
            #expect(bench.machines[number]?.running[LockBench.task(number)] != nil)
        }
        let isFree = bench.run(atMost: .seconds(20)) {
            if bench.machines[2]?.asked.isEmpty == true { bench.acquire(2, [1, 2, 3, 25]) }
            return bench.machines[2]?.running[LockBench.task(1)] != nil
        }
        #expect(isFree)
        let waited = Duration.nanoseconds(bench.now - begin)
        #expect(waited >= LockConfiguration.leaderLease(RecoveryTests.lease) * 0.99)
        let token = try #require(bench.machines[2]?.running[LockBench.task(1)])
        #expect(token.generation == 2)
        #expect(bench.machines[2]?.running.count == 1, "closed, waiting and collected ones rest")
        bench.run(for: .seconds(1))
        #expect(bench.record.denials.contains(.collected))
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a task that may not run again waits until its node is back or forgotten`() throws {
        let (bench, recovery) = try disaster()
        bench.step(2, .recover(recovery))
        bench.run(for: RecoveryTests.lease * 3)
        guard case .held(let claim)? = entry(2, in: bench) else {
            Issue.record("it must wait for its node")
            return
        }
        #expect(claim.formerHolder == LockBench.id(3))
        bench.step(2, .forget(LockBench.id(3)))
        bench.run(for: .seconds(1))
        #expect(bench.record.outcomes[LockBench.task(2)]?.kind == .lost)
        #expect(bench.record.forgets.last?.isRefused == false)
    }

    @Test func `nobody is forgotten while leases of the lost generation may be good`() throws {
        let (bench, recovery) = try disaster()
        bench.step(2, .recover(recovery))
        _ = bench.run(atMost: .seconds(5)) { bench.machines[2]?.node?.mayAcquire == true }
        bench.step(2, .forget(LockBench.id(3)))
        bench.run(for: .milliseconds(300))
        #expect(bench.record.forgets.map(\.isRefused) == [true])
    }

    @Test func `voters of the lost generation come back into the new one`() throws {
        let (bench, recovery) = try disaster()
        bench.step(2, .recover(recovery))
        bench.run(for: RecoveryTests.lease)
        for voter in [1, 3] { bench.start(voter) }
        let isBack = bench.run(atMost: .seconds(20)) {
            bench.machines.values.allSatisfy {
                $0.node?.generation == 2 && $0.node?.mayAcquire == true
                    && $0.node?.voters.count == 3
            }
        }
        #expect(isBack)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `the new generation is on disk before anybody hears of it`() throws {
        for survives in [false, true] {
            let (bench, recovery) = try disaster()
            bench.syncTime = .seconds(60)
            bench.step(2, .recover(recovery))
            bench.run(for: .seconds(3))
            #expect(bench.record.generations.isEmpty)
            #expect(bench.machines.values.allSatisfy { $0.node?.isLeader != true })
            bench.syncTime = .microseconds(300)
            bench.crash(2, survivors: survives ? .max : 0)
            bench.start(2)
            bench.run(for: .seconds(3))
            #expect(bench.machines[2]?.node?.generation == (survives ? 2 : 1))
            #expect((bench.machines[2]?.node?.isLeader == true) == survives)
            #expect(bench.record.violations.isEmpty)
        }
    }

    @Test func `a later generation is entered only by those who have lost the earlier one`() throws
    {
        let bench = LockBench(seed: 52)
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        let lie = LockMessage.ofGeneration(9, .redirect(leader: LockBench.id(2))).encoded
        for number in 1...4 { bench.step(number, .received(lie, from: LockBench.id(2))) }
        #expect((1...4).allSatisfy { bench.machines[$0]?.node?.generation == 1 })
        bench.run(for: RecoveryTests.lease * 2)
        #expect(bench.record.lapses == 0)
        #expect(bench.machines[4]?.running.count == 1)
    }

    @Test func `generations are nested once, and the first one is not named`() {
        let inner = LockMessage.leaving
        var writer = ByteWriter()
        writer.byte(10)
        writer.varint(1)
        inner.encode(into: &writer)
        #expect(throws: CodecError.notCanonical) { try LockMessage(decoding: writer.bytes) }
        let nested = LockMessage.ofGeneration(2, .ofGeneration(3, inner))
        #expect(throws: CodecError.malformed) { try LockMessage(decoding: nested.encoded) }
    }

    @Test func `intervals join as single dots do`() {
        var random = SeededGenerator(seed: 8)
        for _ in 0..<300 {
            var whole = BirthIntervals()
            var single = BirthIntervals()
            for _ in 0..<6 {
                let low = random.next() % 30
                let high = low + random.next() % 8
                whole.insert(low...high, of: BootID(1))
                for sequence in low...high {
                    single.insert(BirthDot(origin: BootID(1), sequence: sequence))
                }
            }
            #expect(whole == single)
        }
    }
}
