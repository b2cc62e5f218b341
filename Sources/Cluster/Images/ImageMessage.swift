import Model

/// What nodes say to each other about images.
enum ImageMessage {
    /// The sender's catalog has this fingerprint.
    case offer(fingerprint: UInt64)
    /// Rows of the sender's catalog; whoever is asked for its own answers with all of them.
    case rows([ImageCatalog.Row], wantsYours: Bool)
    /// Read this excerpt of a part.
    case ask(ImageReadID, ImageDigest, offset: UInt64)
    /// The excerpt; `nil` when the sender does not have the part.
    case answer(ImageReadID, ImageChunk?)

    private enum Kind: UInt8 {
        case offer = 1
        case rows = 2
        case ask = 3
        case answer = 4
    }

    /// How many rows travel in one message.
    static let rowsMax = 256

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .offer(let fingerprint):
            writer.byte(Kind.offer.rawValue)
            writer.fixed64(fingerprint)
        case .rows(let rows, let wantsYours):
            writer.byte(Kind.rows.rawValue)
            writer.bool(wantsYours)
            writer.list(rows) { $1.encode(into: &$0) }
        case .ask(let read, let part, let offset):
            writer.byte(Kind.ask.rawValue)
            writer.varint(read.value)
            part.encode(into: &writer)
            writer.varint(offset)
        case .answer(let read, let chunk):
            writer.byte(Kind.answer.rawValue)
            writer.varint(read.value)
            writer.bool(chunk != nil)
            chunk?.encode(into: &writer)
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw .malformed }
        switch kind {
        case .offer: self = .offer(fingerprint: try reader.fixed64())
        case .rows:
            let wantsYours = try reader.bool()
            let rows = try reader.list(max: ImageMessage.rowsMax) { (reader) throws(CodecError) in
                try ImageCatalog.Row(from: &reader)
            }
            self = .rows(rows, wantsYours: wantsYours)
        case .ask:
            let read = ImageReadID(try reader.varint())
            let part = try ImageDigest(from: &reader)
            self = .ask(read, part, offset: try reader.varint())
        case .answer:
            let read = ImageReadID(try reader.varint())
            self = .answer(read, try reader.bool() ? try ImageChunk(from: &reader) : nil)
        }
        try reader.end()
    }
}
