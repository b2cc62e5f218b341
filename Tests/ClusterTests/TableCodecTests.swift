import CRDT
import LatticeLaws
import Model
import Testing

@testable import Cluster

/// What the table writes is read back as it was; what others write may be anything.
@Suite struct TableCodecTests {
    private func dots(_ count: Int, _ generator: inout Splitmix) -> DotSet {
        var set = DotSet()
        for _ in 0..<count {
            let lower = generator.next() >> (generator.next() % 64)
            let length = generator.next() >> (32 + generator.next() % 32)
            let (upper, overflow) = lower.addingReportingOverflow(length)
            set.insert(lower...(overflow ? .max : upper), of: generator.next() >> 62)
        }
        return set
    }

    private func messages(_ generator: inout Splitmix) -> [TableMessage] {
        let deltas = TableDeltas((0..<3).map { _ in TableDraws.delta(&generator) })
        let set = dots(6, &generator)
        let low = TaskID(Wide128(high: generator.next() >> 1, low: 0))
        let high = TaskID(Wide128(high: low.value.high + 1, low: generator.next()))
        return [
            .push(ack: generator.next(), hops: 3, deltas), .stored(ack: generator.next()),
            .digest(TableDigest(context: 1, collected: generator.next(), records: 3)),
            .same(context: generator.next()),
            .buckets(.collected, (0..<DotSet.bucketCount).map { _ in generator.next() }),
            .context(DotPage(set: set), wantsReply: true),
            .context(
                DotPage(
                    lower: Dot(origin: 1, sequence: 2), upper: Dot(origin: 2, sequence: 0),
                    set: set), wantsReply: false),
            .records(deltas, voids: [(3, 4...9)], isMore: true),
            .collected(DotPage(set: set), wantsReply: false), .lacking([low, high]),
            .ranges([
                TableRange(lower: TableRange.whole.lower, upper: low, content: .sum(7)),
                TableRange(lower: low, upper: high, content: .prints([1, .max])),
                TableRange(lower: high, upper: nil, content: .wanted([])),
            ]),
        ]
    }

