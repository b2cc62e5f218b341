package import Cluster
package import Model

/// What must hold at every step; remembers the first violation.
package struct Checker: Sendable {
    /// The first broken promise, if any.
    package private(set) var violation: Violation?
    private var grants: [TaskID: (token: FencingToken, node: String)] = [:]
    private var holders: [ContainerID: String] = [:]
    private var live: [TaskID: [(id: ContainerID, node: String)]] = [:]
    private var started: [TaskID: FencingToken] = [:]
    private var collected: [TaskID: Set<String>] = [:]
    private var starts: [TaskID: Set<ContainerID>] = [:]
    private var exitCodes: [TaskID: Set<Int32>] = [:]
    private var outcomes: [TaskID: TaskState] = [:]
    private var lockTables: [UInt64: (digest: UInt64, node: String)] = [:]
    private var entries: [FencingToken: (term: UInt64, print: UInt64, node: String)] = [:]
    /// How many attempts of each task ran to their own end.
    package private(set) var completions: [TaskID: Int] = [:]

    /// Makes a checker that has seen nothing.
    package init() {}

    /// Takes note of a broken promise; only the first counts.
    package mutating func fail(_ message: String, at time: Int64) {
        if violation == nil { violation = Violation(message: message, time: time) }
    }

    // MARK: Claims

    /// Tokens rise strictly per task, and so no token is ever granted twice.
    package mutating func granted(
        _ task: TaskID, _ token: FencingToken, to node: String, at time: Int64
    ) {
        if let last = grants[task], token <= last.token {
            fail(
                "task \(task): token \(token) is granted to \(node) after \(last.token) was "
                    + "granted to \(last.node)", at: time)
        }
        grants[task] = (token, node)
        holders[ContainerID(task: task, token: token)] = node
    }

    /// A container is made by the one node that was granted its token, and for no collected task.
    package mutating func created(_ id: ContainerID, on node: String, at time: Int64) {
        if let others = collected[id.task], let other = others.min() {
            fail("\(node) makes container \(id), but \(other) has collected the task", at: time)
        }
        guard holders[id] != node else { return }
        fail(
            "\(node) makes container \(id), but "
                + (holders[id].map { "\($0) holds its token" } ?? "nobody was granted its token"),
            at: time)
    }

    /// A record leaves a disk: only the end of its task allows that.
    package mutating func dropped(
        _ task: TaskID, isAcknowledged: Bool, by node: String, at time: Int64
    ) {
        guard isAcknowledged, outcomes[task] == nil else { return }
        fail("task \(task) was acknowledged and has not ended, but \(node) drops it", at: time)
    }

    /// A node has collected a task: its record does not come back there.
    package mutating func collected(_ task: TaskID, by node: String) {
        collected[task, default: []].insert(node)
    }

    /// Whether some node has collected a task.
    package func isCollected(_ task: TaskID) -> Bool { collected[task] != nil }

    /// A record is written to a disk.
    package mutating func wrote(_ task: TaskID, by node: String, at time: Int64) {
        guard !collected.isEmpty, collected[task]?.contains(node) == true else { return }
        fail("task \(task) was collected by \(node), and is back there", at: time)
    }

    /// A node has lost its disk, or has an old copy of it: it may take in anything again.
    package mutating func forgets(_ node: String) {
        for task in collected.keys { collected[task]?.remove(node) }
    }

    /// Voters that have applied the log up to the same index have the same table.
    package mutating func applied(
        _ index: UInt64, _ digest: UInt64, by node: String, at time: Int64
    ) {
        if let known = lockTables[index], known.digest != digest {
            fail("the lock tables of \(node) and \(known.node) differ at \(index)", at: time)
        }
        lockTables[index] = (digest, node)
    }

    /// What is committed once stands for ever: the same entry at the same index, on every voter and
    /// after every restart, no-ops included (Raft paper, figure 3, State Machine Safety).
    package mutating func committed(
        _ place: FencingToken, term: UInt64, print: UInt64, by node: String, at time: Int64
    ) {
        guard let known = entries[place] else {
            entries[place] = (term, print, node)
            return
        }
        guard known.term != term || known.print != print else { return }
        fail(
            "entry \(place) of the lock is of term \(term) on \(node), and was of term "
                + "\(known.term) on \(known.node)"
                + (known.term == term ? ", with another content" : ""), at: time)
    }

    // MARK: Containers

    /// No two copies of a task run at the same time, wherever.
    ///
    /// One that is killed at this very moment (`isOver`) does not count. Attempts do not go back to
    /// an earlier token, nor are there more of them than the task's policy allows, if it says how
    /// many.
    package mutating func started(
        _ id: ContainerID, on node: String, at time: Int64, isOver: Bool = false,
        attemptsMax: Int? = nil
    ) {
        starts[id.task, default: []].insert(id)
        if let attemptsMax, let count = starts[id.task]?.count, count > attemptsMax {
            fail("task \(id.task) is run \(count) times, and may be \(attemptsMax)", at: time)
        }
        if !isOver, let last = started[id.task], last > id.token {
            fail(
                "task \(id.task) starts on \(node) under \(id.token), after it ran under \(last)",
                at: time)
        }
        started[id.task] = max(started[id.task] ?? id.token, id.token)
        if !isOver, let other = live[id.task]?.first {
            fail(
                "task \(id.task) starts on \(node) under \(id.token), while it runs on "
                    + "\(other.node) under \(other.id.token)", at: time)
        }
        live[id.task, default: []].append((id, node))
    }

    /// A program stands still with its machine; it counts again once it goes on.
    package mutating func suspended(_ id: ContainerID, on node: String) {
        live[id.task]?.removeAll { $0.id == id && $0.node == node }
        if live[id.task]?.isEmpty == true { live[id.task] = nil }
    }

    /// A program has ended; the exit is `nil` when its machine stopped.
    package mutating func ended(_ id: ContainerID, exit: ExitStatus?, on node: String) {
        suspended(id, on: node)
        guard let exit else { return }
        exitCodes[id.task, default: []].insert(exit.code)
        completions[id.task, default: 0] += 1
    }

    /// Whether any program runs.
    package var isAnythingLive: Bool { !live.isEmpty }

    // MARK: Ends

    /// A confirmed end is true, and never changes, whoever shows it.
    package mutating func saw(
        _ status: TaskStatus, wasCancelWished: Bool, by node: String, at time: Int64
    ) {
        guard status.state.isTerminal, !status.isUnconfirmed else { return }
        if let known = outcomes[status.id] {
            guard known != status.state else { return }
            return fail(
                "task \(status.id) is \(status.state.rawValue) on \(node), and "
                    + "\(known.rawValue) elsewhere", at: time)
        }
        outcomes[status.id] = status.state
        if let lie = lie(in: status, wasCancelWished: wasCancelWished) {
            fail("task \(status.id) is \(status.state.rawValue) on \(node), but \(lie)", at: time)
        }
    }

    private func lie(in status: TaskStatus, wasCancelWished: Bool) -> String? {
        switch status.state {
        case .complete where exitCodes[status.id]?.contains(0) != true:
            "no attempt of it ended with 0"
        case .lost where status.spec.restart != .never && status.spec.attemptsMax == nil:
            "it may run again"
        case .canceled where !wasCancelWished:
            "nobody wished it"
        default:
            nil
        }
    }

    /// The confirmed end that some node has shown.
    package func outcome(of task: TaskID) -> TaskState? { outcomes[task] }
}

/// A broken promise, and when it broke.
package struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    package var message: String
    /// Virtual time in nanoseconds.
    package var time: Int64

    /// The message, with the time in seconds.
    package var description: String { "\(message) (at \(Trace.seconds(time)) s)" }
}
