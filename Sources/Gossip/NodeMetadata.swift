package import Model

/// What a node tells about itself; signed by it, and spread to all.
package struct NodeMetadata: Hashable, Sendable {
    /// Its name, for people.
    package var name: String
    /// The version of its software.
    package var version: String
    /// What it gives to tasks.
    package var capacity: Resources
    /// Its labels `K=V`, sorted.
    package var labels: [String]
    /// Whether it takes tasks.
    package var isEligible: Bool

    /// The largest encoding, in bytes: it must fit a datagram beside signatures.
    package static let sizeBytesMax = 512
    /// The longest name and the longest version, in bytes.
    package static let nameSizeBytesMax = 64
    /// The most labels.
    package static let labelsMax = 64
    /// The longest label, in bytes.
    package static let labelSizeBytesMax = 256

    /// Whether others can read it; a node whose metadata is too large would be invisible.
    package var isWithinBounds: Bool { (try? NodeMetadata(decoding: encoded)) != nil }

    /// Makes metadata.
    package init(
        name: String, version: String, capacity: Resources, labels: [String], isEligible: Bool
    ) {
        self.name = name
        self.version = version
        self.capacity = capacity
        self.labels = labels
        self.isEligible = isEligible
    }
}

extension NodeMetadata: WireCodable {
    /// Writes all fields, framed by their size.
    package func encode(into writer: inout ByteWriter) {
        var fields = ByteWriter()
        fields.field(1) { $0.string(name) }
        fields.field(2) { $0.string(version) }
        fields.field(3) {
            $0.varint(UInt64(capacity.cpuMillis))
            $0.varint(capacity.memoryBytes)
        }
        if !labels.isEmpty { fields.field(4) { $0.list(labels) { $0.string($1) } } }
        if isEligible { fields.field(5) { $0.byte(1) } }
        writer.blob(fields.bytes)
    }

    /// Reads all fields; those of newer versions are passed over, since the signature is over the
    /// bytes as they came.
    package init(from reader: inout ByteReader) throws(CodecError) {
        self.init(
            name: "", version: "", capacity: .zero, labels: [], isEligible: false)
        var fields = ByteReader(try reader.blob(max: NodeMetadata.sizeBytesMax))
        _ = try fields.fields { (tag, content) throws(CodecError) in
            switch tag {
            case 1: name = try content.string(max: NodeMetadata.nameSizeBytesMax)
            case 2: version = try content.string(max: NodeMetadata.nameSizeBytesMax)
            case 3:
                let cpu = try content.varint32()
                capacity = Resources(cpuMillis: cpu, memoryBytes: try content.varint())
            case 4:
                labels = try content.list(max: NodeMetadata.labelsMax) {
                    (reader) throws(CodecError) in
                    try reader.string(max: NodeMetadata.labelSizeBytesMax)
                }
            case 5: isEligible = try content.bool()
            default:
                return false
            }
            return true
        }
    }
}
