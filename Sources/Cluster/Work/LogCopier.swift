import Model

/// Decides when the end of which log goes to whom: each task's last output is kept by other nodes
/// too, so that it can be read when its own is gone.
///
/// One excerpt of a log is under way at a time; the next one begins where all who keep a copy have
/// said that they are. A program that writes faster than may be sent is not followed: its newest
/// output goes out, and what lay before stays on its own node. All logs of a node share one
/// allowance of bandwidth.
struct LogCopier: Sendable {
    /// What is to be done for one log.
    enum Step: Equatable {
        /// Read the log from there on, waiting for output.
        case read(LogStart)
        /// Send the excerpt that was read to these.
        case send([NodeID])
        /// Look at it again at this time.
        case wait(until: Instant)
        /// Nothing is to be done, now or later.
        case rest
    }

    /// What is known about one log.
    private struct Copying: Sendable {
        enum Phase: Hashable {
            case resting(until: Instant)
            case reading
            case sent(LogCursor, isEnd: Bool, waitingFor: Set<NodeID>, until: Instant)
        }

        var phase: Phase
        /// How far those are who keep a copy.
        var kept: [NodeID: LogCursor] = [:]
        /// How often nobody was there, or did not answer, since the last answer.
        var failures = 0
        /// How long the log rests after what is under way.
        var rest = LogCopier.interval
    }

    private var logs: [ContainerID: Copying] = [:]
    private var allowance: Allowance

    /// How many logs are copied at a time; further ones are not.
    static let logsMax = 4_096
    /// How many bytes of output one node sends in a second, to all others together.
    static let bytesPerSecond = 1 << 20
    /// How many bytes of output may be sent at once after a quiet time.
    static let burstBytes = 4 << 20
    /// How long a log rests after it was copied; the loud ones of many longer, so that each has its
    /// turn.
    static let interval: Duration = .seconds(1)
    /// How long a log rests at most.
    static let restMax: Duration = .seconds(10)
    /// How long whoever keeps a copy may take to say so.
    static let answerTime: Duration = .seconds(3)
    /// How often nobody may answer in a row before a log is given up.
    static let failuresMax = 8

    init(at now: Instant) {
        allowance = Allowance(at: now)
    }

    /// How many logs are being copied.
    var count: Int { logs.count }

    /// Begins to copy a log.
    ///
    /// - Returns: Whether it is a new one; a further one past the bound is not copied.
    mutating func add(_ id: ContainerID, at now: Instant) -> Bool {
        guard logs[id] == nil, logs.count < LogCopier.logsMax else { return false }
        logs[id] = Copying(phase: .resting(until: now))
        return true
    }

    /// The log is not to be copied any more.
    mutating func remove(_ id: ContainerID) { logs[id] = nil }

    /// A time has come that `wait` named.
    mutating func due(_ id: ContainerID, targets: [NodeID], at now: Instant) -> Step {
        guard let copying = logs[id] else { return .rest }
        switch copying.phase {
        case .reading: return .rest
        case .resting(let until) where now < until: return .rest
        case .sent(_, _, _, let until) where now < until: return .rest
        case .resting: break
        case .sent: logs[id]?.failures += 1
        }
        return begin(id, targets: targets, at: now)
    }

    private mutating func begin(_ id: ContainerID, targets: [NodeID], at now: Instant) -> Step {
        guard let copying = logs[id] else { return .rest }
        guard copying.failures < LogCopier.failuresMax else {
            logs[id] = nil
            return .rest
        }
        guard !targets.isEmpty else {
            logs[id]?.failures += 1
            return rest(id, until: now + LogCopier.answerTime)
        }
        guard let ready = allowance.ready(at: now) else {
            logs[id]?.phase = .reading
            let from = targets.map { copying.kept[$0] ?? .beginning }.min() ?? .beginning
            return .read(.newest(after: from))
        }
        return rest(id, until: ready)
    }

    private mutating func rest(_ id: ContainerID, until: Instant) -> Step {
        logs[id]?.phase = .resting(until: until)
        return .wait(until: until)
    }

    /// The log was read, or is not there.
    mutating func read(
        _ id: ContainerID, _ chunk: LogChunk?, targets: [NodeID], at now: Instant
    ) -> Step {
        guard logs[id]?.phase == .reading else { return .rest }
        guard let chunk else {
            logs[id] = nil
            return .rest
        }
        guard !chunk.entries.isEmpty || chunk.isEnd, !targets.isEmpty else {
            return rest(id, until: now + LogCopier.interval)
        }
        // While it was read, others may have used up what there was.
        if let ready = allowance.ready(at: now) { return rest(id, until: ready) }
        let size = chunk.entries.reduce(64) { $0 + $1.bytes.count }
        allowance.take(size * targets.count)
        let share = Int64(size * targets.count * logs.count * 1_000 / LogCopier.bytesPerSecond)
        logs[id]?.rest = min(max(.milliseconds(share), LogCopier.interval), LogCopier.restMax)
        let until = now + LogCopier.answerTime
        logs[id]?.phase = .sent(
            chunk.next, isEnd: chunk.isEnd, waitingFor: Set(targets), until: until)
        return .send(targets)
    }

    /// When the answers to what was sent are due.
    func answersDue(_ id: ContainerID) -> Instant? {
        guard case .sent(_, _, _, let until) = logs[id]?.phase else { return nil }
        return until
    }

    /// A node says how far its copy goes.
    mutating func kept(
        _ id: ContainerID, by node: NodeID, upTo cursor: LogCursor, at now: Instant
    ) -> Step {
        guard case .sent(let next, let isEnd, var waitingFor, let until) = logs[id]?.phase,
            cursor == next, waitingFor.remove(node) != nil
        else { return .rest }
        logs[id]?.kept[node] = cursor
        logs[id]?.failures = 0
        guard waitingFor.isEmpty else {
            logs[id]?.phase = .sent(next, isEnd: isEnd, waitingFor: waitingFor, until: until)
            return .rest
        }
        if isEnd {
            logs[id] = nil
            return .rest
        }
        return rest(id, until: now + (logs[id]?.rest ?? LogCopier.interval))
    }
}

/// A bucket of tokens, one for each byte; it may be overdrawn by what is sent at once.
private struct Allowance: Sendable {
    private var left = Double(LogCopier.burstBytes)
    private var at: Instant

    init(at now: Instant) { at = now }

    /// When something may be sent again; `nil` when it may be now.
    mutating func ready(at now: Instant) -> Instant? {
        let rate = Double(LogCopier.bytesPerSecond)
        left = min(Double(LogCopier.burstBytes), left + max((now - at).seconds, 0) * rate)
        at = max(at, now)
        guard left <= 0 else { return nil }
        return now + .milliseconds(1 + Int64(-left / rate * 1_000))
    }

    mutating func take(_ bytes: Int) { left -= Double(bytes) }
}
