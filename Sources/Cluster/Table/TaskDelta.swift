import CRDT
package import Model

/// A part of a record that travels: some of its fields, and the mutations that they stand for.
///
/// The whole record is a delta too. A delta without the submission means nothing to a node that
/// lacks the task: it is ignored there, and its dots are not claimed.
struct TaskDelta: Hashable, Sendable {
    var id: TaskID
    var boxedSubmission: Box<TaskRecord.Submission>?
    var isCancelRequested = false
    var rows: [AttemptRow] = []
    /// How rows came to be from those that peers have: sent in place of the rows with the same key.
    var patches: [AttemptRow.Key: RowPatch] = [:]
    /// Patches that were received, until the rows that they belong to are found.
    var unplaced: [RowPatch] = []
    var boxedClose: Box<TaskRecord.Close>?
    /// Births besides that of the submission.
    var births: [BirthDot] = []
    var unknown = UnknownFields()
    var dots: DotList = []

    init(id: TaskID, dots: DotList) {
        self.id = id
        self.dots = dots
    }

    /// The whole of a record.
    init(_ record: TaskRecord) {
        id = record.id
        boxedSubmission = record.content.submission
        isCancelRequested = record.isCancelRequested
        rows = record.attempts
        boxedClose = record.content.close
        if record.content.manyBirths.count > 1 {
            births = record.births.filter { $0 != record.birth }
        }
        unknown = record.unknown
        dots = record.dots
    }

    var submission: TaskRecord.Submission? {
        get { boxedSubmission?.content }
        set { boxedSubmission = newValue.map(Box.init) }
    }

    var close: TaskRecord.Close? {
        get { boxedClose?.content }
        set { boxedClose = newValue.map(Box.init) }
    }

    /// Takes in a later delta of the same task, so that both travel as one.
    ///
    /// It may grow by one beyond what a message may say of a task (`isReadable`); what comes then is
    /// in the record, which travels in its place.
    mutating func absorb(_ later: TaskDelta) {
        boxedSubmission = boxedSubmission ?? later.boxedSubmission
        isCancelRequested = isCancelRequested || later.isCancelRequested
        for row in later.rows { absorb(row, patch: later.patches[row.key]) }
        boxedClose = later.boxedClose ?? boxedClose
        for birth in later.births
        where births.count <= TaskRecord.birthsMax && !births.contains(birth) {
            births.append(birth)
        }
        unknown.join(later.unknown)
        for dot in later.dots where dots.count <= TaskRecord.dotsMax && !dots.contains(dot) {
            dots.append(dot)
        }
    }

    /// A later row takes the place of an earlier one; its patch must then begin where that did.
    private mutating func absorb(_ row: AttemptRow, patch: RowPatch?) {
        guard let index = rows.firstIndex(where: { $0.key == row.key }) else {
            guard rows.count <= TaskRecord.attemptsMax else { return }
            rows.append(row)
            patches[row.key] = patch
            return
        }
        if let first = patches[row.key], let later = patch {
            patches[row.key] = first.followed(by: later, to: row, after: rows[index])
        } else {
            patches[row.key] = nil
        }
        rows[index] = row
    }

    /// Whether a receiver takes the delta as it is: one that says more travels as the whole record.
    var isReadable: Bool {
        dots.count <= TaskRecord.dotsMax && rows.count <= TaskRecord.attemptsMax
            && births.count <= TaskRecord.birthsMax
    }
}

extension TaskRecord.Submission: WireCodable {
    /// Writes birth, time and spec.
    package func encode(into writer: inout ByteWriter) {
        birth.encode(into: &writer)
        submitted.encode(into: &writer)
        spec.encode(into: &writer)
        writer.raw(unknownTail)
    }

    /// Reads birth, time and spec; the rest is kept.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let birth = try BirthDot(from: &reader)
        let submitted = try WallTime(from: &reader)
        self.init(birth: birth, spec: try TaskSpec(from: &reader), submitted: submitted)
        unknownTail = try reader.tail(max: UnknownFields.tailSizeBytesMax)
    }
}

extension TaskRecord.Close: WireCodable {
    func encode(into writer: inout ByteWriter) {
        outcome.encode(into: &writer)
        writer.bool(token != nil)
        token?.encode(into: &writer)
        time.encode(into: &writer)
        writer.raw(unknownTail)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        outcome = try TaskOutcome(from: &reader)
        token = try reader.bool() ? try FencingToken(from: &reader) : nil
        time = try WallTime(from: &reader)
        unknownTail = try reader.tail(max: UnknownFields.tailSizeBytesMax)
    }
}

extension TaskDelta: WireCodable {
    private enum Tag {
        static let submission: UInt64 = 1
        static let cancel: UInt64 = 2
        static let rows: UInt64 = 3
        static let close: UInt64 = 4
        static let dots: UInt64 = 5
        static let births: UInt64 = 6
        static let patches: UInt64 = 7
    }

