package import CRDT
package import Model

/// What two nodes' tables say to each other.
enum TableMessage: Sendable {
    /// Fresh changes. With an `ack` number the receiver says `stored` once they are on its disk.
    case push(ack: UInt64, reach: PushReach, TableDeltas)
    /// Everything of the push with this number is on my disk.
    case stored(ack: UInt64)
    /// This is the fingerprint of what I know; do you know the same?
    case digest(TableDigest)
    /// I do.
    case same(context: UInt64)
    /// My set of dots is too large for a page: these are the fingerprints of its parts.
    case buckets(TableSet, [UInt64])
    /// This is what I know of these dots; send what I lack, and your own page when `wantsReply`.
    case context(DotPage, wantsReply: Bool)
    /// What you lack: records, and dots that stand for nothing any more. There `isMore` than that:
    /// ask again once this is on your disk.
    case records(TableDeltas, voids: [VoidDots], isMore: Bool)
    /// Of the births on this page, these were collected; tell me yours when `wantsReply`.
    case collected(DotPage, wantsReply: Bool)
    /// Parts of the table, to find records that differ.
    case ranges([TableRange])

    /// You pushed changes of these tasks, and I lack what they build upon.
    case lacking([TaskID])

    /// The most tasks that one question names.
    static let lackingMax = 4_096
    /// Dots of one origin that stand for nothing any more.
    typealias VoidDots = (origin: UInt64, interval: ClosedRange<UInt64>)

    /// How an encoded push begins.
    static let pushTag: UInt8 = 1
    /// The most deltas in one message.
    static let deltasMax = 16_384
    /// The most void intervals in one message.
    static let voidsMax = 16_384
}

/// A table's fingerprints: of the changes on its disk, of the collected births, of the records.
struct TableDigest: Hashable, Sendable {
    var context: UInt64
    var collected: UInt64
    var records: UInt64
}

/// The two sets of dots that replicas compare.
enum TableSet: UInt8, Sendable {
    case context = 1
    case collected = 2
}

/// All that a set holds between two dots, both included.
struct DotPage: Hashable, Sendable {
    var lower = Dot.first
    var upper = Dot.last
    var set: DotSet

    /// The most intervals on one page.
    static let intervalsMax = 4_096

    /// Whether it tells about every dot there is.
    var isWhole: Bool { lower == .first && upper == .last }
}

/// Deltas of a message: those that can be read, and how many others there were.
///
/// One that this version can't read does not take the others with it: it is left out, its dots
/// are not claimed, and so it comes again, to a version that can.
struct TableDeltas: Sendable {
    var readable: [TaskDelta]
    var unreadableCount = 0

    init(_ deltas: [TaskDelta]) {
        readable = deltas
    }
}

extension TableMessage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .push(let ack, let reach, let deltas):
            TableMessage.encodePush(ack: ack, reach: reach, into: &writer)
            deltas.encode(into: &writer)
        case .stored(let ack):
            writer.byte(2)
            writer.varint(ack)
        case .digest(let digest):
            writer.byte(3)
            writer.fixed64(digest.context)
            writer.fixed64(digest.collected)
            writer.fixed64(digest.records)
        case .same(let context):
            writer.byte(4)
            writer.fixed64(context)
        case .context(let page, let wantsReply):
            writer.byte(5)
            writer.bool(wantsReply)
            page.encode(into: &writer)
        case .records(let deltas, let voids, let isMore):
            TableMessage.encodeRecords(voids: voids, isMore: isMore, into: &writer)
            deltas.encode(into: &writer)
        case .collected(let page, let wantsReply):
            writer.byte(7)
            writer.bool(wantsReply)
            page.encode(into: &writer)
        case .buckets(let set, let sums):
            writer.byte(8)
            writer.byte(set.rawValue)
            for sum in sums { writer.fixed64(sum) }
        case .ranges(let ranges):
            writer.byte(9)
            TableRange.encode(ranges, into: &writer)
        case .lacking(let ids):
            writer.byte(10)
            writer.list(ids) { $1.encode(into: &$0) }
        }
    }

    /// The beginning of a push; its deltas follow.
    static func encodePush(ack: UInt64, reach: PushReach, into writer: inout ByteWriter) {
        writer.byte(pushTag)
        writer.varint(ack)
        reach.encode(into: &writer)
    }

    /// The beginning of a push, by itself.
    static func pushHead(_ ack: UInt64, _ reach: PushReach) -> [UInt8] {
        var writer = ByteWriter()
        encodePush(ack: ack, reach: reach, into: &writer)
        return writer.bytes
    }

    /// The beginning of an answer; its deltas follow.
    static func encodeRecords(
        voids: [VoidDots], isMore: Bool,
        into writer: inout ByteWriter
    ) {
        writer.byte(6)
        writer.bool(isMore)
        writer.list(voids) { writer, void in
            writer.fixed64(void.origin)
            writer.varint(void.interval.lowerBound)
            writer.varint(void.interval.upperBound)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1:
            let ack = try reader.varint()
            let reach = try PushReach(from: &reader)
            self = .push(ack: ack, reach: reach, try TableDeltas(from: &reader))
        case 2: self = .stored(ack: try reader.varint())
        case 3:
            let context = try reader.fixed64()
            let collected = try reader.fixed64()
            self = .digest(
                TableDigest(
                    context: context, collected: collected, records: try reader.fixed64()))
        case 4: self = .same(context: try reader.fixed64())
        case 5:
            let wantsReply = try reader.bool()
            self = .context(try DotPage(from: &reader), wantsReply: wantsReply)
        case 6:
            let isMore = try reader.bool()
            let voids = try reader.list(max: TableMessage.voidsMax) {
                (reader) throws(CodecError) -> VoidDots in
                let origin = try reader.fixed64()
                return (origin, try reader.interval())
            }
            self = .records(try TableDeltas(from: &reader), voids: voids, isMore: isMore)
        case 7:
            let wantsReply = try reader.bool()
            self = .collected(try DotPage(from: &reader), wantsReply: wantsReply)
        case 8:
            guard let set = TableSet(rawValue: try reader.byte()) else { throw .malformed }
            var sums: [UInt64] = []
            for _ in 0..<DotSet.bucketCount { sums.append(try reader.fixed64()) }
            self = .buckets(set, sums)
        case 9: self = .ranges(try TableRange.list(from: &reader))
        case 10:
            self = .lacking(
                try reader.list(max: TableMessage.lackingMax) { (reader) throws(CodecError) in
                    try TaskID(from: &reader)
                })
        default: throw .malformed
        }
    }
}

