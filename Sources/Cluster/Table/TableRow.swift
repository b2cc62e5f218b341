import CRDT
import Model

/// The rows on disk of the two sets of dots: one for each interval, so that a change of a large
/// set writes little.
///
/// Each row tells the truth by itself: it is made from what is on disk already and from what the
/// same write brings, so that no failed write makes a later one claim too much.
enum TableRow {
    /// Whole sets of an origin in one row each, as the first version wrote them; still read.
    private static let legacyContext: UInt8 = 1
    private static let legacyCollected: UInt8 = 2
    private static let context: UInt8 = 3
    private static let collected: UInt8 = 4

    /// Writes intervals of `added`, joined with their neighbours in `known`.
    static func append(
        _ added: DotSet, of set: TableSet, within known: DotSet, to writes: inout [DurableWrite]
    ) {
        for origin in added.origins {
            for interval in added.intervals(of: origin) {
                let whole = known.interval(joining: interval, of: origin)
                let key = key(of: set, origin: origin, lower: whole.lowerBound)
                if whole.lowerBound < whole.upperBound {
                    // Rows of parts, which writes under way at the same time may have left.
                    let last = self.key(of: set, origin: origin, lower: whole.upperBound)
                    writes.append(.deleteRange(.context, from: key + [0], to: last + [0]))
                }
                var value = ByteWriter()
                value.varint(whole.upperBound)
                writes.append(.put(.context, key: key, value: value.bytes))
            }
        }
    }

    private static func key(of set: TableSet, origin: UInt64, lower: UInt64) -> [UInt8] {
        var key = ByteWriter()
        key.byte(set == .context ? context : collected)
        key.fixed64(origin)
        key.fixed64(lower)
        return key.bytes
    }

    /// Reads a row of either kind.
    static func read(
        _ row: DurableImage.Row
    ) throws(CodecError) -> (set: TableSet, dots: DotSet) {
        var key = ByteReader(row.key)
        var value = ByteReader(row.value)
        let kind = try key.byte()
        let origin = try key.fixed64()
        var dots = DotSet()
        switch kind {
        case context, collected:
            let lower = try key.fixed64()
            let upper = try value.varint()
            guard lower <= upper else { throw .malformed }
            dots.insert(lower...upper, of: origin)
        case legacyContext, legacyCollected:
            let count = try value.varint(max: 1)
            for _ in 0..<count {
                guard try value.fixed64() == origin else { throw .malformed }
                let intervals = try value.list(max: .max) { (reader) throws(CodecError) in
                    try reader.interval()
                }
                for interval in intervals { dots.insert(interval, of: origin) }
            }
        default: throw .malformed
        }
        try key.end()
        try value.end()
        return (kind == context || kind == legacyContext ? .context : .collected, dots)
    }
}
