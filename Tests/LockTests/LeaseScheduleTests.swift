import Model
import Testing

@testable import Lock
@testable import Raft

/// Leases, schedule by schedule; `Docs/Safety.md` names the rule that each one tests.
@Suite struct LeaseScheduleTests {
    private static let task = LockBench.task(1)
    /// The profile's lease, and how long holder and leader take it to be.
    private static let lease = LockConfiguration(profile: .local).leaseLength
    private static let holderLease = LockConfiguration.holderLease(lease)
    private static let leaderLease = LockConfiguration.leaderLease(lease)

    private func bench(_ count: Int, mutation: LockMutation? = nil) -> LockBench {
        var configuration = LockConfiguration(profile: .local)
        configuration.mutation = mutation
        let bench = LockBench(seed: 11, configuration: configuration)
        bench.found(count)
        return bench
    }

    private func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    private func messages(
        _ bench: LockBench, keep isKept: @escaping (LockMessage) -> Bool
    ) -> Capture {
        let capture = Capture()
        bench.filter = { wire, message in
            guard isKept(message) else { return message }
            capture.wires.append(wire)
            return nil
        }
        return capture
    }

    /// Messages that a filter took out of the network.
    final class Capture {
        var wires: [LockBench.Wire] = []
    }

    // MARK: The holder's side

    @Test func `the holder counts from sending, however late the answer comes`() throws {
        let bench = bench(4)
        let machine = try #require(bench.machines[4])
        let sent = machine.local(bench.now)
        let leader = leader(of: bench)
        bench.detours = [
            LockBench.Cut(from: 4, to: leader): .milliseconds(700),
            LockBench.Cut(from: leader, to: 4): .milliseconds(700),
        ]
        bench.run(for: .seconds(10))
        // Renewals go on; each lease ends a holder's lease after its sending.
        let until = try #require(machine.node?.session?.leaseUntil)
        #expect(until > sent + LeaseScheduleTests.holderLease)
        #expect(
            until <= machine.local(bench.now) + LeaseScheduleTests.holderLease
                - .milliseconds(1_400))
        #expect(bench.record.lapses == 0)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a session whose opening was answered too late is dead on arrival`() throws {
        let bench = bench(1)
        let replies = messages(bench) { if case .reply = $0 { true } else { false } }
        bench.add(2)
        bench.run(for: LeaseScheduleTests.lease)
        let machine = try #require(bench.machines[2])
        let lapses = bench.record.lapses
        let reply = try #require(replies.wires.first)
        bench.filter = nil
        bench.step(2, .received(reply.bytes, from: LockBench.id(1)))
        #expect(bench.record.lapses == lapses + 1)
        #expect(machine.session == nil)
        #expect(bench.run(atMost: .seconds(3)) { machine.session != nil })
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a lapsed session is dead for good, whatever arrives late`() throws {
        let bench = bench(3)
        let number = leader(of: bench) == 3 ? 2 : 3
        let machine = try #require(bench.machines[number])
        let first = try #require(machine.session)
        let answers = messages(bench) {
            if case .renewed = $0 { true } else if case .reply = $0 { true } else { false }
        }
        bench.acquire(number, [1])
        bench.run(for: LeaseScheduleTests.lease)
        #expect(machine.node?.session == nil)
        // Late renewals and a late grant: none of them brings the session back.
        let mine = answers.wires.filter { $0.to == number }
        #expect(mine.count >= 2)
        for wire in mine {
            bench.step(number, .received(wire.bytes, from: LockBench.id(wire.from)))
        }
        #expect(machine.node?.session?.id != first)
        #expect(machine.running.isEmpty)
        bench.filter = nil
        #expect(bench.run(atMost: .seconds(8)) { machine.session != nil })
        #expect(machine.session != first)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `an answer that is handled after the deadline finds the lease over`() throws {
        let bench = bench(3)
        let number = leader(of: bench) == 3 ? 2 : 3
        let machine = try #require(bench.machines[number])
        bench.step(number, .deadlineReached)
        bench.acquire(number, [1])
        // The machine stands still; the grant and the deadline await it.
        machine.frozenUntil = bench.now + LeaseScheduleTests.lease.nanoseconds
        bench.run(for: LeaseScheduleTests.lease)
        bench.run(for: .seconds(1))
        #expect(machine.running.isEmpty)
        #expect(bench.record.lapses == 1)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a grant that a new session does not keep is not passed on`() throws {
        let bench = bench(1)
        let machine = try #require(bench.machines[1])
        bench.acquire(1, [1])
        bench.openSession(1)
        bench.run(for: .seconds(1))
        #expect(bench.record.grants == 0)
        #expect(machine.running.isEmpty)
        #expect(bench.record.denials == [.noSession])
        bench.acquire(1, [1])
        bench.run(for: .seconds(1))
        #expect(bench.record.grants == 1)
    }

