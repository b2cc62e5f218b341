/// What people call an image: `NAME` or `NAME:TAG`, by docker's grammar.
///
/// A name without a tag has the tag `latest`; nothing else is added, and case matters.
///
/// Source: distribution/reference, `reference.go` (the grammar in its comment).
package struct ImageName: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The name without its tag, with the registry's host if there is one.
    package let repository: String
    /// What comes after the last colon; `latest` when nothing was said.
    package let tag: String

    /// The most characters that a name may have without its tag.
    package static let repositoryLengthMax = 255
    /// The most characters that a tag may have.
    package static let tagLengthMax = 128
    /// The longest whole name, in bytes.
    package static let sizeBytesMax = repositoryLengthMax + 1 + tagLengthMax

    /// The whole name, with its tag.
    package var description: String { "\(repository):\(tag)" }

    /// Reads a name; `nil` when it breaks the grammar.
    package init?(_ description: String) {
        guard description.utf8.count <= ImageName.sizeBytesMax else { return nil }
        let slash = description.lastIndex(of: "/") ?? description.startIndex
        let colon = description[slash...].lastIndex(of: ":")
        let tag = colon.map { String(description[description.index(after: $0)...]) } ?? "latest"
        let repository = String(description[..<(colon ?? description.endIndex)])
        guard ImageName.isTag(tag), ImageName.isRepository(repository) else { return nil }
        self.repository = repository
        self.tag = tag
    }

    /// Orders names by repository, then tag.
    package static func < (left: ImageName, right: ImageName) -> Bool {
        (left.repository, left.tag) < (right.repository, right.tag)
    }

    // MARK: Grammar

    static func isTag(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= tagLengthMax else { return false }
        return isWord(first) && bytes.allSatisfy { isWord($0) || $0 == 0x2E || $0 == 0x2D }
    }

    static func isRepository(_ text: String) -> Bool {
        guard text.utf8.count <= repositoryLengthMax else { return false }
        var parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first else { return false }
        if parts.count > 1, isDomain(first) { parts.removeFirst() }
        return parts.allSatisfy(isPathComponent)
    }

    /// A host name, an address in brackets, or either with a port.
    ///
    /// Only what has a dot or a colon, or is `localhost`, is meant as one: `team/tool` has no host.
    private static func isDomain(_ text: Substring) -> Bool {
        guard text.contains(".") || text.contains(":") || text == "localhost" else { return false }
        var host = text
        if let colon = text.lastIndex(of: ":"), text.last != "]" {
            let port = text[text.index(after: colon)...]
            guard !port.isEmpty, port.utf8.count <= 5, port.utf8.allSatisfy(isDigit) else {
                return false
            }
            host = text[..<colon]
        }
        if host.first == "[", host.last == "]" {
            let inner = host.dropFirst().dropLast()
            return !inner.isEmpty && inner.utf8.allSatisfy { isHex($0) || $0 == 0x3A }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            return isLetterOrDigit(first) && isLetterOrDigit(last)
                && label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D }
        }
    }

    /// Lower case letters and digits, with single separators (`.`, `_`, `__`, hyphens) between.
    private static func isPathComponent(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first),
            isAlphanumeric(last)
        else { return false }
        var separator: [UInt8] = []
        for byte in bytes {
            if isAlphanumeric(byte) {
                separator = []
                continue
            }
            separator.append(byte)
            let isDot = separator == [0x2E]
            let isUnderscore = separator == [0x5F] || separator == [0x5F, 0x5F]
            guard isDot || isUnderscore || separator.allSatisfy({ $0 == 0x2D }) else {
                return false
            }
        }
        return true
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x7A).contains(byte)
    }
    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || (0x41...0x5A).contains(byte)
    }
    private static func isWord(_ byte: UInt8) -> Bool { isLetterOrDigit(byte) || byte == 0x5F }
    private static func isHex(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x66).contains(byte) || (0x41...0x46).contains(byte)
    }
}

extension ImageName: WireCodable {
    /// Writes the text.
    package func encode(into writer: inout ByteWriter) { writer.string(description) }

    /// Reads the text; throws unless it is a whole name.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let text = try reader.string(max: ImageName.sizeBytesMax)
        guard let name = ImageName(text), name.description == text else { throw .malformed }
        self = name
    }
}
