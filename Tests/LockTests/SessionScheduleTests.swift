import Model
import Testing

@testable import Lock

/// Restarts, partitions and requests, schedule by schedule.
@Suite struct SessionScheduleTests {
    private static let task = LockBench.task(1)
    private static let lease = LockConfiguration(profile: .local).leaseLength

    private func bench(_ count: Int, claiming tasks: [Int] = [], on number: Int = 1) -> LockBench {
        let bench = LockBench(seed: 21)
        bench.found(count)
        bench.acquire(number, tasks)
        bench.run(for: .milliseconds(300))
        return bench
    }

    private func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    private func entry(_ task: Int, in bench: LockBench) -> LockTable.Entry? {
        bench.machines[leader(of: bench)]?.node?.table.entries[LockBench.task(task)]
    }

    // MARK: Restarts

    @Test func `a daemon that restarts within its lease takes its claims over`() throws {
        let bench = bench(4, claiming: [1, 2], on: 4)
        let machine = try #require(bench.machines[4])
        let token = try #require(machine.running[SessionScheduleTests.task])
        let old = try #require(machine.session)
        bench.crash(4)
        bench.run(for: .seconds(2))
        // The second one ended while nobody looked: it is not named, and so given back.
        machine.running[LockBench.task(2)] = nil
        bench.start(4)
        #expect(machine.node?.session?.id == old)
        bench.run(for: .seconds(1))
        #expect(machine.node?.session != nil && machine.session != old)
        #expect(machine.running == [SessionScheduleTests.task: token])
        guard case .open? = entry(2, in: bench) else {
            Issue.record("what is not named must be free")
            return
        }
        bench.run(for: SessionScheduleTests.lease * 3)
        #expect(machine.running == [SessionScheduleTests.task: token])
        #expect(bench.record.lapses == 0)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `after a restart of the machine no instant of before counts`() throws {
        let bench = bench(4, claiming: [1], on: 4)
        bench.crash(4, isReboot: true)
        bench.run(for: .seconds(1))
        bench.start(4)
        #expect(bench.machines[4]?.node?.session == nil)
        bench.run(for: .seconds(1))
        #expect(bench.machines[4]?.session != nil)
        guard case .open? = entry(1, in: bench) else {
            Issue.record("the claim must be given back")
            return
        }
    }

    @Test func `a daemon that is away for longer than its lease has none when it restarts`() {
        let bench = bench(4, claiming: [1], on: 4)
        bench.crash(4)
        bench.run(for: SessionScheduleTests.lease)
        bench.start(4)
        #expect(bench.machines[4]?.node?.session == nil)
        #expect(bench.machines[4]?.running == [:])
        bench.run(for: .seconds(2))
        #expect(bench.machines[4]?.session != nil)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a node whose disk forgot its session is told, and opens another`() throws {
        let bench = bench(4, claiming: [1], on: 4)
        let machine = try #require(bench.machines[4])
        bench.crash(4)
        machine.disk = Machine.Disk()
        machine.running = [:]
        var openings = 0
        bench.filter = { wire, message in
            if case .request = message, wire.from == 4 { openings += 1 }
            return message
        }
        bench.start(4)
        bench.run(for: .milliseconds(300))
        #expect(machine.session != nil)
        #expect(openings <= 3)
        guard case .open? = entry(1, in: bench) else {
            Issue.record("the claim must be given back")
            return
        }
    }

    @Test func `an opening of an earlier life that arrives late changes nothing`() throws {
        let bench = bench(4)
        let machine = try #require(bench.machines[4])
        var late: [LockBench.Wire] = []
        bench.crash(4)
        bench.filter = { wire, message in
            guard case .request = message, wire.from == 4 else { return message }
            late.append(wire)
            return nil
        }
        bench.start(4)
        bench.run(for: .milliseconds(100))
        bench.crash(4)
        bench.filter = nil
        bench.start(4)
        bench.run(for: .milliseconds(300))
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        let session = try #require(machine.session)
        #expect(machine.running[SessionScheduleTests.task] != nil)
        try #require(!late.isEmpty)
        for wire in late {
            bench.step(leader(of: bench), .received(wire.bytes, from: LockBench.id(4)))
            bench.run(for: .milliseconds(100))
        }
        bench.acquire(leader(of: bench), [1])
        bench.run(for: .seconds(1))
        #expect(machine.session == session)
        #expect(bench.record.grants == 1)
        #expect(bench.record.violations.isEmpty)
    }

    // MARK: Policies

