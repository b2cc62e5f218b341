package import Foundation

/// A task as the API shows it.
package struct TaskView: Codable, Hashable, Sendable {
    /// The task's ID.
    package var id: String
    /// `queued`, `claimed`, `running`, `complete`, `failed`, `canceled` or `lost`.
    package var state: String
    /// The program and its arguments.
    package var command: [String]
    /// The name of the node that runs it, or ran its newest attempt.
    package var node: String?
    /// The process's exit code, once there is one.
    package var exitCode: Int32?
    /// Whether the kernel ended a process of it for lack of memory.
    package var outOfMemory: Bool
    /// Counts its attempts.
    package var attempt: Int
    /// The newest attempt's fencing token.
    package var token: String?
    /// When it was submitted.
    package var submitted: String
    /// When its program started.
    package var started: String?
    /// When it ended.
    package var ended: String?
    /// Why it is in this state, when there is more to say.
    package var reason: String
    /// What it has used up, once it has ended.
    package var usage: UsageView?
    /// Whether it has ended, but the lock has not confirmed the end yet.
    package var unconfirmed: Bool
    /// Whether a user wishes it to end.
    package var cancelRequested: Bool

    /// Its attempts, oldest first.
    package var attempts: [AttemptView]
    /// What it waits for, while it is queued and that is more than a node's turn.
    package var waitsFor: String?
    /// When it is run again: `never`, `on-node-loss`, `on-failure[:N]` or `always`.
    package var restart: String
    /// How many attempts it has at most, if that is limited.
    package var maxAttempts: UInt32?
    /// How long it is kept once it has ended, in seconds; absent for the node's own setting.
    package var retainSeconds: Double?

    /// Whether it has ended.
    package var isTerminal: Bool {
        ["complete", "failed", "canceled", "lost"].contains(state)
    }

    enum CodingKeys: String, CodingKey {
        case id, state, command, node, attempt, token, submitted, started, ended, reason
        case unconfirmed, usage
        case exitCode = "exit_code"
        case outOfMemory = "out_of_memory"
        case cancelRequested = "cancel_requested"
        case attempts, restart
        case waitsFor = "waits_for"
        case maxAttempts = "max_attempts"
        case retainSeconds = "retain_seconds"
    }

    /// Makes a view of a task that was just submitted.
    package init(id: String, state: String, command: [String], submitted: String) {
        self.id = id
        self.state = state
        self.command = command
        self.submitted = submitted
        outOfMemory = false
        attempt = 0
        reason = ""
        unconfirmed = false
        cancelRequested = false
        attempts = []
        restart = "on-node-loss"
    }

    /// Writes every field, absent ones as null, so that programs find the same keys always.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(id, forKey: .id)
        try fields.encode(state, forKey: .state)
        try fields.encode(command, forKey: .command)
        try fields.encode(node, forKey: .node)
        try fields.encode(exitCode, forKey: .exitCode)
        try fields.encode(outOfMemory, forKey: .outOfMemory)
        try fields.encode(attempt, forKey: .attempt)
        try fields.encode(token, forKey: .token)
        try fields.encode(submitted, forKey: .submitted)
        try fields.encode(started, forKey: .started)
        try fields.encode(ended, forKey: .ended)
        try fields.encode(reason, forKey: .reason)
        try fields.encode(usage, forKey: .usage)
        try fields.encode(unconfirmed, forKey: .unconfirmed)
        try fields.encode(cancelRequested, forKey: .cancelRequested)
        try fields.encode(attempts, forKey: .attempts)
        try fields.encode(waitsFor, forKey: .waitsFor)
        try fields.encode(restart, forKey: .restart)
        try fields.encode(maxAttempts, forKey: .maxAttempts)
        try fields.encode(retainSeconds, forKey: .retainSeconds)
    }
}

