import CRDT
package import Model

/// A part of a record that travels: some of its fields, and the mutations that they stand for.
///
/// The whole record is a delta too. A delta without the submission means nothing to a node that
/// lacks the task: it is ignored there, and its dots are not claimed.
struct TaskDelta: Sendable {
    var id: TaskID
    var submission: TaskRecord.Submission?
    var isCancelRequested = false
    var rows: [AttemptRow] = []
    var close: TaskRecord.Close?
    var dots: [Dot] = []

    init(id: TaskID, dots: [Dot]) {
        self.id = id
        self.dots = dots
    }

    /// The whole of a record.
    init(_ record: TaskRecord) {
        id = record.id
        submission = record.submission
        isCancelRequested = record.isCancelRequested
        rows = record.attempts
        close = record.close
        dots = record.dots
    }

    /// Takes in a later delta of the same task, so that both travel as one.
    mutating func absorb(_ later: TaskDelta) {
        submission = submission ?? later.submission
        isCancelRequested = isCancelRequested || later.isCancelRequested
        for row in later.rows {
            rows.removeAll { $0.key == row.key }
            rows.append(row)
        }
        close = later.close ?? close
        dots += later.dots.filter { !dots.contains($0) }
    }
}

extension TaskRecord {
    /// Joins a delta of this task; returns whether anything has grown.
    mutating func join(_ delta: TaskDelta) -> Bool {
        var hasGrown = false
        if let submission = delta.submission, self.submission.join(submission) { hasGrown = true }
        if cancel.join(RaisedFlag(isRaised: delta.isCancelRequested)) { hasGrown = true }
        for row in delta.rows where rows.join(row, at: row.key) { hasGrown = true }
        if let theirs = delta.close {
            if close == nil {
                close = theirs
                hasGrown = true
            } else if close?.join(theirs) == true {
                hasGrown = true
            }
        }
        note(delta.dots)
        return hasGrown
    }
}

extension TaskRecord.Submission: WireCodable {
    /// Writes birth, time and spec.
    package func encode(into writer: inout ByteWriter) {
        birth.encode(into: &writer)
        submitted.encode(into: &writer)
        spec.encode(into: &writer)
    }

    /// Reads birth, time and spec.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let birth = try BirthDot(from: &reader)
        let submitted = try WallTime(from: &reader)
        self.init(birth: birth, spec: try TaskSpec(from: &reader), submitted: submitted)
    }
}

extension TaskRecord.Close: WireCodable {
    func encode(into writer: inout ByteWriter) {
        outcome.encode(into: &writer)
        writer.bool(token != nil)
        token?.encode(into: &writer)
        time.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        outcome = try TaskOutcome(from: &reader)
        token = try reader.bool() ? try FencingToken(from: &reader) : nil
        time = try WallTime(from: &reader)
    }
}

extension TaskDelta: WireCodable {
    func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        var fields = ByteWriter()
        if let submission { fields.field(1) { submission.encode(into: &$0) } }
        if isCancelRequested { fields.field(2) { $0.byte(1) } }
        if !rows.isEmpty { fields.field(3) { $0.list(rows) { $1.encode(into: &$0) } } }
        if let close { fields.field(4) { close.encode(into: &$0) } }
        fields.field(5) { writer in
            writer.list(dots) {
                $0.fixed64($1.origin)
                $0.varint($1.sequence)
            }
        }
        writer.blob(fields.bytes)
    }

    /// The largest encoding of one delta.
    static let sizeBytesMax = TaskSpec.sizeBytesMax + (64 << 10)

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(id: try TaskID(from: &reader), dots: [])
        var fields = ByteReader(try reader.blob(max: TaskDelta.sizeBytesMax))
        // A newer version's fields are dropped here: what they mean, its own nodes repeat.
        _ = try fields.fields { (tag, content) throws(CodecError) in
            switch tag {
            case 1: submission = try TaskRecord.Submission(from: &content)
            case 2:
                guard try content.byte() == 1 else { throw .malformed }
                isCancelRequested = true
            case 3:
                rows = try content.list(max: TaskRecord.attemptsMax) {
                    (reader) throws(CodecError) in try AttemptRow(from: &reader)
                }
            case 4: close = try TaskRecord.Close(from: &content)
            case 5:
                dots = try content.list(max: TaskRecord.dotsMax) {
                    (reader) throws(CodecError) -> Dot in
                    let origin = try reader.fixed64()
                    return Dot(origin: origin, sequence: try reader.varint())
                }
            default:
                _ = content.rest()
                return false
            }
            return true
        }
    }
}
