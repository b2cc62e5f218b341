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
        /// What a newer version wrote behind all this.
        var unknownTail: [UInt8] = []
    }

    /// The end that the lock committed.
    struct Close: Hashable, Sendable {
        var outcome: TaskOutcome
        var token: FencingToken?
        var time: WallTime
        var unknownTail: [UInt8] = []
    }

    /// The task.
    package let id: TaskID
    var submission: Submission
    var cancel = RaisedFlag()
    var rows = TopMap<AttemptRow.Key, AttemptRow>(capacity: TaskRecord.attemptsMax)
    var close: Close?
    /// All births of the task, sorted; all are collected with it.
    ///
    /// There is more than one when nodes that could not hear each other took in the same submission;
    /// the `birthsMax` smallest are kept.
    var births: [BirthDot]
    /// What a newer version knows of the task.
    var unknown = UnknownFields()
    /// The mutations that this record has taken in, in order of arrival; the newest `dotsMax`.
    var dots: [Dot] = []
    /// When this node first saw the task closed, on its own clock; not kept on disk.
    var closeSeen: Instant?
    /// The count of this node's changes at which the record last took something in.
    var revision: UInt64 = 0
    /// Of the content, without the dots: equal on nodes that know the same of the task.
    package internal(set) var fingerprint: UInt64 = 0

    /// How many attempts a record shows: those with the highest tokens.
    package static let attemptsMax = 16
    /// How many dots a record names.
    ///
    /// A peer that lacks an older one is told that it stands for nothing, and gets the record by a
    /// newer one, or when fingerprints are compared.
    static let dotsMax = 64
    /// How many births a record knows.
    static let birthsMax = 8

    init(id: TaskID, submission: Submission) {
        self.id = id
        self.submission = submission
        births = [submission.birth]
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
        case .lost: return runsAgain ? .queued : .lost
        case .canceled: return .canceled
        case .complete: return runsAgain ? .queued : .complete
        case .failed: return runsAgain ? .queued : .failed
        }
    }

    /// Whether the newest attempt has ended so that another one follows.
    package var runsAgain: Bool {
        guard let attempt = latestAttempt, let end = attempt.end else { return false }
        return spec.runsAgain(after: end, attempt.count)
    }
}

extension TaskRecord: Fingerprinted {}
