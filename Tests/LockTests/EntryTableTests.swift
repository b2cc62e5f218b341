import Model
import Testing

@testable import Lock

/// Each command on each state of an entry: BEFORE, COMMAND, ANSWER, AFTER.
@Suite struct EntryTableTests {
    /// The states of an entry, from the point of view of node 1.
    enum State: String, CaseIterable {
        case absent, held, heldByOther, waiting, open, resting, closed, collected
    }

    enum Command: String, CaseIterable {
        case acquire, release, releaseOlder, close, closeOlder, closeUnclaimed, expire, reopen
        case reopenKeeping, forget, collect
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let before: State
        let command: Command
        let answer: String
        let after: State

        var testDescription: String { "\(command) on \(before)" }
    }

    /// One line a state, one column a command, in the order of `Command.allCases`.
    private static let answers: [State: [String]] = [
        .absent: [
            "granted", "done", "done", "noSession", "noSession", "closed", "done", "opened",
            "opened", "alive", "done",
        ],
        .held: [
            "granted", "done", "done", "closed", "noSession", "held", "done", "opened",
            "opened+1", "alive", "done",
        ],
        .heldByOther: [
            "held", "done", "done", "noSession", "noSession", "held", "done", "opened", "opened",
            "alive", "done",
        ],
        .waiting: [
            "held", "done", "done", "noSession", "noSession", "held", "done", "opened",
            "opened+1", "alive", "done",
        ],
        .open: [
            "granted", "done", "done", "noSession", "noSession", "closed", "done", "opened",
            "opened", "alive", "done",
        ],
        .resting: [
            "resting", "done", "done", "noSession", "noSession", "closed", "done", "opened",
            "opened", "alive", "done",
        ],
        .closed: [
            "closed", "closed", "closed", "closed", "closed", "closed", "done", "opened",
            "opened", "alive", "done",
        ],
        .collected: [
            "collected", "done", "done", "noSession", "noSession", "collected", "done", "opened",
            "opened", "alive", "done",
        ],
    ]

    private static let afters: [State: [State]] = [
        .absent: [
            .held, .absent, .absent, .absent, .absent, .closed, .absent, .absent, .absent,
            .absent, .collected,
        ],
        .held: [
            .held, .resting, .held, .closed, .held, .held, .open, .open, .held, .held, .held,
        ],
        .heldByOther: Array(repeating: .heldByOther, count: 11),
        .waiting: [
            .waiting, .waiting, .waiting, .waiting, .waiting, .waiting, .waiting, .open, .held,
            .waiting, .waiting,
        ],
        .open: [
            .held, .open, .open, .open, .open, .closed, .open, .open, .open, .open, .collected,
        ],
        .resting: [
            .resting, .resting, .resting, .resting, .resting, .closed, .resting, .resting,
            .resting, .resting, .collected,
        ],
        .closed: Array(repeating: .closed, count: 10) + [.collected],
        .collected: Array(repeating: .collected, count: 11),
    ]

    static let rows: [Row] = State.allCases.flatMap { state in
        Command.allCases.enumerated().map { column, command in
            Row(
                before: state, command: command, answer: answers[state]?[column] ?? "",
                after: afters[state]?[column] ?? .absent)
        }
    }

    @Test(arguments: rows)
    func `a command answers, and leaves the entry, as the table says`(row: Row) {
        var world = EntryWorld(row.before)
        let (client, operation) = world.operation(row.command)
        let token = world.token
        let result = world.driver.apply([operation], of: client).first
        #expect(EntryWorld.name(result) == row.answer)
        #expect(world.state == row.after)
        #expect(world.driver.table.problems == [])
        if case .granted(let granted, _)? = result, row.before != .held {
            #expect(granted > token)
        }
    }
}

/// A table with one task in a chosen state; node 1 has session 1, or 11 when it waits.
private struct EntryWorld {
    let node = NodeID(Wide128(high: 1, low: 1))
    let other = NodeID(Wide128(high: 2, low: 2))
    let task = TaskID(Wide128(high: 7, low: 7))
    let birth = BirthDot(origin: BootID(5), sequence: 1)
    var driver = TableDriver()
    var session = SessionID(1)
    /// The newest claim's.
    var token = FencingToken.zero

    init(_ state: EntryTableTests.State) {
        driver.apply([.openSession(SessionID(1), keeping: [], after: nil)], of: node)
        driver.apply([.openSession(SessionID(2), keeping: [], after: nil)], of: other)
        let waits = state == .waiting
        switch state {
        case .absent: break
        case .held, .open, .resting, .closed, .waiting:
            claim(for: session, of: node, waits: waits)
            finish(state)
        case .heldByOther: claim(for: SessionID(2), of: other, waits: false)
        case .collected: driver.apply([.collect([birth])], of: .none)
        }
    }

    private mutating func claim(for session: SessionID, of node: NodeID, waits: Bool) {
        let request = AcquireRequest(
            task: task, birth: birth, restart: .onNodeLoss, onPartition: waits ? .wait : .rerun)
        if case .granted(let granted, _)? = driver.apply([.acquire(request, session)], of: node)
            .first
        {
            token = granted
        }
    }