    func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        writer.counted { encodeFields(into: &$0, withDots: true) }
    }

    /// What the delta says, without the names of the mutations: equal content, equal bytes.
    var contentBytes: [UInt8] {
        var writer = ByteWriter(reservingBytes: 256)
        id.encode(into: &writer)
        encodeFields(into: &writer, withDots: false)
        return writer.bytes
    }

    private func encodeFields(into writer: inout ByteWriter, withDots: Bool) {
        guard !unknown.isEmpty else { return encodeKnownFields(into: &writer, withDots: withDots) }
        var known = ByteWriter()
        encodeKnownFields(into: &known, withDots: withDots)
        var others = ByteWriter()
        unknown.encode(into: &others)
        writer.fields(known.bytes, and: others.bytes)
    }

    private func encodeKnownFields(into fields: inout ByteWriter, withDots: Bool) {
        if let boxedSubmission {
            fields.field(Tag.submission) { boxedSubmission.content.encode(into: &$0) }
        }
        if isCancelRequested { fields.field(Tag.cancel) { $0.byte(1) } }
        let whole = patches.isEmpty ? rows : rows.filter { patches[$0.key] == nil }
        if !whole.isEmpty {
            let sorted = whole.count > 1 ? whole.sorted { $0.key < $1.key } : whole
            fields.field(Tag.rows) { $0.list(sorted) { $1.encode(into: &$0) } }
        }
        if let boxedClose { fields.field(Tag.close) { boxedClose.content.encode(into: &$0) } }
        if withDots, !dots.isEmpty { fields.field(Tag.dots) { encodeDots(into: &$0) } }
        if !births.isEmpty {
            fields.field(Tag.births) { $0.list(births.sorted()) { $1.encode(into: &$0) } }
        }
        if !patches.isEmpty {
            let sorted = patches.keys.sorted().compactMap { patches[$0] }
            fields.field(Tag.patches) { $0.list(sorted) { $1.encode(into: &$0) } }
        }
    }

    /// Sorted and by origin, each named once; their order of arrival is a node's own affair.
    private func encodeDots(into writer: inout ByteWriter) {
        if dots.count == 1 {
            writer.fixed64(dots[0].origin)
            writer.varint(1)
            return writer.varint(dots[0].sequence)
        }
        let sorted = dots.sorted()
        var first = 0
        while first < sorted.count {
            let origin = sorted[first].origin
            let end = sorted[first...].firstIndex { $0.origin != origin } ?? sorted.count
            writer.fixed64(origin)
            writer.list(sorted[first..<end]) { $0.varint($1.sequence) }
            first = end
        }
    }

    /// The largest encoding of one delta.
    static let sizeBytesMax = TaskSpec.sizeBytesMax + (64 << 10)

    init(from reader: inout ByteReader) throws(CodecError) {
        let id = try TaskID(from: &reader)
        try self.init(id: id, fields: try reader.blob(max: TaskDelta.sizeBytesMax))
    }

    /// Reads the fields of a task's delta; those of a newer version are kept.
    init(id: TaskID, fields bytes: ArraySlice<UInt8>) throws(CodecError) {
        self.init(id: id, dots: [])
        var fields = ByteReader(bytes)
        let frames = try fields.fields { (tag, content) throws(CodecError) in
            switch tag {
            case Tag.submission:
                boxedSubmission = Box(try TaskRecord.Submission(from: &content))
            case Tag.cancel:
                guard try content.byte() == 1 else { throw .malformed }
                isCancelRequested = true
            case Tag.rows:
                rows = try content.list(max: TaskRecord.attemptsMax) {
                    (reader) throws(CodecError) in try AttemptRow(from: &reader)
                }
            case Tag.close: boxedClose = Box(try TaskRecord.Close(from: &content))
            case Tag.dots: dots = try TaskDelta.dots(from: &content)
            case Tag.births:
                births = try content.list(max: TaskRecord.birthsMax) {
                    (reader) throws(CodecError) in try BirthDot(from: &reader)
                }
            case Tag.patches:
                unplaced = try content.list(max: TaskRecord.attemptsMax) {
                    (reader) throws(CodecError) in try RowPatch(from: &reader)
                }
            default:
                _ = content.rest()
                return false
            }
            return true
        }
        if !frames.isEmpty { unknown = try UnknownFields(frames: frames) }
    }

    private static func dots(from reader: inout ByteReader) throws(CodecError) -> DotList {
        var dots: DotList = []
        while reader.remaining > 0 {
            let origin = try reader.fixed64()
            let count = try reader.varint(max: UInt64(TaskRecord.dotsMax - dots.count))
            guard count > 0 else { throw .notCanonical }
            for _ in 0..<count { dots.append(Dot(origin: origin, sequence: try reader.varint())) }
        }
        return dots
    }
}
