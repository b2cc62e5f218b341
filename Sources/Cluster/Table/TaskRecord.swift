import CRDT
package import Model

/// All that the table knows about a task: a lattice of lattices.
///
/// One reference, whose content is copied when it is changed and another copy of the record is in
/// use: the table's own records are changed in place.
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

    /// The attempts that a record shows.
    typealias Rows = TopMap<16, HeldRow>

    /// What few records have: one word in those that have not.
    struct Rarities: Hashable, Sendable {
        var manyBirths: [BirthDot] = []
        var unknown = UnknownFields()
    }

    /// What a record holds; what every change touches stands together, so that few lines of memory
    /// are waited for.
    struct Content: Sendable {
        var rows = Rows()
        var revision: UInt64 = 0
        /// The fingerprint of all but the rows, and of the whole.
        var restPrint: UInt64 = 0
        var print: UInt64 = 0
        var dots = DotList()
        var cancel = RaisedFlag()

        let id: TaskID
        var submission: Box<Submission>
        var close: Box<Close>?
        private var rarities: Box<Rarities>?

        init(id: TaskID, submission: Box<Submission>) {
            self.id = id
            self.submission = submission
        }

        /// All births, sorted; none while the submission's is the only one.
        var manyBirths: [BirthDot] {
            get { rarities?.content.manyBirths ?? [] }
            set { change { $0.manyBirths = newValue } }
        }

        /// What newer versions wrote beside what is known.
        var unknown: UnknownFields {
            get { rarities?.content.unknown ?? UnknownFields() }
            set { change { $0.unknown = newValue } }
        }

        private mutating func change(_ body: (inout Rarities) -> Void) {
            var content = rarities?.content ?? Rarities()
            body(&content)
            rarities = content == Rarities() ? nil : Box(content)
        }

        /// All births of the task, sorted; all are collected with it.
        ///
        /// There is more than one when nodes that could not hear each other took in the same
        /// submission; the `birthsMax` smallest are kept.
        var births: [BirthDot] {
            manyBirths.isEmpty ? [submission.content.birth] : manyBirths
        }
    }

    /// Where the content is; changed only while one record alone refers to it.
    private final class Storage: @unchecked Sendable {
        // The record that refers to it is itself accessed by one at a time.
        @exclusivity(unchecked) var content: Content

        init(_ content: Content) {
            self.content = content
        }
    }

    private var storage: Storage

    /// How many attempts a record shows: those with the highest tokens.
    package static let attemptsMax = Rows.capacity
    /// How many dots a record names.
    ///
    /// A peer that lacks an older one is told that it stands for nothing, and gets the record by a
    /// newer one, or when fingerprints are compared.
    static let dotsMax = 64
    /// How many births a record knows.
    static let birthsMax = 8

    init(id: TaskID, submission: Box<Submission>) {
        var content = Content(id: id, submission: submission)
        content.updatePrints(isRestNew: true)
        storage = Storage(content)
    }

    var content: Content {
        @inline(__always)
        _read { yield storage.content }
        _modify {
            if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage.content) }
            yield &storage.content
        }
    }

    // MARK: What the table knows

    /// The task.
    package var id: TaskID { content.id }
    var submission: Submission { content.submission.content }
    /// Which node's life took it in, as how manieth.
    package var birth: BirthDot { submission.birth }
    /// What was asked for.
    package var spec: TaskSpec { submission.spec }
    /// When it was submitted, by the accepting node's clock.
    package var submitted: WallTime { submission.submitted }
    /// Whether a user wishes it to end.
    package var isCancelRequested: Bool { content.cancel.isRaised }
    /// The end that the lock committed, if any.
    package var outcome: TaskOutcome? { close?.outcome }
    /// When the lock's end was written down.
    package var closed: WallTime? { close?.time }
    /// The attempts, in rising order of their tokens.
    package var attempts: [AttemptRow] { content.rows.values.map(\.row) }
    /// The attempt with the highest token.
    package var latestAttempt: AttemptRow? { content.rows.values.last?.row }
    var close: Close? { content.close?.content }
    var births: [BirthDot] { content.births }
    /// What a newer version knows of the task.
    var unknown: UnknownFields { content.unknown }
    /// The mutations that this record has taken in, in order of arrival; the newest `dotsMax`.
    var dots: DotList { content.dots }
    /// The count of this node's changes at which the record last took something in.
    var revision: UInt64 { content.revision }
    /// Of the content, without the dots: equal on nodes that know the same of the task.
    package var fingerprint: UInt64 { content.print }

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

/// A row as a record holds it: with the fingerprint of its bytes.
struct HeldRow: KeyedLattice, Hashable, Sendable {
    private(set) var print: UInt64
    private(set) var row: AttemptRow

    init(_ row: AttemptRow) {
        self.row = row
        print = row.print
    }

    var key: AttemptRow.Key { row.key }

    /// What names the row among those of its task in patches.
    var mark: UInt32 { UInt32(truncatingIfNeeded: print) }

    @discardableResult
    mutating func join(_ other: HeldRow) -> Bool {
        guard row.join(other.row) else { return false }
        print = other.print
        return true
    }

    /// Joins the row that a patch makes of this one.
    mutating func join(_ patch: RowPatch) -> Bool {
        // A later phase wins whatever else is said: no copy is needed.
        guard patch.phase > row.phase else { return join(HeldRow(patch.applied(to: row))) }
        patch.apply(to: &row)
        print = row.print
        return true
    }
}
