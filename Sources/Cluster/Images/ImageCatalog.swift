package import Model

/// What one name of an image stands for; the newest entry of a name stands.
package struct ImageEntry: Hashable, Sendable {
    /// The image; `nil` once the name was removed.
    package var digest: ImageDigest?
    /// The size of all its parts, in bytes; for display.
    package var sizeBytes: UInt64
    /// Rises with each change of the name: the wall clock's milliseconds where that is more.
    package var stamp: UInt64
    /// Who made the change.
    package var node: NodeID

    /// The highest stamp: nobody can push a name out of reach by one.
    package static let stampMax: UInt64 = 1 << 56

    /// Makes an entry.
    package init(digest: ImageDigest?, sizeBytes: UInt64, stamp: UInt64, node: NodeID) {
        self.digest = digest
        self.sizeBytes = sizeBytes
        self.stamp = stamp
        self.node = node
    }

    /// A total order over all entries of a name: by stamp, then by everything else.
    func isNewer(than other: ImageEntry) -> Bool {
        if stamp != other.stamp { return stamp > other.stamp }
        if node != other.node { return node > other.node }
        if digest != other.digest {
            guard let digest else { return false }
            return other.digest.map { digest > $0 } ?? true
        }
        return sizeBytes > other.sizeBytes
    }
}

/// The names of images, on every node: a grow-only map of last-writer-wins registers.
///
/// Removed names keep their entry, so that no late copy brings them back. Source: Shapiro et al.,
/// "A comprehensive study of CRDTs" (2011), §3.2.1.
package struct ImageCatalog: Hashable, Sendable {
    /// One name and what it stands for.
    struct Row: Hashable, Sendable {
        var name: ImageName
        var entry: ImageEntry
    }

    private var entries: [ImageName: ImageEntry] = [:]
    /// The exclusive or of all rows' hashes: equal catalogs have the same.
    private(set) var fingerprint: UInt64 = 0

    /// How many names a catalog holds, removed ones included.
    package static let namesMax = 16_384

    /// Makes an empty catalog.
    package init() {}

    /// Whether no other name finds room.
    package var isFull: Bool { entries.count >= ImageCatalog.namesMax }

    /// How many names there are, removed ones included.
    package var count: Int { entries.count }

    /// What a name stands for; `nil` when it was never given.
    package subscript(name: ImageName) -> ImageEntry? { entries[name] }

    /// All rows by name, removed ones included.
    var rows: [Row] {
        entries.map { Row(name: $0.key, entry: $0.value) }.sorted { $0.name < $1.name }
    }

    /// The images that have a name, in rising order.
    package var images: [ImageDigest] { Set(entries.values.compactMap(\.digest)).sorted() }

    /// Who gave the image a name, in rising order.
    func origins(of digest: ImageDigest) -> [NodeID] {
        Set(entries.values.filter { $0.digest == digest }.map(\.node)).sorted()
    }

    /// Takes in a row of another catalog; tells whether that changed anything.
    ///
    /// A new name beyond the bound is left out: it finds room only where there is some.
    mutating func join(_ row: Row) -> Bool {
        if let known = entries[row.name] {
            guard row.entry.isNewer(than: known) else { return false }
            fingerprint ^= ImageCatalog.hash(Row(name: row.name, entry: known))
        } else if isFull {
            return false
        }
        entries[row.name] = row.entry
        fingerprint ^= ImageCatalog.hash(row)
        return true
    }

    /// FNV-1a over the canonical bytes, then SplitMix64's finaliser.
    private static func hash(_ row: Row) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in row.encoded { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var generator = SeededGenerator(seed: hash)
        return generator.next()
    }
}

extension ImageCatalog.Row: WireCodable {
    func encode(into writer: inout ByteWriter) {
        name.encode(into: &writer)
        writer.bool(entry.digest != nil)
        entry.digest?.encode(into: &writer)
        writer.varint(entry.sizeBytes)
        writer.varint(entry.stamp)
        entry.node.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        name = try ImageName(from: &reader)
        let digest = try reader.bool() ? try ImageDigest(from: &reader) : nil
        let sizeBytes = try reader.varint()
        let stamp = try reader.varint(max: ImageEntry.stampMax)
        entry = ImageEntry(
            digest: digest, sizeBytes: sizeBytes, stamp: stamp, node: try NodeID(from: &reader))
    }
}
