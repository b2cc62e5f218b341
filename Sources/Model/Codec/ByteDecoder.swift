/// One way in which bytes of somebody else's become a value, as those see it who try it out.
///
/// Every target lists its own (`GossipDecoders`, …); fuzzing and its tests go through all of them.
package struct ByteDecoder: Sendable {
    /// What comes back when a value that was read is written again.
    package enum Form: Sendable {
        /// The bytes themselves: one value has one encoding.
        case canonical
        /// The bytes of a value that is read and written alike from then on.
        case settled
        /// Nothing: it is never written, or by others.
        case unwritten
    }

    /// The target, and the type or the function; no two are alike.
    package let name: String
    /// What is promised of values that are written again.
    package let form: Form
    /// Reads bytes and writes the value again; throws when they are refused, and never traps.
    package let rewrite: @Sendable ([UInt8]) throws -> [UInt8]

    /// Describes a reader of any kind.
    package init(
        _ name: String, _ form: Form, _ rewrite: @escaping @Sendable ([UInt8]) throws -> [UInt8]
    ) {
        self.name = name
        self.form = form
        self.rewrite = rewrite
    }

    /// Describes a type that reads and writes itself.
    package init<Value: WireCodable & SendableMetatype>(
        _ type: Value.Type, _ form: Form = .canonical
    ) {
        self.init(String(reflecting: type), form) { try Value(decoding: $0).encoded }
    }

    /// Describes what reads text; bytes that are no UTF-8 are refused before.
    package init(
        text name: String, _ form: Form = .settled,
        _ rewrite: @escaping @Sendable (String) throws -> String?
    ) {
        self.init(name, form) { bytes in
            guard let text = String(validating: bytes, as: UTF8.self),
                let written = try rewrite(text)
            else { throw CodecError.malformed }
            return Array(written.utf8)
        }
    }
}
