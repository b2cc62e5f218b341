import Cluster
import Model

/// What must hold at every step; stops at the first violation.
struct Checker {
    private(set) var violation: Violation?
    private var lastGrant: [TaskID: (token: FencingToken, machine: Int)] = [:]
    private var running: [TaskID: Set<Int>] = [:]
    private var outcomes: [TaskID: TaskState] = [:]
    private(set) var acknowledgedTasks: Set<TaskID> = []

    mutating func fail(_ message: String, at time: Int64) {
        if violation == nil { violation = Violation(message: message, time: time) }
    }

    /// Tokens rise strictly per task, whoever is granted them.
    mutating func granted(
        _ task: TaskID, _ token: FencingToken, to machine: Int, at time: Int64
    ) {
        if let last = lastGrant[task], token <= last.token {
            fail(
                "task \(task): token \(token) granted to node \(machine + 1) after \(last.token) "
                    + "to node \(last.machine + 1)", at: time)
        }
        lastGrant[task] = (token, machine)
    }

    /// No two copies of a task run at the same time.
    mutating func started(_ id: ContainerID, on machine: Int, at time: Int64) {
        if let others = running[id.task], !others.isEmpty {
            let list = others.sorted().map { "\($0 + 1)" }.joined(separator: ", ")
            fail(
                "task \(id.task): starts on node \(machine + 1) while it runs on node \(list)",
                at: time)
        }
        running[id.task, default: []].insert(machine)
    }

    mutating func ended(_ id: ContainerID, on machine: Int) {
        running[id.task]?.remove(machine)
        if running[id.task]?.isEmpty == true { running[id.task] = nil }
    }

    /// A confirmed end never changes.
    mutating func saw(_ status: TaskStatus, by machine: Int, at time: Int64) {
        guard status.state.isTerminal, !status.isUnconfirmed else { return }
        if let known = outcomes[status.id], known != status.state {
            fail(
                "task \(status.id): \(status.state.rawValue) on node \(machine + 1), "
                    + "\(known.rawValue) elsewhere", at: time)
        }
        outcomes[status.id] = status.state
    }

    mutating func acknowledged(_ task: TaskID) {
        acknowledgedTasks.insert(task)
    }
}

/// A broken promise, and when it broke.
package struct Violation: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    package var message: String
    /// Virtual time in nanoseconds.
    package var time: Int64

    /// The message, with the time in seconds.
    package var description: String { "\(message) (at \(Double(time) / 1e9) s)" }
}