    @Test func `a claim that waits outlives its session, until its node is back`() throws {
        let bench = LockBench(seed: 21)
        bench.partitionPolicies[SessionScheduleTests.task] = .wait
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        let token = try #require(bench.machines[4]?.running[SessionScheduleTests.task])
        bench.isolate(4)
        bench.run(for: SessionScheduleTests.lease * 3)
        #expect(bench.record.gone.count == 1)
        bench.acquire(leader(of: bench), [1])
        bench.run(for: .milliseconds(300))
        // Nobody knows when it ends: the hint must not send others round in circles.
        #expect(
            bench.record.denials.last
                == .heldBy(LockBench.id(4), token, retryAfter: SessionScheduleTests.lease))
        bench.heal()
        bench.run(for: .seconds(3))
        #expect(bench.machines[4]?.running == [SessionScheduleTests.task: token])
        bench.close(4, SessionScheduleTests.task)
        bench.run(for: .milliseconds(300))
        #expect(bench.record.outcomes[SessionScheduleTests.task]?.kind == .complete)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `forgetting a node frees what waits for it, and is refused while it lives`() {
        let bench = LockBench(seed: 21)
        bench.partitionPolicies[SessionScheduleTests.task] = .wait
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        let asker = leader(of: bench) == 2 ? 3 : 2
        bench.step(asker, .forget(LockBench.id(4)))
        bench.run(for: .milliseconds(300))
        guard case .held? = entry(1, in: bench) else {
            Issue.record("its session lives")
            return
        }
        bench.crash(4, isReboot: true)
        bench.run(for: SessionScheduleTests.lease * 2)
        bench.step(asker, .forget(LockBench.id(4)))
        bench.run(for: .milliseconds(300))
        bench.acquire(asker, [1])
        bench.run(for: .milliseconds(300))
        #expect(bench.record.grants == 2)
    }

    @Test func `a task that may not run again ends as lost when its node is`() {
        let bench = LockBench(seed: 21)
        bench.restartPolicies[SessionScheduleTests.task] = .never
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        bench.crash(4, isReboot: true)
        bench.run(for: SessionScheduleTests.lease * 2)
        #expect(bench.record.outcomes[SessionScheduleTests.task]?.kind == .lost)
        bench.acquire(1, [1])
        bench.run(for: .milliseconds(300))
        #expect(bench.record.grants == 1)
    }

    // MARK: Requests

    @Test func `a request whose answers get lost is applied once`() throws {
        let bench = bench(4)
        let leader = leader(of: bench)
        var lost = 0
        bench.filter = { wire, message in
            guard case .reply = message, wire.to == 4, lost < 3 else { return message }
            lost += 1
            return nil
        }
        let before = try #require(bench.machines[leader]?.node?.appliedIndex)
        bench.acquire(4, [1, 2])
        let isGranted = bench.run(atMost: .seconds(5)) { bench.machines[4]?.running.count == 2 }
        #expect(isGranted)
        #expect(lost == 3)
        #expect(bench.machines[leader]?.node?.appliedIndex == before + 1)
    }

    @Test func `a request survives the leader that took it`() throws {
        let bench = bench(5)
        let leader = leader(of: bench)
        bench.filter = { _, message in if case .reply = message { nil } else { message } }
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(100))
        bench.crash(leader)
        bench.filter = nil
        let isGranted = bench.run(atMost: .seconds(5)) { bench.machines[4]?.running.count == 1 }
        #expect(isGranted)
        #expect(bench.record.grants == 1)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `what waits behind a request goes into one entry`() throws {
        let bench = bench(4)
        let node = try #require(bench.machines[leader(of: bench)]?.node)
        for task in 1...40 { bench.acquire(4, [task]) }
        bench.run(for: .milliseconds(300))
        #expect(bench.machines[4]?.running.count == 40)
        // The first one alone, the thirty-nine others together.
        #expect(bench.machines[leader(of: bench)]?.node?.appliedIndex == node.appliedIndex + 2)
    }

    @Test func `sixty-four claims are one entry, and one more are two`() throws {
        for (count, entries) in [(64, 1), (65, 2)] as [(Int, UInt64)] {
            let bench = bench(1)
            let before = try #require(bench.machines[1]?.node?.appliedIndex)
            bench.acquire(1, Array(1...64))
            if count > 64 { bench.acquire(1, [65]) }
            bench.run(for: .milliseconds(100))
            #expect(bench.machines[1]?.running.count == count)
            #expect(bench.machines[1]?.node?.appliedIndex == before + entries)
        }
    }

    @Test func `a batch of more than sixty-four tasks is our own bug`() async {
        await #expect(processExitsWith: .failure) {
            let bench = LockBench(seed: 1)
            bench.found(1)
            bench.acquire(1, Array(1...65))
        }
    }

    @Test func `a claim costs a way to the leader and back, and one round of appends`() {
        let bench = bench(3)
        let asker = leader(of: bench) == 2 ? 3 : 2
        let begin = bench.now
        bench.acquire(asker, [1])
        let isGranted = bench.run(atMost: .seconds(1)) { bench.machines[asker]?.running.count == 1 }
        #expect(isGranted)
        // Four ways of at most twice the delay, and one write of a follower.
        let atMost = bench.delay * 8 + bench.syncTime
        #expect(Duration.nanoseconds(bench.now - begin) <= atMost + .microseconds(1))
    }

    @Test func `a queue that is full denies claims, and forgets the rest`() throws {
        let bench = bench(2)
        bench.isolate(2)
        bench.acquire(2, [1])
        bench.acquire(2, Array(2...3))
        let claim = ContainerID(task: SessionScheduleTests.task, token: .zero)
        let room = LockConfiguration.queueMax - 2
        for _ in 0..<room { bench.step(2, .release(claim.task, claim.token, notBefore: .zero)) }
        #expect(bench.machines[2]?.node?.client.queue.count == LockConfiguration.queueMax)
        bench.step(2, .release(claim.task, claim.token, notBefore: .zero))
        #expect(bench.machines[2]?.node?.client.queue.count == LockConfiguration.queueMax)
        bench.acquire(2, [4])
        #expect(bench.record.denials == [.notBefore(bench.configuration.requestTimeout)])
    }

    @Test func `redirects are followed so often, and then the time-out is awaited`() throws {
        let bench = bench(4)
        bench.isolate(4)
        var asked = 0
        bench.acquire(4, [1])
        var last = try #require(bench.machines[4]?.node?.client.inflight?.asked.last)
        bench.heal()
        bench.filter = { wire, message in
            guard case .request = message, wire.from == 4 else { return nil }
            asked += 1
            last = LockBench.id(wire.to)
            return nil
        }
        for count in 1...LockClient.redirectsMax + 1 {
            let next = LockBench.id(1 + LockBench.number(last) % 3)
            let other = LockMessage.redirect(leader: next).encoded
            bench.step(4, .received(other, from: last))
            #expect(asked == min(count, LockClient.redirectsMax))
        }
    }
}
