/// Tagged fields as they were read or written, one frame after another.
private struct TaggedFrames {
    private var reader: ByteReader
    /// The first frame that is left: its tag, and all of its bytes.
    private(set) var first: (tag: UInt64, bytes: ArraySlice<UInt8>)?

    init(_ bytes: [UInt8]) {
        reader = ByteReader(bytes)
        takeNext()
    }

    mutating func takeNext() {
        var rest = reader
        guard let tag = try? rest.varint(), (try? rest.blob(max: rest.remaining)) != nil,
            let bytes = try? reader.raw(reader.remaining - rest.remaining)
        else { return first = nil }
        first = (tag, bytes)
    }
}

extension ByteWriter {
    /// Writes two lists of tagged fields as one; in either the tags rise, and none is in both.
    ///
    /// Fields that were not known when they were read may belong between those that were. Behind them
    /// they would make the whole unreadable, also to whoever keeps it on his disk.
    package mutating func fields(_ known: [UInt8], and unknown: [UInt8]) {
        guard !unknown.isEmpty else { return raw(known) }
        var known = TaggedFrames(known)
        var unknown = TaggedFrames(unknown)
        while let frame = known.first {
            if let other = unknown.first, other.tag < frame.tag {
                raw(other.bytes)
                unknown.takeNext()
            } else {
                raw(frame.bytes)
                known.takeNext()
            }
        }
        while let frame = unknown.first {
            raw(frame.bytes)
            unknown.takeNext()
        }
    }
}
