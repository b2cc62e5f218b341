import Model
import Testing

@testable import Lock
@testable import Raft

/// Bounds of what peers, disks and time can make a lock remember or believe.
@Suite struct HostilePeerTests {
    private static let task = LockBench.task(1)

    private func leader(of bench: LockBench) -> Int {
        bench.machines.values.first { $0.node?.isLeader == true }?.number ?? 0
    }

    // MARK: Lengths

    @Test func `a lease is as long as its bound, and not a nanosecond longer`() throws {
        let longest = LockConfiguration.leaseLengthMax
        let session = SessionID(1)
        func messages(_ length: Duration) -> [[UInt8]] {
            [
                LockMessage.renewed(session, number: 1, leaseLength: length, voters: []).encoded,
                LockMessage.reply(
                    boot: BootID(1), sequence: 1,
                    results: [.opened(kept: [], leaseLength: length)], retryAfter: [.zero]
                ).encoded,
            ]
        }
        for bytes in messages(longest) { _ = try LockMessage(decoding: bytes) }
        for bytes in messages(longest + .nanoseconds(1)) {
            #expect(throws: CodecError.outOfBounds) { try LockMessage(decoding: bytes) }
        }
        let operation = LockOperation.setLeaseLength(longest)
        #expect(try LockOperation(decoding: operation.encoded) == operation)
        #expect(throws: CodecError.outOfBounds) {
            try LockOperation(
                decoding: LockOperation.setLeaseLength(longest + .nanoseconds(1)).encoded)
        }
        #expect(throws: CodecError.outOfBounds) {
            try LockTable(decoding: LockTable(leaseLength: longest + .nanoseconds(1)).encoded)
        }
    }

    // MARK: Clients

    private func request(_ node: UInt64, boot: UInt64, _ sequence: UInt64) -> LockRequest {
        LockRequest(
            client: NodeID(Wide128(high: 1, low: node)), boot: BootID(boot), sequence: sequence,
            operations: [.forget(.none)])
    }

    @Test func `requests of earlier lives are old, as far back as lives are remembered`() {
        var driver = TableDriver()
        let lives = UInt64(LockTable.Client.earlierMax)
        for boot in 0...lives { _ = driver.replay(request(1, boot: boot, 3)) }
        for boot in 0..<lives {
            // The last one is answered as it was, and not applied again.
            #expect(isRepetition(request(1, boot: boot, 3), in: driver.table))
            #expect(driver.replay(request(1, boot: boot, 3)) == [.done])
            #expect(driver.replay(request(1, boot: boot, 2)) == nil)
        }
        #expect(driver.replay(request(1, boot: lives, 3)) != nil)
        // One life more, and the first one is forgotten.
        _ = driver.replay(request(1, boot: lives + 1, 1))
        #expect(driver.replay(request(1, boot: 0, 3)) != nil)
    }

    @Test func `an earlier life that goes on asking is answered`() {
        var driver = TableDriver()
        _ = driver.replay(request(1, boot: 1, 1))
        _ = driver.replay(request(1, boot: 2, 1))
        #expect(driver.replay(request(1, boot: 1, 2)) != nil)
        #expect(isRepetition(request(1, boot: 2, 1), in: driver.table))
        #expect(driver.replay(request(1, boot: 2, 2)) != nil)
        #expect(driver.replay(request(1, boot: 2, 1)) == nil)
    }

    private func isRepetition(_ request: LockRequest, in table: LockTable) -> Bool {
        if case .repeated = table.age(of: request) { true } else { false }
    }

    @Test func `the oldest client without a session goes when there are too many`() throws {
        var driver = TableDriver()
        let first = NodeID(Wide128(high: 1, low: 0))
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: first)
        for node in 1..<UInt64(LockTable.clientsMax) {
            _ = driver.replay(request(node, boot: 1, 1))
        }
        #expect(driver.table.clients.count == LockTable.clientsMax)
        _ = driver.replay(request(1 << 40, boot: 1, 1))
        #expect(driver.table.clients.count == LockTable.clientsMax)
        // The first one has a session, so the second one had to go.
        #expect(driver.table.clients[first] != nil)
        #expect(driver.table.clients[NodeID(Wide128(high: 1, low: 1))] == nil)
        #expect(driver.table.clients[NodeID(Wide128(high: 1, low: 2))] != nil)
        #expect(try LockTable(decoding: driver.table.encoded) == driver.table)
    }

    @Test func `nothing in a snapshot takes more bytes than it is counted for`() {
        let reason = String(repeating: "r", count: TaskOutcome.reasonSizeBytesMax)
        let outcome = TaskOutcome(
            kind: .failed, exit: ExitStatus(code: .min, wasOutOfMemory: true), reason: reason)
        let token = FencingToken(generation: .max, index: .max)
        let claim = ContainerID(
            task: TaskID(Wide128(high: .max, low: .max)), token: token)
        let node = NodeID(Wide128(high: .max, low: .max))
        let results: [LockResult] = [
            .done,
            .opened(
                kept: [claim, claim], leaseLength: LockConfiguration.leaseLengthMax,
                elsewhere: .max),
            .succeeds(SessionID(.max)), .granted(token, AttemptCount(used: .max, failures: .max)),
            .held(node, token, SessionID(.max)),
            .closed(outcome, token), .resting(.seconds(3_600)), .collected, .noSession, .alive,
        ]
        for result in results { #expect(result.encoded.count <= result.sizeBytes) }
        let life = LockTable.Client.Life(
            boot: BootID(.max), sequence: .max, results: results)
        let client = LockTable.Client(
            boot: BootID(.max), sequence: .max, results: results, index: .max,
            earlier: Array(repeating: life, count: LockTable.Client.earlierMax))
        #expect(client.encoded.count + 16 <= client.sizeBytes)
        var births = BirthIntervals()
        for sequence in 0..<100 as Range<UInt64> {
            births.insert(BirthDot(origin: BootID(sequence), sequence: .max - 2 * sequence))
        }
        #expect(births.count == 100)
        #expect(births.encoded.count <= births.sizeBytes)
    }

    @Test func `a table that is full of anything takes no new task`() {
        var driver = TableDriver()
        let node = NodeID(Wide128(high: 1, low: 1))
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        let task = HostilePeerTests.task
        let acquire = LockOperation.acquire(
            AcquireRequest(
                task: task, birth: LockBench.birth(task), restart: .onNodeLoss, onPartition: .rerun),
            SessionID(1))
        driver.table.sizeBytesMax = driver.table.sizeBytes
        #expect(driver.apply([acquire], of: node) == [.resting(LockTable.fullRest)])
        driver.table.sizeBytesMax = driver.table.sizeBytes + 1
        guard case .granted? = driver.apply([acquire], of: node).first else {
            Issue.record("one byte is left")
            return
        }
    }

    // MARK: Disks

    @Test func `a disk that refuses writes does not make the node remember them all`() throws {
        let bench = LockBench(seed: 5)
        bench.found(4)
        let number = leader(of: bench) == 2 ? 3 : 2
        let machine = try #require(bench.machines[number])
        machine.refusesWrites = true
        for round in 1...40 {
            bench.acquire(4, [round])
            bench.run(for: .seconds(1))
        }
        let node = try #require(machine.node)
        #expect(node.unwritten.count < 64)
        // One that is being tried, and one that has come since.
        #expect(node.unwritten.count(where: \.isSessionRow) <= 2)
        // As a voter it was of no use, and so has been replaced; it can't take note of that itself.
        let leader = try #require(bench.machines[leader(of: bench)]?.node)
        #expect(!leader.voters.contains(LockBench.id(number)))
        machine.refusesWrites = false
        #expect(bench.run(atMost: .seconds(5)) { machine.node?.unwritten.isEmpty == true })
        #expect(bench.record.lapses == 0)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a leader whose disk takes nothing in gives way`() throws {
        let bench = LockBench(seed: 5)
        bench.found(4)
        let old = leader(of: bench)
        let machine = try #require(bench.machines[old])
        machine.refusesWrites = true
        var task = 0
        let isReplaced = bench.run(atMost: .seconds(120)) {
            // Every claim is a write; the others commit it without this disk.
            if bench.machines[4]?.asked.isEmpty == true {
                task += 1
                bench.acquire(4, [task])
            }
            return bench.machines.values.contains { $0.node?.isLeader == true && $0.number != old }
        }
        #expect(isReplaced)
        #expect(machine.node?.unwritten.count ?? .max <= LockNode.unwrittenMax + 8)
        machine.refusesWrites = false
        bench.run(for: .seconds(5))
        #expect(bench.machines.values.count { $0.node?.isLeader == true } == 1)
        #expect(bench.record.violations.isEmpty)
    }

    // MARK: Floors

    @Test func `only voters say how far the log is committed, and only with their signature`() {
        for (signer, signature, isBelieved) in [
            (2, LockBench.signature, true), (5, LockBench.signature, false), (2, [8], false),
        ] {
            let bench = LockBench(seed: 6)
            bench.found(5)
            let lie = LockFloor(
                mark: FencingToken(generation: 1, index: 1_000), signer: LockBench.id(signer),
                signature: signature)
            bench.step(4, .received(LockMessage.floor(lie).encoded, from: LockBench.id(5)))
            #expect((bench.machines[4]?.node?.floor == lie) == isBelieved)
        }
    }

    /// A member that is no voter by this node's log may have led since; two must say so.
    @Test func `who starts asks a member that led later, but not on that one's word alone`() {
        func floor(by signer: Int, _ signature: [UInt8] = LockBench.signature) -> [UInt8] {
            let mark = FencingToken(generation: 1, index: 1_000)
            return LockMessage.floor(
                LockFloor(mark: mark, signer: LockBench.id(signer), signature: signature)
            ).encoded
        }
        let bench = LockBench(seed: 6)
        bench.found(6)
        bench.crash(2)
        bench.isolate(2)
        bench.start(2)
        func laterLeaders() -> [NodeID]? { bench.machines[2]?.node?.laterLeaders }
        bench.step(2, .received(floor(by: 5), from: LockBench.id(5)))
        #expect(laterLeaders() == [])
        bench.step(2, .received(floor(by: 6, [8]), from: LockBench.id(5)))
        bench.step(2, .received(floor(by: 9), from: LockBench.id(5)))
        #expect(laterLeaders() == [])
        #expect(bench.machines[2]?.node?.relayedSigners == [LockBench.id(6)])
        bench.step(2, .received(floor(by: 5), from: LockBench.id(4)))
        #expect(laterLeaders() == [LockBench.id(5)])
        // After a lease nobody's word counts but the voters'.
        bench.run(for: .seconds(6))
        #expect(laterLeaders() == [])
        #expect(bench.machines[2]?.node?.relayedSigners == [])
    }

    @Test func `a floor of another generation, or a lower one, changes nothing`() {
        let bench = LockBench(seed: 6)
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .seconds(2))
        let known = bench.machines[4]?.node?.floor
        #expect(known != nil)
        for mark in [FencingToken(generation: 2, index: 1_000), .init(generation: 1, index: 1)] {
            let other = LockFloor(
                mark: mark, signer: LockBench.id(2), signature: LockBench.signature)
            bench.step(4, .received(LockMessage.floor(other).encoded, from: LockBench.id(2)))
            bench.step(4, .floorChecked(other))
        }
        #expect(bench.machines[4]?.node?.floor == known)
        // It outlives the daemon.
        bench.crash(4, survivors: .max)
        bench.start(4)
        #expect(bench.machines[4]?.node?.floor == known)
    }

    @Test func `a signature is as long as its bound, and not a byte longer`() throws {
        func floor(_ count: Int) -> LockMessage {
            .floor(
                LockFloor(
                    mark: FencingToken(generation: 1, index: 1), signer: LockBench.id(1),
                    signature: Array(repeating: 1, count: count)))
        }
        let longest = floor(LockFloor.signatureSizeBytesMax)
        #expect(try LockMessage(decoding: longest.encoded) == longest)
        #expect(throws: CodecError.self) {
            try LockMessage(decoding: floor(LockFloor.signatureSizeBytesMax + 1).encoded)
        }
    }

    @Test func `a voter that has just started waits for what others know, and then votes`() {
        let bench = LockBench(seed: 6)
        bench.found(3)
        for number in 1...3 { bench.crash(number, survivors: .max) }
        bench.run(for: .seconds(1))
        for number in 1...3 { bench.start(number) }
        let quiet = bench.configuration.requestTimeout * LockNode.quietRequests
        bench.run(for: quiet * 0.9)
        #expect(leader(of: bench) == 0)
        #expect(bench.run(atMost: .seconds(4)) { leader(of: bench) != 0 })
        #expect(bench.record.behind.isEmpty)
    }

    @Test func `who does not vote has no log, and does not say that it lacks entries`() {
        let bench = LockBench(seed: 7)
        bench.found(5)
        bench.acquire(5, [1])
        bench.run(for: .seconds(1))
        #expect(bench.machines[5]?.node?.voters.count == 3)
        bench.crash(5, survivors: .max)
        bench.start(5)
        bench.run(for: .seconds(2))
        #expect(bench.machines[5]?.node?.isBehind == true)
        #expect(bench.record.behind.isEmpty)
    }

    @Test func `a voter whose disk is an old copy says so`() {
        let bench = LockBench(seed: 8)
        bench.found(3)
        let old = leader(of: bench)
        let copied = [1, 2, 3].first { $0 != old } ?? 0
        let copy = bench.machines[copied]?.disk
        for task in 1...8 { bench.acquire(old, [task]) }
        bench.run(for: .seconds(1))
        bench.crash(copied)
        bench.machines[copied]?.disk = copy ?? Machine.Disk()
        // It hears how far the log is, and gets none of it.
        bench.filter = { wire, message in
            if case .raft = message, wire.to == copied { return nil }
            return message
        }
        bench.start(copied)
        #expect(bench.run(atMost: .seconds(4)) { bench.record.behind.contains(copied) })
    }

    @Test func `a voter that is behind and was replaced finds the new leader`() throws {
        let bench = LockBench(seed: 6)
        bench.found(5)
        let old = leader(of: bench)
        let away = [1, 2, 3].first { $0 != old } ?? 0
        bench.isolate(away)
        bench.run(for: .seconds(8))
        bench.acquire(5, [1])
        bench.step(old, .yieldLeadership)
        bench.run(for: .seconds(2))
        #expect(![0, old].contains(leader(of: bench)))
        let node = try #require(bench.machines[leader(of: bench)]?.node)
        #expect(!node.engine.members.isVoter(LockBench.id(away)))
        // It hears how far the log is, but gets none of it.
        bench.step(away, .floorChecked(try #require(node.floor)))
        #expect(bench.machines[away]?.node?.isBehind == true)
        bench.heal()
        #expect(bench.run(atMost: .seconds(6)) { bench.machines[away]?.node?.mayAcquire == true })
    }

    // MARK: Identities

    @Test func `a halted voter is silent, and the others go on`() throws {
        let bench = LockBench(seed: 5)
        bench.found(4)
        let old = leader(of: bench)
        bench.step(old, .halt)
        let isReplaced = bench.run(atMost: .seconds(6)) {
            bench.machines.values.contains { $0.node?.isLeader == true && $0.number != old }
        }
        #expect(isReplaced)
        var heard = 0
        bench.filter = { wire, message in
            if case .raft = message, wire.from == old { heard += 1 }
            return message
        }
        bench.acquire(4, [1])
        bench.run(for: .seconds(5))
        #expect(heard == 0)
        #expect(bench.machines[4]?.running[HostilePeerTests.task] != nil)
        #expect(bench.record.violations.isEmpty)
    }

    @Test func `a refusal that an earlier life asked for does not end this one's session`() throws {
        let bench = LockBench(seed: 5)
        bench.found(4)
        bench.acquire(4, [1])
        bench.run(for: .milliseconds(300))
        let machine = try #require(bench.machines[4])
        let session = try #require(machine.session)
        bench.crash(4)
        bench.start(4)
        #expect(machine.node?.session?.id == session)
        let refusal = LockMessage.renewalRefused(session, number: 1).encoded
        bench.step(4, .received(refusal, from: LockBench.id(leader(of: bench))))
        #expect(bench.record.lapses == 0)
        bench.run(for: .seconds(1))
        #expect(machine.running[HostilePeerTests.task] != nil)
    }
}
