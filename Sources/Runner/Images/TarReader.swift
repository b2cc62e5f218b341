/// Reads the members of a tar archive: ustar, pax, and GNU's long names.
///
/// Source: POSIX.1-2017, "pax", "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format".
struct TarReader {
    /// The most bytes of pax records before one member.
    static let recordsSizeBytesMax = 1 << 20

    private let stream: ByteStream
    /// Whether an archive without its closing zeros is cut; what is verified by digest is not.
    private let needsEnd: Bool
    private var left: UInt64 = 0
    private var padding: UInt64 = 0
    private var hasBegun = false
    private var hasEnded = false

    /// Reads from the stream's current place.
    init(_ stream: ByteStream, needsEnd: Bool) {
        self.stream = stream
        self.needsEnd = needsEnd
    }

    /// The next member; `nil` at the end.
    ///
    /// What was not read of the last one's content is passed over.
    mutating func next() throws(ImageError) -> TarEntry? {
        guard !hasEnded else { return nil }
        var overrides = TarRecords()
        while true {
            try skipContent()
            guard let header = try header() else {
                hasEnded = true
                return nil
            }
            let size = overrides.sizeBytes ?? header.sizeBytes
            switch header.type {
            case "x", "g", "L", "K":
                guard header.sizeBytes <= TarReader.recordsSizeBytesMax else {
                    throw ImageError(.tooLarge, "\(stream.subject) has oversized tar records")
                }
                begin(header.sizeBytes)
                let content = try stream.bytes(Int(header.sizeBytes))
                guard content.count == Int(header.sizeBytes) else { throw truncated }
                left = 0
                try overrides.take(content, type: header.type, stream.subject)
            default:
                let entry = try header.entry(overrides, sizeBytes: size, stream.subject)
                begin(entry.sizeBytes)
                return entry
            }
        }
    }

    /// Hands over the content of the member that was returned last, piece by piece.
    mutating func content(
        _ body: (UnsafeRawBufferPointer) throws(ImageError) -> Void
    ) throws(ImageError) {
        while left > 0 {
            let count = try stream.next(atMost: left, body)
            guard count > 0 else { throw truncated }
            left -= UInt64(count)
        }
    }

    // MARK: Private

    private var truncated: ImageError {
        ImageError(.truncated, "\(stream.subject) ends too early")
    }

    private mutating func begin(_ size: UInt64) {
        left = size
        padding = (512 - size % 512) % 512
    }

    private mutating func skipContent() throws(ImageError) {
        let wanted = left + padding
        guard try stream.skip(wanted) == wanted else { throw truncated }
        left = 0
        padding = 0
    }

    /// The next header; `nil` at the archive's end.
    private mutating func header() throws(ImageError) -> TarHeader? {
        let block = try stream.bytes(512)
        if block.isEmpty, !hasBegun {
            throw ImageError(.empty, "\(stream.subject) is empty")
        }
        if block.isEmpty, !needsEnd { return nil }
        if block.count < 512 {
            throw hasBegun ? truncated : notATar
        }
        if block.allSatisfy({ $0 == 0 }) {
            hasBegun = true
            return nil
        }
        guard let header = TarHeader(block) else {
            throw hasBegun
                ? ImageError(.corrupt, "\(stream.subject) is damaged: a tar header is wrong")
                : notATar
        }
        hasBegun = true
        return header
    }

    private var notATar: ImageError {
        ImageError(.notAnImage, "\(stream.subject) is not a tar archive")
    }
}

/// What comes before a member and takes the place of fields in its header.
struct TarRecords {
    private var texts: [String: [UInt8]] = [:]
    private(set) var attributes: [TarAttribute] = []

    var path: [UInt8]? { texts["path"] }
    var link: [UInt8]? { texts["linkpath"] }
    var sizeBytes: UInt64? { number("size").flatMap(UInt64.init(exactly:)) }
    var user: Int64? { number("uid") }
    var group: Int64? { number("gid") }
    var seconds: Int64? { number("mtime") }

    private static let attributePrefix = "SCHILY.xattr."

    mutating func take(
        _ content: [UInt8], type: Character, _ subject: String
    ) throws(ImageError) {
        switch type {
        case "L": texts["path"] = Array(content.prefix { $0 != 0 })
        case "K": texts["linkpath"] = Array(content.prefix { $0 != 0 })
        case "x": try takeRecords(content, subject)
        default: break  // what holds for all members: comments, in practice
        }
    }

