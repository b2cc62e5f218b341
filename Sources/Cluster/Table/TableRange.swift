import CRDT
import Model

/// A part of the table and what a node has in it, to find records that differ.
///
/// Source: Meyer, "Range-Based Set Reconciliation" (2023): ranges whose fingerprints differ are
/// divided until they are short, then listed.
struct TableRange: Hashable, Sendable {
    /// What the sender says about the range.
    enum Content: Hashable, Sendable {
        /// The sum of its records' fingerprints.
        case sum(UInt64)
        /// All its records, by the first half of their fingerprints.
        case prints([UInt32])
        /// Send me these.
        case wanted([UInt32])
    }

    /// The first ID in it.
    var lower: TaskID
    /// The first ID behind it; `nil` for the end of the table.
    var upper: TaskID?
    var content: Content

    /// The most ranges in one message.
    static let countMax = 4_096
    /// The most records that one range lists.
    static let printsMax = 1_024
    /// In how many parts a range is divided.
    static let partsCount = 8
    /// Ranges with at most so many records are listed, not divided.
    static let listedMax = 24

    /// Every ID there is.
    static let whole = (lower: TaskID(Wide128(high: 0, low: 0)), upper: TaskID?.none)

    /// The shortest ID, zeros behind it, that lies above `below` and not above `above`.
    static func boundary(below: TaskID, above: TaskID) -> TaskID {
        let low = below.value.bytes
        var high = above.value.bytes
        let shared = zip(low, high).prefix { $0 == $1 }.count
        for index in high.indices.dropFirst(shared + 1) { high[index] = 0 }
        return Wide128(bytes: high).map(TaskID.init) ?? above
    }
}

extension TableRange {
    private static let sumKind: UInt8 = 0
    private static let printsKind: UInt8 = 1
    private static let wantedKind: UInt8 = 2
    private static let continues: UInt8 = 4
    private static let isOpen: UInt8 = 8

    /// Writes ranges; where one begins at the end of the last, that is not said again.
    static func encode(_ ranges: [TableRange], into writer: inout ByteWriter) {
        var last = whole.lower
        writer.list(ranges) { writer, range in
            var head: UInt8
            switch range.content {
            case .sum: head = sumKind
            case .prints: head = printsKind
            case .wanted: head = wantedKind
            }
            if range.lower == last { head |= continues }
            if range.upper == nil { head |= isOpen }
            writer.byte(head)
            if range.lower != last { encode(range.lower, after: last, into: &writer) }
            if let upper = range.upper {
                encode(upper, after: range.lower, into: &writer)
                last = upper
            } else {
                last = whole.lower
            }
            switch range.content {
            case .sum(let sum): writer.fixed64(sum)
            case .prints(let prints), .wanted(let prints):
                writer.list(prints) { writer, print in
                    for shift in [24, 16, 8, 0] as [UInt32] {
                        writer.byte(UInt8(truncatingIfNeeded: print >> shift))
                    }
                }
            }
        }
    }

    static func list(from reader: inout ByteReader) throws(CodecError) -> [TableRange] {
        var last = whole.lower
        return try reader.list(max: countMax) { (reader) throws(CodecError) -> TableRange in
            let head = try reader.byte()
            let lower =
                head & continues != 0 ? last : try TableRange.bound(after: last, from: &reader)
            var upper: TaskID?
            if head & isOpen == 0 {
                let end = try TableRange.bound(after: lower, from: &reader)
                guard lower < end else { throw .malformed }
                upper = end
            }
            last = upper ?? whole.lower
            let content: Content
            switch head & 3 {
            case sumKind: content = .sum(try reader.fixed64())
            case printsKind: content = .prints(try TableRange.prints(from: &reader))
            case wantedKind: content = .wanted(try TableRange.prints(from: &reader))
            default: throw .malformed
            }
            guard head < 16 else { throw .malformed }
            return TableRange(lower: lower, upper: upper, content: content)
        }
    }

    private static func prints(from reader: inout ByteReader) throws(CodecError) -> [UInt32] {
        try reader.list(max: printsMax) { (reader) throws(CodecError) in
            try reader.raw(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        }
    }

    /// Writes an ID as what it shares with the one before, and the rest without its last zeros.
    private static func encode(
        _ id: TaskID, after last: TaskID, into writer: inout ByteWriter
    ) {
        let bytes = id.value.bytes
        let shared = zip(last.value.bytes, bytes).prefix { $0 == $1 }.count
        var rest = bytes[shared...]
        while rest.last == 0 { rest.removeLast() }
        writer.varint(UInt64(shared * 17 + rest.count))
        writer.raw(rest)
    }

    private static func bound(
        after last: TaskID, from reader: inout ByteReader
    ) throws(CodecError) -> TaskID {
        let sizes = Int(try reader.varint(max: 16 * 17 + 16))
        let (shared, count) = sizes.quotientAndRemainder(dividingBy: 17)
        guard shared + count <= 16 else { throw .malformed }
        var bytes = Array(last.value.bytes.prefix(shared)) + (try reader.raw(count))
        bytes += [UInt8](repeating: 0, count: 16 - bytes.count)
        guard let value = Wide128(bytes: bytes) else { throw .malformed }
        return TaskID(value)
    }
}