/// One attempt at a task, as the API shows it.
package struct AttemptView: Codable, Hashable, Sendable {
    /// Counts the task's attempts from 1; one that never ran has the number of the one before.
    package var attempt: Int
    /// Its fencing token.
    package var token: String
    /// The name of the node that claimed it.
    package var node: String
    /// `claimed`, `starting`, `running`, `lost`, `canceled`, `failed` or `complete`.
    package var state: String
    /// The process's exit code, once there is one.
    package var exitCode: Int32?
    /// When it was claimed.
    package var claimed: String?
    /// When its program started.
    package var started: String?
    /// When it ended.
    package var ended: String?
    /// Why it ended so, when there is more to say.
    package var reason: String

    enum CodingKeys: String, CodingKey {
        case attempt, token, node, state, claimed, started, ended, reason
        case exitCode = "exit_code"
    }

    /// Makes a view.
    package init(
        attempt: Int, token: String, node: String, state: String, exitCode: Int32?,
        claimed: String?, started: String?, ended: String?, reason: String
    ) {
        self.attempt = attempt
        self.token = token
        self.node = node
        self.state = state
        self.exitCode = exitCode
        self.claimed = claimed
        self.started = started
        self.ended = ended
        self.reason = reason
    }

    /// Writes every field, absent ones as null.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(attempt, forKey: .attempt)
        try fields.encode(token, forKey: .token)
        try fields.encode(node, forKey: .node)
        try fields.encode(state, forKey: .state)
        try fields.encode(exitCode, forKey: .exitCode)
        try fields.encode(claimed, forKey: .claimed)
        try fields.encode(started, forKey: .started)
        try fields.encode(ended, forKey: .ended)
        try fields.encode(reason, forKey: .reason)
    }
}

/// A member as the API shows it.
package struct NodeView: Codable, Hashable, Sendable {
    /// The node's ID.
    package var id: String
    /// Its name.
    package var name: String
    /// Where it listens for gossip.
    package var address: String
    /// `alive`, `suspect`, `dead`, `left` or `evicted`.
    package var state: String
    /// Whether it takes work.
    package var eligible: Bool
    /// Whether it votes in the lock.
    package var voter: Bool
    /// Whether it leads the lock.
    package var leader: Bool
    /// How many tasks it runs or has claimed.
    package var running: Int
    /// Cores that it gives to tasks.
    package var cpus: Double
    /// Bytes of memory that it gives to tasks.
    package var memory: UInt64
    /// The larger share of both that is reserved, 0…1.
    package var load: Double
    /// The SWIM incarnation number.
    package var incarnation: UInt64
    /// The version of its software.
    package var version: String
    /// Its labels.
    package var labels: [String]
    /// When it was evicted, by the clock of the member that was asked for it.
    package var evicted: String?
    /// The name of that member, or else its ID.
    package var evictedBy: String?

    /// Makes a view.
    package init(
        id: String, name: String, address: String, state: String, eligible: Bool, voter: Bool,
        leader: Bool, running: Int, cpus: Double, memory: UInt64, load: Double,
        incarnation: UInt64, version: String, labels: [String]
    ) {
        self.id = id
        self.name = name
        self.address = address
        self.state = state
        self.eligible = eligible
        self.voter = voter
        self.leader = leader
        self.running = running
        self.cpus = cpus
        self.memory = memory
        self.load = load
        self.incarnation = incarnation
        self.version = version
        self.labels = labels
    }
}

/// Why a node has not taken a task.
package struct WhyView: Codable, Hashable, Sendable {
    /// The node's name.
    package var node: String
    /// The reason.
    package var reason: String

    /// Makes a view.
    package init(node: String, reason: String) {
        self.node = node
        self.reason = reason
    }
}

/// An error as the API shows it.
package struct ErrorBody: Codable, Hashable, Sendable {
    /// Code and message.
    package struct Content: Codable, Hashable, Sendable {
        /// A fixed word for programs.
        package var code: String
        /// What is wrong and what to do, for people.
        package var message: String
    }

    /// Code and message.
    package var error: Content

    /// Makes an error.
    package init(code: String, message: String) {
        error = Content(code: code, message: message)
    }
}

/// A request to send a signal.
package struct SignalRequest: Codable, Hashable, Sendable {
    /// The signal's number.
    package var signal: Int32

    /// Makes a request.
    package init(signal: Int32) {
        self.signal = signal
    }
}

/// One line of a followed log.
package struct LogFrame: Codable, Hashable, Sendable {
    /// `stdout` or `stderr`; `nil` in the last frame.
    package var stream: String?
    /// When the output was read from the program.
    package var time: String?
    /// The output, in base 64.
    package var data: Data?
    /// Where to go on after this frame: what `from` takes.
    package var cursor: String?
    /// The task as it ended; in the last frame alone.
    package var end: TaskView?
    /// What a reader should know about the output that follows, in words for a person.
    package var notice: String?
    /// Whether all output up to the time that `until` named was sent; in the last frame alone.
    package var isPast: Bool?

    /// Makes a frame.
    package init(
        stream: String? = nil, time: String? = nil, data: Data? = nil, cursor: String? = nil,
        end: TaskView? = nil, notice: String? = nil, isPast: Bool? = nil
    ) {
        self.notice = notice
        self.isPast = isPast
        self.stream = stream
        self.time = time
        self.data = data
        self.cursor = cursor
        self.end = end
    }
}