    /// `LENGTH KEY=VALUE\n`, one after another; the length counts itself.
    private mutating func takeRecords(_ content: [UInt8], _ subject: String) throws(ImageError) {
        let damaged = ImageError(.corrupt, "\(subject) is damaged: a pax record is wrong")
        var rest = content[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: 0x20), space - rest.startIndex <= 7,
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count
            else { throw damaged }
            let record = rest[(space + 1)..<(rest.startIndex + length)]
            guard record.last == 0x0A, let equals = record.firstIndex(of: 0x3D) else {
                throw damaged
            }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            let value = Array(record[(equals + 1)..<(record.endIndex - 1)])
            guard !key.hasPrefix("GNU.sparse.") else {
                throw ImageError(
                    .notAnImage, "\(subject) has sparse files, which are not supported")
            }
            if key.hasPrefix(TarRecords.attributePrefix) {
                let name = String(key.dropFirst(TarRecords.attributePrefix.count))
                attributes.append(TarAttribute(name: name, value: value))
            } else {
                texts[key] = value
            }
            rest = rest[(rest.startIndex + length)...]
        }
    }

    /// The whole part of a decimal number.
    private func number(_ key: String) -> Int64? {
        guard let text = texts[key] else { return nil }
        return Int64(String(decoding: text.prefix { $0 != 0x2E }, as: UTF8.self))
    }
}

/// The 512 bytes before a member's content.
struct TarHeader {
    private let block: [UInt8]
    let type: Character
    let sizeBytes: UInt64

    /// Reads a block; `nil` when its checksum or a number is wrong.
    init?(_ block: [UInt8]) {
        self.block = block
        var sum: Int64 = 0
        for index in 0..<512 { sum += (148..<156).contains(index) ? 32 : Int64(block[index]) }
        guard TarHeader.number(block[148..<156]) == sum,
            let size = TarHeader.number(block[124..<136]).flatMap(UInt64.init(exactly:)),
            size <= UInt64(Int64.max) / 2
        else { return nil }
        type = block[156] == 0 ? "0" : Character(UnicodeScalar(block[156]))
        sizeBytes = size
    }

    /// The member, with what came before it.
    func entry(
        _ records: TarRecords, sizeBytes: UInt64, _ subject: String
    ) throws(ImageError) -> TarEntry {
        let name = records.path ?? self.name
        var entry = TarEntry()
        entry.kind = try kind(isDirectory: name.last == UInt8(ascii: "/"), subject)
        entry.path = try TarPath.normalised(name)
        entry.link = records.link ?? text(157..<257)
        if entry.kind == .hardLink { entry.link = try TarPath.normalised(entry.link) }
        guard let user = UInt32(exactly: records.user ?? number(108..<116)),
            let group = UInt32(exactly: records.group ?? number(116..<124)), user != .max,
            group != .max, entry.link.count <= TarPath.sizeBytesMax, !entry.link.contains(0)
        else { throw ImageError(.corrupt, "\(subject) has a wrong header for \(entry.shown)") }
        entry.user = user
        entry.group = group
        entry.mode = UInt32(truncatingIfNeeded: number(100..<108)) & 0o7777
        let bound: Int64 = 1 << 40
        entry.seconds = min(max(records.seconds ?? number(136..<148), -bound), bound)
        if entry.kind == .regular {
            guard sizeBytes <= UInt64(Int64.max) / 2 else {
                throw ImageError(.tooLarge, "\(subject) has an oversized \(entry.shown)")
            }
            entry.sizeBytes = sizeBytes
        }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            entry.major = UInt32(truncatingIfNeeded: number(329..<337))
            entry.minor = UInt32(truncatingIfNeeded: number(337..<345))
        }
        entry.attributes = records.attributes
        return entry
    }

    private func kind(isDirectory: Bool, _ subject: String) throws(ImageError) -> TarEntry.Kind {
        switch type {
        case "0": return isDirectory ? .directory : .regular
        case "7": return .regular
        case "1": return .hardLink
        case "2": return .symbolicLink
        case "3": return .characterDevice
        case "4": return .blockDevice
        case "5": return .directory
        case "6": return .pipe
        default:
            throw ImageError(
                .notAnImage, "\(subject) has members of a kind '\(type)' that is not known")
        }
    }

    private var name: [UInt8] {
        let name = text(0..<100)
        let isPosix = Array(block[257..<263]) == Array("ustar\0".utf8)
        let prefix = isPosix ? text(345..<500) : []
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    private func text(_ range: Range<Int>) -> [UInt8] { Array(block[range].prefix { $0 != 0 }) }

    private func number(_ range: Range<Int>) -> Int64 { TarHeader.number(block[range]) ?? 0 }

    /// Octal digits, or GNU's binary numbers whose first bit is set.
    private static func number(_ field: ArraySlice<UInt8>) -> Int64? {
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 {
            var value: Int64 = first & 0x40 == 0 ? Int64(first & 0x3F) : Int64(first) - 256
            for byte in field.dropFirst() {
                let (product, overflows) = value.multipliedReportingOverflow(by: 256)
                let (sum, overflowsToo) = product.addingReportingOverflow(Int64(byte))
                guard !overflows, !overflowsToo else { return nil }
                value = sum
            }
            return value
        }
        let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0x20 && $0 != 0 }
        guard !digits.isEmpty else { return 0 }
        return Int64(String(decoding: digits, as: UTF8.self), radix: 8)
    }
}
