import Model
import Testing

@testable import Lock

/// Laws of the table over random commands: deterministic, canonical, rising tokens, nothing odd.
@Suite struct TableLawTests {
    /// Random commands of three nodes and a leader on six tasks.
    struct Source {
        var random: SeededGenerator
        var lastSessions: [NodeID: SessionID] = [:]
        var tokens: [TaskID: FencingToken] = [:]
        let nodes = (1...3).map { NodeID(Wide128(high: 1, low: $0)) }
        let tasks = (1...6).map { TaskID(Wide128(high: 7, low: $0)) }

        init(seed: UInt64) { random = SeededGenerator(seed: seed) }

        mutating func operations() -> (NodeID, [LockOperation]) {
            let node = nodes.randomElement(using: &random) ?? .none
            if random.next() % 5 == 0 { return (.none, [own()]) }
            return (node, (0...random.next() % 4).map { _ in command(of: node) })
        }

        private mutating func own() -> LockOperation {
            let session = lastSessions.values.sorted().randomElement(using: &random)
            switch random.next() % 5 {
            case 0..<3: return .expireSession(session ?? SessionID(1))
            case 3: return .setLeaseLength(.seconds(Int64(1 + random.next() % 9)))
            default: return .collect([birth(of: task())])
            }
        }

        private mutating func task() -> TaskID {
            tasks.randomElement(using: &random) ?? TaskID(Wide128(high: 7, low: 1))
        }

        private func birth(of task: TaskID) -> BirthDot {
            BirthDot(origin: BootID(9), sequence: task.value.low)
        }

        private mutating func command(of node: NodeID) -> LockOperation {
            let task = task()
            let token = tokens[task] ?? .zero
            let outcome = TaskOutcome(kind: .complete)
            switch random.next() % 12 {
            case 0..<5:
                return .acquire(
                    AcquireRequest(
                        task: task, birth: birth(of: task),
                        restart: random.next() % 4 == 0 ? .never : .onNodeLoss,
                        onPartition: random.next() % 4 == 0 ? .wait : .rerun),
                    lastSessions[node] ?? SessionID(77))
            case 5..<8:
                return .release(
                    ContainerID(task: task, token: token),
                    notBefore: .milliseconds(Int64(random.next() % 50)))
            case 8: return .close(task, token, outcome, birth: nil)
            case 9 where random.next() % 8 == 0:
                return .close(task, nil, outcome, birth: birth(of: task))
            case 10: return .forget(nodes.randomElement(using: &random) ?? .none)
            default: return opening(of: node)
            }
        }

        private mutating func opening(of node: NodeID) -> LockOperation {
            let named = random.next() % 8 == 0 ? SessionID(5) : lastSessions[node]
            let session = SessionID(random.next())
            let kept = tasks.filter { _ in random.next() % 2 == 0 }.map {
                ContainerID(task: $0, token: tokens[$0] ?? .zero)
            }
            return .openSession(session, keeping: kept, after: named)
        }
    }

    @Test(arguments: 0..<30)
    func `the same entries make the same table, from a snapshot too`(seed: Int) throws {
        var source = Source(seed: UInt64(seed))
        var first = TableDriver()
        var second = TableDriver()
        for step in 0..<300 {
            let (client, operations) = source.operations()
            first.clock += source.random.next() % 20_000_000
            second.clock = first.clock
            let answers = first.apply(operations, of: client)
            let again = second.apply(operations, of: client)
            #expect(answers == again)
            note(answers, to: operations, by: client, in: &source)
            let bytes = first.table.encoded
            #expect(first.table.problems == [])
            #expect(second.table.encoded == bytes)
            if step % 7 == 0 {
                second.table = try LockTable(decoding: bytes)
                #expect(second.table == first.table)
            }
        }
        #expect(first.notices == second.notices)
    }

    /// Tokens rise per task, and no close is ever undone.
    private func note(
        _ answers: [LockResult], to operations: [LockOperation], by node: NodeID,
        in source: inout Source
    ) {
        for (answer, operation) in zip(answers, operations) {
            switch (operation, answer) {
            case (.openSession(let session, _, _, _), .opened):
                source.lastSessions[node] = session
            case (.acquire(let request, _), .granted(let token, _)):
                let last = source.tokens[request.task] ?? .zero
                #expect(token >= last, "a token fell")
                source.tokens[request.task] = token
            default: break
            }
        }
    }

