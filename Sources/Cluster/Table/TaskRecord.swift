import CRDT
package import Model

/// All that the table knows about a task: a lattice of lattices.
package struct TaskRecord: Sendable {
    /// What was fixed at submission.
    package struct Submission: Hashable, Sendable {
        /// Which node's life took it in, as how manieth.
        package var birth: BirthDot
        /// What was asked for.
        package var spec: TaskSpec
        /// When, by the accepting node's clock.
        package var submitted: WallTime
    }

    /// The end that the lock committed.
    struct Close: Hashable, Sendable {
        var outcome: TaskOutcome
        var token: FencingToken?
        var time: WallTime
    }

    /// The task.
    package let id: TaskID
    var submission: Submission
    var cancel = RaisedFlag()
    var rows = TopMap<AttemptRow.Key, AttemptRow>(capacity: TaskRecord.attemptsMax)
    var close: Close?
    /// The mutations that this record has taken in, oldest first; the newest `dotsMax` of them.
    var dots: [Dot] = []
    /// When this node first saw the task closed, on its own clock; not kept on disk.
    var closeSeen: Instant?

    /// How many attempts a record shows: those with the highest tokens.
    package static let attemptsMax = 16
    /// How many dots a record names; older ones are void for everybody, which is harmless.
    static let dotsMax = 64

    init(id: TaskID, submission: Submission) {
        self.id = id
        self.submission = submission
    }

    /// Which node's life took it in, as how manieth.
    package var birth: BirthDot { submission.birth }
    /// What was asked for.
    package var spec: TaskSpec { submission.spec }
    /// When it was submitted, by the accepting node's clock.
    package var submitted: WallTime { submission.submitted }
    /// Whether a user wishes it to end.
    package var isCancelRequested: Bool { cancel.isRaised }
    /// The end that the lock committed, if any.
    package var outcome: TaskOutcome? { close?.outcome }
    /// When the lock's end was written down.
    package var closed: WallTime? { close?.time }
    /// The attempts, in rising order of their tokens.
    package var attempts: [AttemptRow] { rows.entries.map(\.value) }
    /// The attempt with the highest token.
    package var latestAttempt: AttemptRow? { rows.entries.last?.value }

    /// The visible state, derived: outcome first, then the newest attempt.
    package var state: TaskState {
        if let outcome {
            switch outcome.kind {
            case .complete: return .complete
            case .failed: return .failed
            case .canceled: return .canceled
            case .lost: return .lost
            }
        }
        guard let attempt = latestAttempt else { return .queued }
        switch attempt.phase {
        case .claimed, .starting: return .claimed
        case .running: return .running
        case .lost: return spec.restart == .never ? .lost : .queued
        case .canceled: return .canceled
        case .complete: return .complete
        case .failed: return mayRetry ? .queued : .failed
        }
    }

    /// Whether a failure of the newest attempt leaves attempts to go.
    package var mayRetry: Bool {
        guard case .onFailure(let attemptsMax) = spec.restart else { return false }
        return rows.entries.count < min(Int(attemptsMax), TaskRecord.attemptsMax)
    }

    /// Takes note of mutations; the oldest are forgotten beyond `dotsMax`.
    mutating func note(_ added: [Dot]) {
        for dot in added where !dots.contains(dot) { dots.append(dot) }
        if dots.count > TaskRecord.dotsMax { dots.removeFirst(dots.count - TaskRecord.dotsMax) }
    }
}

extension TaskRecord.Submission: Lattice {
    /// Write-once: of two that differ, everybody keeps the one whose bytes are smaller.
    @discardableResult
    package mutating func join(_ other: TaskRecord.Submission) -> Bool {
        guard self != other, other.encoded.lexicographicallyPrecedes(encoded) else { return false }
        self = other
        return true
    }
}

extension TaskRecord.Close: Lattice {
    /// There is one; should two ever meet, everybody keeps the one whose bytes are smaller.
    mutating func join(_ other: TaskRecord.Close) -> Bool {
        guard self != other, other.encoded.lexicographicallyPrecedes(encoded) else { return false }
        self = other
        return true
    }
}
