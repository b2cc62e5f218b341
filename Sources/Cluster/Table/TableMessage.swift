import CRDT
import Model

/// What two nodes' tables say to each other.
enum TableMessage: Sendable {
    /// Fresh changes. With an `ack` number the receiver says `stored` once they are on its disk.
    case push(ack: UInt64, hops: UInt8, [TaskDelta])
    /// Everything of the push with this number is on my disk.
    case stored(ack: UInt64)
    /// This is the hash of what I know; do you know the same?
    case digest(context: UInt64, collected: UInt64)
    /// I do.
    case same(context: UInt64)
    /// This is what I know; send what I lack, and your own vector when `wantsReply`.
    case vector(DotSet, wantsReply: Bool)
    /// What you lack: records, and dots that stand for nothing any more.
    case records([TaskDelta], voids: [(origin: UInt64, interval: ClosedRange<UInt64>)])
    /// These births were collected.
    case collected(DotSet)

    /// The most deltas in one message.
    static let deltasMax = 16_384
    /// The most void intervals in one message.
    static let voidsMax = 65_536
}

extension TableMessage: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .push(let ack, let hops, let deltas):
            writer.byte(1)
            writer.varint(ack)
            writer.byte(hops)
            writer.list(deltas) { $1.encode(into: &$0) }
        case .stored(let ack):
            writer.byte(2)
            writer.varint(ack)
        case .digest(let context, let collected):
            writer.byte(3)
            writer.fixed64(context)
            writer.fixed64(collected)
        case .same(let context):
            writer.byte(4)
            writer.fixed64(context)
        case .vector(let context, let wantsReply):
            writer.byte(5)
            writer.bool(wantsReply)
            writer.dots(context, limit: TableConfiguration.vectorIntervalsMax)
        case .records(let deltas, let voids):
            writer.byte(6)
            writer.list(deltas) { $1.encode(into: &$0) }
            writer.list(voids) { writer, void in
                writer.fixed64(void.origin)
                writer.varint(void.interval.lowerBound)
                writer.varint(void.interval.upperBound)
            }
        case .collected(let births):
            writer.byte(7)
            writer.dots(births, limit: TableConfiguration.vectorIntervalsMax)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1:
            let ack = try reader.varint()
            let hops = try reader.byte()
            self = .push(ack: ack, hops: hops, try TableMessage.deltas(from: &reader))
        case 2: self = .stored(ack: try reader.varint())
        case 3:
            let context = try reader.fixed64()
            self = .digest(context: context, collected: try reader.fixed64())
        case 4: self = .same(context: try reader.fixed64())
        case 5:
            let wantsReply = try reader.bool()
            self = .vector(try reader.dots(), wantsReply: wantsReply)
        case 6:
            let deltas = try TableMessage.deltas(from: &reader)
            let voids = try reader.list(max: TableMessage.voidsMax) {
                (reader) throws(CodecError) -> (origin: UInt64, interval: ClosedRange<UInt64>) in
                let origin = try reader.fixed64()
                return (origin, try reader.interval())
            }
            self = .records(deltas, voids: voids)
        case 7: self = .collected(try reader.dots())
        default: throw .malformed
        }
    }

    private static func deltas(
        from reader: inout ByteReader
    ) throws(CodecError) -> [TaskDelta] {
        try reader.list(max: deltasMax) { (reader) throws(CodecError) in
            try TaskDelta(from: &reader)
        }
    }
}

extension ByteWriter {
    /// Writes a set of dots, at most `limit` intervals of it.
    mutating func dots(_ set: DotSet, limit: Int) {
        var left = limit
        let origins = set.origins.compactMap { origin -> (UInt64, [ClosedRange<UInt64>])? in
            let intervals = Array(set.intervals(of: origin).prefix(left))
            left -= intervals.count
            return intervals.isEmpty ? nil : (origin, intervals)
        }
        list(origins) { writer, row in
            writer.fixed64(row.0)
            writer.list(row.1) {
                $0.varint($1.lowerBound)
                $0.varint($1.upperBound)
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

    /// Reads a set of dots of at most `TableConfiguration.vectorIntervalsMax` intervals.
    mutating func dots() throws(CodecError) -> DotSet {
        let limit = TableConfiguration.vectorIntervalsMax
        var set = DotSet()
        let rows = try list(max: limit) {
            (reader) throws(CodecError) -> (UInt64, [ClosedRange<UInt64>]) in
            let origin = try reader.fixed64()
            return (
                origin,
                try reader.list(max: limit) { (reader) throws(CodecError) in
                    try reader.interval()
                }
            )
        }
        for (origin, intervals) in rows {
            for interval in intervals { set.insert(interval, of: origin) }
        }
        return set
    }
}

extension DotSet {
    /// A hash of the whole set, the same in every process (FNV-1a, 64 bits).
    var digest: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ value: UInt64) {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                hash = (hash ^ (value >> shift & 0xFF)) &* 0x0000_0100_0000_01B3
            }
        }
        for origin in origins {
            mix(origin)
            for interval in intervals(of: origin) {
                mix(interval.lowerBound)
                mix(interval.upperBound)
            }
        }
        return hash
    }
}
