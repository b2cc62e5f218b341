import CRDT
import Model

/// Fields of a record that a newer version wrote: kept and passed on, though not understood.
///
/// While nodes of two versions run side by side, a record goes through both. What the older ones
/// do not know must come out of them as it went in, or the newer ones would never agree. Of one
/// field, everybody keeps the larger content; a newer version's join of it must agree with that.
struct UnknownFields: Lattice, Hashable, Sendable {
    struct Field: Hashable, Sendable {
        var tag: UInt64
        var content: [UInt8]
    }

    /// In rising order of their tags.
    private(set) var fields: [Field] = []

    /// How many unknown fields a record keeps: those with the lowest tags.
    static let countMax = 16
    /// The largest unknown field; a record with a larger one can't be read.
    static let sizeBytesMax = 1_024
    /// How many bytes may follow the known parts of a row, a close or a submission.
    static let tailSizeBytesMax = 256

    init() {}

    /// Reads what `ByteReader.fields` returned.
    init(frames: [UInt8]) throws(CodecError) {
        var reader = ByteReader(frames)
        while reader.remaining > 0 {
            let tag = try reader.varint()
            let content = Array(try reader.blob(max: UnknownFields.sizeBytesMax))
            insert(Field(tag: tag, content: content))
        }
    }

    var isEmpty: Bool { fields.isEmpty }

    @discardableResult
    mutating func join(_ other: UnknownFields) -> Bool {
        var hasGrown = false
        for field in other.fields where insert(field) { hasGrown = true }
        return hasGrown
    }

    /// Writes the frames.
    func encode(into writer: inout ByteWriter) {
        for field in fields { writer.field(field.tag) { $0.raw(field.content) } }
    }

    @discardableResult
    private mutating func insert(_ field: Field) -> Bool {
        let index = fields.firstIndex { $0.tag >= field.tag } ?? fields.count
        if index < fields.count, fields[index].tag == field.tag {
            guard fields[index].content.lexicographicallyPrecedes(field.content) else {
                return false
            }
            fields[index] = field
            return true
        }
        guard index < UnknownFields.countMax else { return false }
        fields.insert(field, at: index)
        if fields.count > UnknownFields.countMax { fields.removeLast() }
        return true
    }
}