    private mutating func finish(_ state: EntryTableTests.State) {
        let claim = ContainerID(task: task, token: token)
        switch state {
        case .open: driver.apply([.release(claim, notBefore: .zero)], of: node)
        case .resting: driver.apply([.release(claim, notBefore: .seconds(1))], of: node)
        case .closed:
            driver.apply([.close(task, token, EntryWorld.outcome, birth: nil)], of: node)
        case .waiting:
            driver.apply([.expireSession(session)], of: .none)
            // Another node's session for the commands that need one; node 1 has none.
            session = SessionID(2)
        case .absent, .held, .heldByOther, .collected: break
        }
    }

    private static let outcome = TaskOutcome(kind: .complete, exit: ExitStatus(code: 0))

    func operation(_ command: EntryTableTests.Command) -> (NodeID, LockOperation) {
        let claim = ContainerID(task: task, token: token)
        let older = ContainerID(task: task, token: .zero)
        let holder = session == SessionID(2) ? other : node
        switch command {
        case .acquire:
            let request = AcquireRequest(
                task: task, birth: birth, restart: .onNodeLoss, onPartition: .rerun)
            return (holder, .acquire(request, session))
        case .release: return (node, .release(claim, notBefore: .seconds(1)))
        case .releaseOlder: return (node, .release(older, notBefore: .zero))
        case .close: return (node, .close(task, token, EntryWorld.outcome, birth: birth))
        case .closeOlder: return (node, .close(task, .zero, EntryWorld.outcome, birth: birth))
        case .closeUnclaimed: return (other, .close(task, nil, EntryWorld.outcome, birth: birth))
        case .expire:
            return (.none, .expireSession(holder == node ? session : SessionID(2)))
        case .reopen:
            return (node, .openSession(SessionID(3), keeping: [], after: SessionID(1)))
        case .reopenKeeping:
            return (node, .openSession(SessionID(3), keeping: [claim], after: SessionID(1)))
        case .forget: return (other, .forget(holder))
        case .collect: return (.none, .collect([birth]))
        }
    }

    static func name(_ result: LockResult?) -> String {
        switch result {
        case .done: "done"
        case .opened(let kept, _, _): kept.isEmpty ? "opened" : "opened+\(kept.count)"
        case .succeeds: "succeeds"
        case .granted: "granted"
        case .held: "held"
        case .closed: "closed"
        case .resting: "resting"
        case .collected: "collected"
        case .noSession: "noSession"
        case .alive: "alive"
        case .full: "full"
        case .overtaken: "overtaken"
        case nil: "none"
        }
    }

    var state: EntryTableTests.State? {
        switch driver.table.entries[task] {
        case nil: return driver.table.collected.contains(birth) ? .collected : .absent
        case .held(let claim):
            if claim.formerHolder != nil { return .waiting }
            return driver.table.sessions[claim.session]?.node == node ? .held : .heldByOther
        case .open(_, _, _, let notBefore):
            return notBefore > driver.table.clock ? .resting : .open
        case .closed: return .closed
        }
    }
}

/// Applies operations as entries with rising indices.
struct TableDriver {
    var table = LockTable(leaseLength: .seconds(5))
    var index: UInt64 = 0
    var clock: UInt64 = 0
    var notices: [LockTable.Notice] = []

    @discardableResult
    mutating func apply(_ operations: [LockOperation], of client: NodeID) -> [LockResult] {
        index += 1
        let request = LockRequest(
            client: client, boot: BootID(client.value.low), sequence: index, operations: operations)
        return replay(request) ?? []
    }

    mutating func replay(_ request: LockRequest) -> [LockResult]? {
        index += 1
        var heard: [LockTable.Notice] = []
        defer { notices += heard }
        return table.apply(LockEntryPayload(stamp: clock, request: request), index: index) {
            heard.append($0)
        }
    }
}

extension LockTable {
    /// What of the table's parts does not fit together.
    var problems: [String] {
        var problems: [String] = []
        var claims: [SessionID: Set<TaskID>] = [:]
        var waits: [NodeID: Set<TaskID>] = [:]
        var sizeBytes = 0
        for (task, entry) in entries {
            sizeBytes += entry.sizeBytes
            if let birth = entry.birthUnlessHeld, collected.contains(birth) {
                problems.append("\(task) is collected and still there")
            }
            guard case .held(let claim) = entry else { continue }
            if let node = claim.formerHolder {
                waits[node, default: []].insert(task)
            } else {
                claims[claim.session, default: []].insert(task)
            }
        }
        for (session, state) in sessions where state.claims != claims[session] ?? [] {
            problems.append("session \(session) does not know its claims")
        }
        if claims.keys.contains(where: { sessions[$0] == nil }) {
            problems.append("a dead session holds a claim")
        }
        if waiting.filter({ !$0.value.isEmpty }) != waits { problems.append("waiting is wrong") }
        let nodes = sessions.values.map(\.node)
        if Set(nodes).count != nodes.count { problems.append("a node has two sessions") }
        if sizeBytes != entriesSizeBytes { problems.append("the size is wrong") }
        return problems
    }
}
