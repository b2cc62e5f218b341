import Model
import Testing

@testable import Lock

/// The replicated table: each command on each state of an entry.
@Suite struct LockTableTests {
    private let node = NodeID(Wide128(high: 1, low: 1))
    private let other = NodeID(Wide128(high: 2, low: 2))
    private let task = TaskID(Wide128(high: 7, low: 7))
    private let birth = BirthDot(origin: BootID(5), sequence: 1)

    /// A table with a session of each node: 1 and 2.
    private func table() -> Driver {
        var driver = Driver()
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        driver.apply([.openSession(SessionID(2), keeping: [], after: nil)], of: other)
        return driver
    }

    private func acquire(
        _ session: UInt64, restart: RestartPolicy = .onNodeLoss,
        onPartition: PartitionPolicy = .rerun
    ) -> LockOperation {
        .acquire(
            AcquireRequest(task: task, birth: birth, restart: restart, onPartition: onPartition),
            SessionID(session))
    }

    /// Applies operations as entries with rising indices.
    struct Driver {
        var table = LockTable(leaseLength: .seconds(5))
        var index: UInt64 = 0
        var notices: [LockTable.Notice] = []
        var clock: UInt64 = 0

        @discardableResult
        mutating func apply(_ operations: [LockOperation], of client: NodeID) -> [LockResult] {
            index += 1
            let request = LockRequest(
                client: client, boot: BootID(client.value.low), sequence: index,
                operations: operations)
            return replay(request) ?? []
        }

        mutating func replay(_ request: LockRequest) -> [LockResult]? {
            index += 1
            var heard: [LockTable.Notice] = []
            defer { notices += heard }
            return table.apply(
                LockEntryPayload(stamp: clock, request: request), index: index
            ) { heard.append($0) }
        }
    }