extension TableDeltas: WireCodable {
    func encode(into writer: inout ByteWriter) {
        writer.list(readable) { $1.encode(into: &$0) }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let all = try reader.list(max: TableMessage.deltasMax) {
            (reader) throws(CodecError) -> TaskDelta? in
            let id = try TaskID(from: &reader)
            let fields = try reader.blob(max: TaskDelta.sizeBytesMax)
            return try? TaskDelta(id: id, fields: fields)
        }
        self.init(all.compactMap { $0 })
        unreadableCount = all.count - readable.count
    }
}

extension DotPage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        writer.bool(isWhole)
        if !isWhole {
            for dot in [lower, upper] {
                writer.fixed64(dot.origin)
                writer.varint(dot.sequence)
            }
        }
        writer.dots(set)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        var bounds = [Dot.first, Dot.last]
        if try !reader.bool() {
            for index in bounds.indices {
                let origin = try reader.fixed64()
                bounds[index] = Dot(origin: origin, sequence: try reader.varint())
            }
        }
        guard bounds[0] <= bounds[1] else { throw .malformed }
        self.init(
            lower: bounds[0], upper: bounds[1],
            set: try reader.dots(intervalsMax: DotPage.intervalsMax))
    }
}

extension ByteWriter {
    /// Writes a set of dots: origins rise, and within one each bound as the distance from the last.
    package mutating func dots(_ set: DotSet) {
        list(set.origins) { writer, origin in
            writer.fixed64(origin)
            var before: UInt64 = 0
            writer.list(set.intervals(of: origin)) { writer, interval in
                writer.varint(interval.lowerBound - before)
                writer.varint(interval.upperBound - interval.lowerBound)
                before = interval.upperBound
            }
        }
    }
}

extension ByteReader {
    mutating func interval() throws(CodecError) -> ClosedRange<UInt64> {
        let lower = try varint()
        let upper = try varint()
        guard lower <= upper else { throw .malformed }
        return lower...upper
    }

    /// Reads a set of dots of at most `intervalsMax` intervals, written in its one form.
    mutating func dots(intervalsMax: Int) throws(CodecError) -> DotSet {
        var set = DotSet()
        var left = intervalsMax
        var last: UInt64?
        let originCount = Int(try varint(max: UInt64(intervalsMax)))
        for _ in 0..<originCount {
            let origin = try fixed64()
            if let last, origin <= last { throw .notCanonical }
            last = origin
            let count = Int(try varint(max: UInt64(left)))
            guard count > 0 else { throw .notCanonical }
            left -= count
            var before: UInt64 = 0
            for number in 0..<count {
                let (lower, overflow) = before.addingReportingOverflow(try varint())
                let (upper, carried) = lower.addingReportingOverflow(try varint())
                guard !overflow, !carried else { throw .outOfBounds }
                // Neighbours are one interval: between two there is a gap.
                guard number == 0 || lower - before > 1 else { throw .notCanonical }
                set.insert(lower...upper, of: origin)
                before = upper
            }
        }
        return set
    }
}