    @Test func `a halted node lets its lease lapse and opens no other session`() throws {
        let bench = bench(1)
        let machine = try #require(bench.machines[1])
        bench.step(1, .halt)
        bench.run(for: LeaseScheduleTests.lease * 2)
        #expect(bench.record.lapses == 1)
        #expect(machine.node?.session == nil)
        bench.acquire(1, [1])
        #expect(bench.record.denials == [.noSession])
    }

    // MARK: The leader's side

    /// The leader is frozen and deposed; a holder that hears only the old one sends a renewal,
    /// which the old leader answers on waking, before it knows.
    private func renewWithDeposedLeader(mutation: LockMutation?) throws -> LockBench {
        let bench = bench(4, mutation: mutation)
        let old = leader(of: bench)
        let machine = try #require(bench.machines[old])
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(200))
        #expect(bench.machines[4]?.running[LeaseScheduleTests.task] != nil)
        for number in [4, old] { bench.cut(number, from: [1, 2, 3].filter { $0 != old }) }
        bench.deathAfter = .seconds(60)
        machine.frozenUntil = bench.now + 3_300_000_000
        bench.run(for: .seconds(3))
        // Both believe in themselves; the old one has not had the time to learn better.
        #expect(bench.machines.values.count { $0.node?.isLeader == true } == 2)
        bench.run(for: .seconds(8))
        return bench
    }

    @Test func `a deposed leader answers no renewal`() throws {
        let bench = try renewWithDeposedLeader(mutation: nil)
        #expect(bench.record.violations.isEmpty)
        #expect(bench.record.lapses >= 1)
        #expect(!bench.record.gone.isEmpty)
    }

    @Test func `a renewal that is answered without asking a majority is noticed`() throws {
        let bench = try renewWithDeposedLeader(mutation: .renewsUnconfirmed)
        #expect(!bench.record.violations.isEmpty)
    }

    @Test func `renewals are refused from the moment when the expiry is proposed`() throws {
        let bench = bench(4)
        let leader = leader(of: bench)
        let machine = try #require(bench.machines[4])
        let session = try #require(machine.session)
        bench.isolate(4)
        // The expiry is proposed, and can't be committed: followers get no entries any more.
        bench.filter = { _, message in
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
        let isProposed = bench.run(atMost: .seconds(8)) {
            bench.machines[leader]?.node?.leadership?.expiring.contains(session) == true
        }
        try #require(isProposed)
        #expect(bench.record.gone.isEmpty)
        bench.heal()
        var refusals = 0
        let entriesBlocked = bench.filter
        bench.filter = { wire, message in
            if case .renewalRefused(session, _) = message { refusals += 1 }
            if case .renewed(session, _, _, _) = message { Issue.record("must be refused") }
            return entriesBlocked?(wire, message)
        }
        let late = LockMessage.renew(session, number: 1_000).encoded
        bench.step(leader, .received(late, from: LockBench.id(4)))
        bench.run(for: .milliseconds(50))
        #expect(refusals == 1)
        bench.filter = nil
        #expect(bench.run(atMost: .seconds(2)) { bench.record.gone[session] != nil })
    }

    /// A holder dies, then the leader, just before it would expire the holder's session.
    private func failOver(
        mutation: LockMutation?
    ) throws -> (bench: LockBench, session: SessionID, elected: Int64) {
        let bench = bench(5, mutation: mutation)
        let old = leader(of: bench)
        let session = try #require(bench.machines[4]?.session)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(200))
        bench.isolate(4)
        bench.run(for: LeaseScheduleTests.lease - .milliseconds(1_200))
        bench.crash(old)
        let isElected = bench.run(atMost: .seconds(3)) { leader(of: bench) != 0 }
        try #require(isElected)
        return (bench, session, bench.now)
    }

    @Test func `a new leader waits a whole lease before it expires anyone`() throws {
        let (bench, session, elected) = try failOver(mutation: nil)
        #expect(bench.run(atMost: .seconds(8)) { bench.record.gone[session] != nil })
        let waited = Duration.nanoseconds((bench.record.gone[session] ?? 0) - elected)
        #expect(waited >= LeaseScheduleTests.leaderLease * 0.99)
        #expect(waited <= LeaseScheduleTests.leaderLease + .seconds(1))
        #expect(bench.record.violations.isEmpty)
        // Only then the task is anybody's.
        bench.acquire(leader(of: bench), [1])
        bench.run(for: .milliseconds(200))
        #expect(bench.record.grants == 2)
    }

    @Test func `a leader that expires without waiting is noticed`() throws {
        let (bench, _, _) = try failOver(mutation: .expiresAtOnce)
        bench.run(for: .seconds(3))
        #expect(!bench.record.violations.isEmpty)
    }

    @Test func `a denial says when the holder's lease ends at the earliest`() throws {
        let bench = bench(3)
        bench.acquire(2, [1])
        bench.run(for: .milliseconds(200))
        bench.acquire(3, [1])
        bench.run(for: .milliseconds(200))
        guard case .heldBy(let node, _, let retryAfter)? = bench.record.denials.last else {
            Issue.record("the task is held")
            return
        }
        #expect(node == LockBench.id(2))
        #expect(retryAfter > .seconds(3) && retryAfter <= LeaseScheduleTests.leaderLease)
    }

    @Test func `nodes without a vote keep their leases when the leader dies`() {
        let bench = bench(5)
        let old = leader(of: bench)
        bench.crash(old)
        bench.run(for: .seconds(20))
        #expect(bench.record.lapses == 0)
        for number in 1...5 where number != old {
            #expect(bench.machines[number]?.session != nil)
        }
    }

    @Test func `clocks that differ by almost twice the bound break no lease`() {
        for (fast, slow) in [(1, 4), (4, 1)] {
            let bench = LockBench(seed: 3)
            for number in 1...4 {
                let drift = number == fast ? 0.0099 : number == slow ? -0.0099 : 0
                bench.add(number, drift: drift)
            }
            bench.run(for: .seconds(4))
            bench.acquire(4, [1])
            bench.run(for: .seconds(1))
            bench.isolate(4)
            bench.run(for: .seconds(15))
            #expect(bench.record.gone.count == 1)
            #expect(bench.record.violations.isEmpty)
        }
    }
    @Test(arguments: [(leader: 0.1, holder: -0.1), (leader: -0.1, holder: 0.1)])
    func `beyond the bound a lease may be broken, if the leader's clock is the fast one`(
        drift: (leader: Double, holder: Double)
    ) {
        let bench = LockBench(seed: 3)
        for number in 1...3 { bench.add(number, drift: drift.leader) }
        bench.add(4, drift: drift.holder)
        bench.run(for: .seconds(5))
        bench.acquire(4, [1])
        bench.run(for: .seconds(1))
        bench.isolate(4)
        bench.run(for: .seconds(15))
        #expect(bench.record.gone.count == 1)
        // No promise: this is what the assumption on clocks is there for.
        #expect(bench.record.violations.isEmpty == (drift.leader < 0))
    }
}