    @Test func `a free task is granted, and nobody else gets it`() throws {
        var driver = table()
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            Issue.record("the claim must be granted")
            return
        }
        let answer1 = driver.apply([acquire(2)], of: other)
        #expect(answer1 == [.held(node, token, SessionID(1))])
        let answer2 = driver.apply([acquire(1)], of: node)
        #expect(answer2 == [.granted(token, .first)])
    }

    @Test func `tokens rise from claim to claim`() {
        var driver = table()
        var last = FencingToken.zero
        for _ in 0..<5 {
            guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
                Issue.record("the claim must be granted")
                return
            }
            #expect(token > last)
            last = token
            driver.apply(
                [.release(ContainerID(task: task, token: token), notBefore: .zero)], of: node)
        }
    }

    @Test func `a session of another node can't be claimed for`() {
        var driver = table()
        let answer3 = driver.apply([acquire(1)], of: other)
        #expect(answer3 == [.noSession])
        let answer4 = driver.apply([acquire(9)], of: node)
        #expect(answer4 == [.noSession])
    }

    @Test func `the first close stands`() {
        var driver = table()
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            return
        }
        let complete = TaskOutcome(kind: .complete, exit: ExitStatus(code: 0))
        let answer5 = driver.apply([.close(task, token, complete, birth: nil)], of: node)
        #expect(answer5 == [.closed(complete, token)])
        let canceled = TaskOutcome(kind: .canceled)
        let answer6 = driver.apply([.close(task, nil, canceled, birth: birth)], of: other)
        #expect(answer6 == [.closed(complete, token)])
        let answer7 = driver.apply([acquire(2)], of: other)
        #expect(answer7 == [.closed(complete, token)])
    }

    @Test func `a held task can't be closed by anybody else`() {
        var driver = table()
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            return
        }
        let canceled = TaskOutcome(kind: .canceled)
        let answer8 = driver.apply([.close(task, nil, canceled, birth: birth)], of: other)
        #expect(answer8 == [.held(node, token, SessionID(1))])
        let answer9 = driver.apply([.close(task, token, canceled, birth: nil)], of: other)
        #expect(answer9 == [.noSession])
    }

    @Test func `a released task rests as long as its holder asked`() {
        var driver = table()
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            return
        }
        driver.apply(
            [.release(ContainerID(task: task, token: token), notBefore: .seconds(2))], of: node)
        let answer10 = driver.apply([acquire(2)], of: other)
        #expect(answer10 == [.resting(.seconds(2))])
        driver.clock = 2_000_000_000
        guard case .granted? = driver.apply([acquire(2)], of: other).first else {
            Issue.record("the rest is over")
            return
        }
    }

    @Test func `an expired session frees, ends or keeps its claims by their policies`() {
        for (restart, partition) in [
            (RestartPolicy.onNodeLoss, PartitionPolicy.rerun), (.never, .rerun),
            (.onNodeLoss, .wait),
        ] {
            var driver = table()
            guard
                case .granted(let token, _) = driver.apply(
                    [acquire(1, restart: restart, onPartition: partition)], of: node
                ).first
            else { return }
            driver.apply([.expireSession(SessionID(1))], of: .none)
            let result = driver.apply([acquire(2)], of: other).first
            switch (restart, partition) {
            case (.never, _):
                guard case .closed(let outcome, token)? = result else {
                    Issue.record("the task must be lost: \(String(describing: result))")
                    return
                }
                #expect(outcome.kind == .lost)
            case (_, .wait): #expect(result == .held(node, token, SessionID(1)))
            default:
                guard case .granted(let next, _)? = result else {
                    Issue.record("the task must be free")
                    return
                }
                #expect(next > token)
            }
            let answer11 = driver.apply([acquire(1)], of: node)
            #expect(answer11 == [.noSession])
        }
    }

    @Test func `a restarted node keeps the claims that it names, and loses the others`() {
        var driver = table()
        let second = TaskID(Wide128(high: 8, low: 8))
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            return
        }
        driver.apply(
            [
                .acquire(
                    AcquireRequest(
                        task: second, birth: BirthDot(origin: BootID(5), sequence: 2),
                        restart: .onNodeLoss, onPartition: .rerun), SessionID(1))
            ], of: node)
        let kept = ContainerID(task: task, token: token)
        let stale = ContainerID(task: second, token: .zero)
        let answer12 = driver.apply(
            [.openSession(SessionID(3), keeping: [kept, stale], after: SessionID(1))], of: node)
        #expect(answer12 == [.opened(kept: [kept], leaseLength: .seconds(5))])
        let answer13 = driver.apply([acquire(2)], of: other)
        #expect(answer13 == [.held(node, token, SessionID(3))])
        let answer14 = driver.apply([.expireSession(SessionID(1))], of: .none)
        #expect(answer14 == [.noSession])
    }

    @Test func `a waiting claim is freed by forgetting its node, not while its session lives`() {
        var driver = table()
        driver.apply([acquire(1, onPartition: .wait)], of: node)
        let answer15 = driver.apply([.forget(node)], of: other)
        #expect(answer15 == [.alive])
        driver.apply([.expireSession(SessionID(1))], of: .none)
        let answer16 = driver.apply([.forget(node)], of: other)
        #expect(answer16 == [.done])
        guard case .granted? = driver.apply([acquire(2)], of: other).first else {
            Issue.record("the task must be free")
            return
        }
    }

    @Test func `a repeated request gives the first answer, and an older one none`() {
        var driver = table()
        let first = LockRequest(
            client: node, boot: BootID(77), sequence: 1, operations: [acquire(1)])
        let answer = driver.replay(first)
        let before = driver.table
        let answer17 = driver.replay(first)
        #expect(answer17 == answer)
        #expect(driver.table == before)
        _ = driver.replay(
            LockRequest(client: node, boot: BootID(77), sequence: 2, operations: []))
        let answer18 = driver.replay(first)
        #expect(answer18 == nil)
    }

    /// Found with `simulate run --faults clone,…`: a copy of the node was listened to for a while, and
    /// the node asked in vain for what the lock had done for it before.
    @Test func `an earlier life that goes on hears its last answer, too`() {
        var driver = table()
        let first = LockRequest(
            client: node, boot: BootID(70), sequence: 3, operations: [acquire(1)])
        let answer = driver.replay(first)
        #expect(answer != nil)
        for boot in 71...(70 + UInt64(LockTable.Client.earlierMax)) {
            _ = driver.replay(
                LockRequest(client: node, boot: BootID(boot), sequence: 1, operations: []))
            let again = driver.replay(first)
            #expect(again == answer)
        }
        var older = first
        older.sequence = 2
        let toOlder = driver.replay(older)
        #expect(toOlder == nil)
        var newer = first
        newer.sequence = 4
        newer.operations = []
        let toNewer = driver.replay(newer)
        #expect(toNewer == [])
        let toFirst = driver.replay(first)
        #expect(toFirst == nil)
    }

    @Test func `a collected task is never granted again`() {
        var driver = table()
        guard case .granted(let token, _) = driver.apply([acquire(1)], of: node).first else {
            return
        }
        driver.apply([.close(task, token, TaskOutcome(kind: .complete), birth: nil)], of: node)
        driver.apply([.collect([birth])], of: .none)
        #expect(driver.table.entries.isEmpty)
        let answer19 = driver.apply([acquire(2)], of: other)
        #expect(answer19 == [.collected])
    }

    @Test func `the snapshot is canonical, and no damage traps its decoder`() throws {
        var driver = table()
        driver.apply([acquire(1, onPartition: .wait)], of: node)
        driver.apply([.expireSession(SessionID(1)), .collect([birth])], of: .none)
        let bytes = driver.table.encoded
        let copy = try LockTable(decoding: bytes)
        #expect(copy.encoded == bytes)
        #expect(copy.waiting == driver.table.waiting)
        for count in 0..<bytes.count {
            #expect(throws: CodecError.self) { try LockTable(decoding: bytes.prefix(count)) }
        }
        for position in bytes.indices {
            var flipped = bytes
            flipped[position] ^= 0x41
            _ = try? LockTable(decoding: flipped)
        }
    }

    @Test func `requests carry as many operations as their bound, and not one more`() throws {
        let operations = Array(
            repeating: LockOperation.forget(node), count: LockConfiguration.operationsMax)
        let full = LockRequest(client: node, boot: BootID(1), sequence: 1, operations: operations)
        #expect(try LockRequest(decoding: full.encoded) == full)
        var over = full
        over.operations.append(.forget(node))
        #expect(throws: CodecError.outOfBounds) { try LockRequest(decoding: over.encoded) }
    }
}

@Suite struct BirthIntervalsTests {
    @Test func `it holds what was inserted, in as few intervals as possible`() {
        var generator = SeededGenerator(seed: 3)
        var set = BirthIntervals()
        var plain: Set<UInt64> = []
        for _ in 0..<400 {
            let sequence = UInt64.random(in: 1...300, using: &generator)
            set.insert(BirthDot(origin: BootID(1), sequence: sequence))
            plain.insert(sequence)
        }
        for sequence in 0...301 as ClosedRange<UInt64> {
            #expect(
                set.contains(BirthDot(origin: BootID(1), sequence: sequence))
                    == plain.contains(sequence))
        }
        let runs = plain.filter { !plain.contains($0 - 1) }.count
        #expect(set.count == runs)
    }
}
