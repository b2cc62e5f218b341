import Cluster
import ControlAPI
import Gossip
import Model

extension TaskView {
    /// What the API shows of a task.
    init(_ task: TaskStatus) {
        self.init(
            id: "\(task.id)", state: task.state.rawValue, command: task.spec.command,
            submitted: Quantities.text(task.submitted))
        node = task.nodeName ?? task.node.map { "\($0)" }
        exitCode = task.exit?.code
        outOfMemory = task.exit?.wasOutOfMemory ?? false
        attempt = task.attempt
        token = task.token.map { "\($0)" }
        started = task.started.map(Quantities.text)
        ended = task.state.isTerminal ? task.ended.map(Quantities.text) : nil
        reason = task.reason
        usage = task.usage.map(UsageView.init)
        unconfirmed = task.isUnconfirmed
        cancelRequested = task.isCancelRequested
        attempts = task.attempts.map(AttemptView.init)
        waitsFor = task.waitsFor
        restart = Quantities.text(task.spec.restart)
        maxAttempts = task.spec.attemptsMax
        retainSeconds = task.spec.retention?.seconds
    }
}

extension AttemptView {
    /// What the API shows of an attempt.
    init(_ attempt: AttemptStatus) {
        self.init(
            attempt: attempt.number, token: "\(attempt.token)",
            node: attempt.nodeName ?? "\(attempt.node)", state: "\(attempt.phase)",
            exitCode: attempt.exit?.code, claimed: attempt.claimed.map(Quantities.text),
            started: attempt.started.map(Quantities.text),
            ended: attempt.ended.map(Quantities.text), reason: attempt.reason)
    }
}

extension NodeView {
    /// What the API shows of a member.
    init(_ node: NodeStatus) {
        self.init(
            id: "\(node.id)", name: node.name, address: "\(node.address)",
            state: node.state.rawValue, eligible: node.isEligible, voter: node.isVoter,
            leader: node.isLeader, running: node.runningCount,
            cpus: Double(node.capacity.cpuMillis) / 1_000, memory: node.capacity.memoryBytes,
            load: (node.load * 1_000).rounded() / 1_000, incarnation: node.incarnation,
            version: node.version, labels: node.labels)
        evicted = node.eviction.map { Quantities.text($0.time) }
        evictedBy = node.eviction.map { $0.authorName ?? "\($0.author)" }
    }
}

extension TokenStatusView {
    /// What the API shows of a token: nothing with which anybody could join.
    init(_ status: TokenStatus) {
        self.init(
            name: status.record.name, expires: Quantities.text(status.record.expiry),
            uses: status.uses, usesMax: status.record.usesMax.map(Int.init),
            revoked: status.record.isRevoked)
    }
}

/// A place in the output of one attempt, as text: `GENERATION.INDEX-SEGMENT-OFFSET`.
struct AttemptCursor: Equatable {
    var attempt: FencingToken?
    var place: LogCursor

    static let beginning = AttemptCursor(attempt: nil, place: .beginning)

    init(attempt: FencingToken?, place: LogCursor) {
        self.attempt = attempt
        self.place = place
    }

    init?(_ text: some StringProtocol) {
        let parts = String(text).split(separator: "-" as Character).map(String.init)
        guard parts.count == 3, let segment = UInt32(parts[1]), let offset = UInt64(parts[2])
        else { return nil }
        let numbers = parts[0].split(separator: "." as Character)
        guard numbers.count == 2, let generation = UInt32(numbers[0]),
            let index = UInt64(numbers[1])
        else { return nil }
        attempt = FencingToken(generation: generation, index: index)
        place = LogCursor(segment: segment, offset: offset)
    }

    var text: String? {
        attempt.map { "\($0)-\(place.segment)-\(place.offset)" }
    }
}