    @Test func `one entry grants several tasks under one index, each above its last token`() {
        var driver = TableDriver()
        let node = NodeID(Wide128(high: 1, low: 1))
        let tasks = (1...64).map { TaskID(Wide128(high: 7, low: $0)) }
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        var last: [TaskID: FencingToken] = [:]
        for _ in 0..<3 {
            let answers = driver.apply(tasks.map { acquire($0) }, of: node)
            for (task, answer) in zip(tasks, answers) {
                guard case .granted(let token, _) = answer else {
                    Issue.record("\(task) must be granted")
                    return
                }
                #expect(token.index == driver.index)
                #expect(token > last[task] ?? .zero)
                last[task] = token
            }
            driver.apply(
                tasks.map {
                    .release(ContainerID(task: $0, token: last[$0] ?? .zero), notBefore: .zero)
                }, of: node)
        }
    }

    @Test func `a token is not granted twice within one entry`() {
        var driver = TableDriver()
        let node = NodeID(Wide128(high: 1, low: 1))
        let task = TaskID(Wide128(high: 7, low: 1))
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        // `replay` counts once more: a node that guesses the index of its own entry.
        let guess = FencingToken(generation: 1, index: driver.index + 2)
        let answers = driver.apply(
            [
                acquire(task), .release(ContainerID(task: task, token: guess), notBefore: .zero),
                acquire(task),
            ], of: node)
        #expect(answers == [.granted(guess, .first), .done, .resting(.zero)])
    }

    private func acquire(_ task: TaskID) -> LockOperation {
        .acquire(
            AcquireRequest(
                task: task, birth: BirthDot(origin: BootID(9), sequence: task.value.low),
                restart: .onNodeLoss, onPartition: .rerun), SessionID(1))
    }

    // MARK: Bounds

    @Test func `a full table takes no new task, and lets go of its old ones`() {
        var driver = TableDriver()
        let node = NodeID(Wide128(high: 1, low: 1))
        let tasks = (1...3).map { TaskID(Wide128(high: 7, low: $0)) }
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        // Room for exactly two: below the bound at the second, at it for the third.
        driver.table.entriesSizeBytesMax = 2 * 80
        let answers = driver.apply(tasks.map { acquire($0) }, of: node)
        let token = FencingToken(generation: 1, index: driver.index)
        #expect(
            answers == [
                .granted(token, .first), .granted(token, .first), .resting(LockTable.fullRest),
            ])
        let outcome = TaskOutcome(kind: .canceled)
        let canceled = driver.apply([.close(tasks[2], nil, outcome, birth: nil)], of: node)
        #expect(canceled == [.resting(LockTable.fullRest)])
        let closed = driver.apply([.close(tasks[0], token, outcome, birth: nil)], of: node)
        #expect(closed == [.closed(outcome, token)])
        driver.apply([.collect([BirthDot(origin: BootID(9), sequence: 1)])], of: .none)
        guard case .granted? = driver.apply([acquire(tasks[2])], of: node).first else {
            Issue.record("there is room again")
            return
        }
    }

    @Test func `no entry takes more bytes than it is counted for`() {
        let reason = String(repeating: "r", count: TaskOutcome.reasonSizeBytesMax)
        let outcome = TaskOutcome(
            kind: .failed, exit: ExitStatus(code: .min, wasOutOfMemory: true), reason: reason)
        let token = FencingToken(generation: .max, index: .max)
        let birth = BirthDot(origin: BootID(.max), sequence: .max)
        let most = AttemptCount(used: .max, failures: .max)
        let entries: [LockTable.Entry] = [
            .held(
                LockTable.Claim(
                    token: token, session: SessionID(.max), birth: birth, count: most,
                    isLastAttempt: true, waits: true,
                    formerHolder: NodeID(Wide128(high: .max, low: .max)),
                    machine: MachineID(.max))),
            .open(lastToken: token, birth: birth, next: most, notBefore: .max),
            .closed(outcome, token, birth: birth),
        ]
        for entry in entries { #expect(entry.encoded.count + 16 <= entry.sizeBytes) }
    }

    @Test func `a rest is as long as its bound at most`() {
        for (asked, given) in [
            (LockTable.restMax, LockTable.restMax),
            (LockTable.restMax + .nanoseconds(1), LockTable.restMax), (.seconds(-1), .zero),
        ] {
            var driver = TableDriver()
            let node = NodeID(Wide128(high: 1, low: 1))
            let task = TaskID(Wide128(high: 7, low: 1))
            driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
            driver.apply([acquire(task)], of: node)
            let token = FencingToken(generation: 1, index: driver.index)
            driver.apply(
                [.release(ContainerID(task: task, token: token), notBefore: asked)], of: node)
            let answer = driver.apply([acquire(task)], of: node).first
            if given == .zero {
                let next = FencingToken(generation: 1, index: driver.index)
                #expect(answer == .granted(next, AttemptCount(used: 2, failures: 0)))
            } else {
                #expect(answer == .resting(given))
            }
        }
    }
}