    @Test func `every message is read back, byte for byte`() throws {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            for message in messages(&generator) {
                let bytes = message.encoded
                #expect(try TableMessage(decoding: bytes).encoded == bytes, "seed \(seed)")
            }
            let set = dots(9, &generator)
            var writer = ByteWriter()
            writer.dots(set)
            var reader = ByteReader(writer.bytes)
            #expect(try reader.dots(intervalsMax: 9) == set)
            let row = TableDraws.row(&generator)
            #expect(try AttemptRow(decoding: row.encoded) == row)
        }
    }

    @Test func `equal deltas have equal bytes, whatever the order of their parts`() throws {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            var delta = TableDraws.delta(&generator)
            for _ in 0..<5 {
                var other = TableDraws.delta(&generator)
                other.id = delta.id
                delta.absorb(other)
            }
            var shuffled = delta
            shuffled.rows.shuffle(using: &generator)
            shuffled.dots = DotList(delta.dots.shuffled(using: &generator))
            shuffled.births.shuffle(using: &generator)
            #expect(delta.encoded == shuffled.encoded)
            let read = try TaskDelta(decoding: delta.encoded)
            #expect(read.encoded == delta.encoded)
            #expect(Set(read.rows) == Set(delta.rows) && Set(read.dots) == Set(delta.dots))
            #expect(read.unknown == delta.unknown && read.close == delta.close)
        }
    }

    @Test func `sets of dots have one form only`() {
        func read(_ bytes: [UInt8], max: Int = 8) throws(CodecError) -> DotSet {
            var reader = ByteReader(bytes)
            return try reader.dots(intervalsMax: max)
        }
        let origin = [UInt8](repeating: 0, count: 7) + [1]
        #expect(throws: Never.self) { try read([1] + origin + [2, 5, 0, 2, 0]) }
        // Neighbours that touch, an origin without intervals, one twice, too many, too far.
        #expect(throws: CodecError.notCanonical) { try read([1] + origin + [2, 5, 0, 1, 0]) }
        #expect(throws: CodecError.notCanonical) { try read([1] + origin + [0]) }
        #expect(throws: CodecError.notCanonical) {
            try read([2] + origin + [1, 5, 0] + origin + [1, 9, 0])
        }
        #expect(throws: CodecError.outOfBounds) {
            try read([1] + origin + [2, 5, 0, 2, 0], max: 1)
        }
        let most = [UInt8](repeating: 0xFF, count: 9) + [1]
        #expect(throws: CodecError.outOfBounds) { try read([1] + origin + [1] + most + [1]) }
    }

    @Test func `no bytes trap a replica, nor harm what it knows`() {
        for seed in 0..<12 as Range<UInt64> {
            var bench = TableBench(seed: seed, count: 2)
            bench.submit(1, at: 0)
            bench.settle(rounds: 2)
            var generator = Splitmix(state: seed)
            for message in messages(&generator) {
                let bytes = message.encoded
                for _ in 0..<60 {
                    var torn = bytes
                    switch generator.next() % 4 {
                    case 0: torn = Array(torn.prefix(Int(generator.next() % UInt64(torn.count))))
                    case 1, 2:
                        for _ in 0...(generator.next() % 3) {
                            let position = Int(generator.next() % UInt64(torn.count))
                            torn[position] ^= 1 << (generator.next() % 8)
                        }
                    default:
                        torn =
                            [torn[0]]
                            + (0..<40).map { _ in
                                UInt8(truncatingIfNeeded: generator.next())
                            }
                    }
                    bench.step(1, .received(torn, from: TableBench.id(0)))
                }
                bench.packets = []
                bench.persistAll(1)
            }
            bench.replicas[1].tasks.checkInvariants()
            bench.replicas[1].index.checkInvariants()
            #expect(bench.replicas[1].record(TableBench.task(1)) != nil)
            bench.settle(rounds: 5)
        }
    }

    // MARK: Newer versions

    /// A delta as a newer version may write it: unknown fields, and unknown ends of known ones.
    private func newer(tailSizeBytes: Int, fieldSizeBytes: Int, fieldCount: Int) -> [UInt8] {
        let tail = [UInt8](repeating: 7, count: tailSizeBytes)
        var generator = Splitmix(state: 1)
        var fields = ByteWriter()
        fields.field(1) { field in
            TableDraws.submission(&generator).encode(into: &field)
            field.raw(tail)
        }
        fields.field(3) { field in
            let row = TableDraws.row(&generator).encoded.dropFirst(1)
            field.varint(1)
            field.blob(row + tail)
        }
        fields.field(4) { field in
            TableDraws.close(&generator).encode(into: &field)
            field.raw(tail)
        }
        for tag in 0..<fieldCount {
            fields.field(UInt64(100 + tag)) {
                $0.raw([UInt8](repeating: 9, count: fieldSizeBytes))
            }
        }
        var writer = ByteWriter()
        TableBench.task(1).encode(into: &writer)
        writer.blob(fields.bytes)
        return writer.bytes
    }

    @Test func `what a newer version wrote goes through this one unchanged`() throws {
        let bytes = newer(
            tailSizeBytes: UnknownFields.tailSizeBytesMax,
            fieldSizeBytes: UnknownFields.sizeBytesMax, fieldCount: UnknownFields.countMax)
        let delta = try TaskDelta(decoding: bytes)
        #expect(delta.encoded == bytes)
        var bench = TableBench(seed: 1, count: 2)
        let push = TableMessage.push(ack: 0, hops: 0, TableDeltas([delta]))
        bench.step(0, .received(push.encoded, from: TableBench.id(1)))
        bench.attempt(1, token: 99, at: 0)
        bench.persistAll(0)
        bench.restart(0)
        bench.settle(rounds: 4)
        for replica in bench.replicas {
            let record = try #require(replica.record(TableBench.task(1)))
            #expect(record.unknown == delta.unknown)
            #expect(record.submission.unknownTail == delta.submission?.unknownTail)
            #expect(record.close?.unknownTail == delta.close?.unknownTail)
            #expect(record.attempts.first?.unknownTail == delta.rows.first?.unknownTail)
        }
    }

    @Test func `what a newer node alone wrote of a task reaches those who took it in, too`()
        throws
    {
        var bench = TableBench(seed: 1, count: 3)
        bench.configuration.newerFields = [7, 7, 7]
        bench.restart(0)
        bench.submit(1, at: 0)
        bench.persistAll(0)
        // Nobody hears of it: the client asks another node, which is older.
        bench.packets = []
        bench.configuration.newerFields = []
        bench.submit(1, at: 1)
        bench.attempt(1, token: 5, at: 1)
        bench.persistAll(1)
        for packet in bench.packets where packet.to == 2 {
            bench.step(2, .received(packet.bytes, from: packet.from))
        }
        bench.packets = []
        bench.persistAll(2)
        #expect(bench.replicas[2].record(TableBench.task(1))?.unknown.isEmpty == true)
        // The newer one comes back, as an older version.
        bench.restart(0)
        bench.settle(rounds: 4)
        for index in bench.replicas.indices { bench.restart(index) }
        let first = try #require(bench.replicas[0].record(TableBench.task(1)))
        #expect(bench.isConverged && !first.unknown.isEmpty && first.births.count == 2)
    }

    /// Found by fuzzing: it was written again behind the known ones, and nobody could read the record.
    @Test func `a field of a newer version before all known ones keeps its place`() throws {
        var frames = ByteWriter()
        frames.field(0) { $0.byte(9) }
        var delta = TaskDelta(id: TableBench.task(1), dots: [])
        delta.isCancelRequested = true
        delta.unknown = try UnknownFields(frames: frames.bytes)
        let read = try TaskDelta(decoding: delta.encoded)
        #expect(read.unknown == delta.unknown && read.isCancelRequested)
        #expect(read.encoded == delta.encoded)
    }

    @Test func `beyond the bounds, a newer version's record is left to newer versions`() {
        for (tail, field) in [
            (UnknownFields.tailSizeBytesMax + 1, 1), (0, UnknownFields.sizeBytesMax + 1),
        ] {
            let bytes = newer(tailSizeBytes: tail, fieldSizeBytes: field, fieldCount: 1)
            #expect(throws: CodecError.outOfBounds) { try TaskDelta(decoding: bytes) }
        }
        // Of too many fields, those with the lowest tags stay.
        let bytes = newer(
            tailSizeBytes: 0, fieldSizeBytes: 1, fieldCount: UnknownFields.countMax + 1)
        let kept = (try? TaskDelta(decoding: bytes))?.unknown.fields
        #expect(kept?.count == UnknownFields.countMax && kept?.last?.tag == 115)
    }
}
