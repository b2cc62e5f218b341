/// One member of a tar archive, with names as bytes: file systems know no encoding.
struct TarEntry: Hashable {
    enum Kind: Hashable {
        case regular
        case hardLink
        case symbolicLink
        case characterDevice
        case blockDevice
        case directory
        case pipe
    }

    var kind = Kind.regular
    /// Below the root, without `.`, `..` and doubled slashes; empty for the root itself.
    var path: [UInt8] = []
    /// Where a link leads: for a hard link a path like `path`, else as it stands.
    var link: [UInt8] = []
    /// Permission bits, with set-user-ID and the like.
    var mode: UInt32 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    var sizeBytes: UInt64 = 0
    /// When it was changed, in seconds since 1970.
    var seconds: Int64 = 0
    var major: UInt32 = 0
    var minor: UInt32 = 0
    /// Extended attributes, in the order of the archive.
    var attributes: [TarAttribute] = []

    /// The directory, and the name in it; `nil` for the root.
    var split: (parent: [UInt8], name: [UInt8])? {
        guard !path.isEmpty else { return nil }
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return ([], path) }
        return (Array(path[..<slash]), Array(path[(slash + 1)...]))
    }

    /// The path for people.
    var shown: String { String(decoding: path, as: UTF8.self) }
}

/// An extended attribute of a file.
struct TarAttribute: Hashable {
    var name: String
    var value: [UInt8]
}

/// The rules for paths in archives.
enum TarPath {
    /// The longest path, in bytes, as the kernel has it.
    static let sizeBytesMax = 4_095
    /// The longest single name, in bytes.
    static let nameSizeBytesMax = 255

    /// The path without what means nothing; a leading slash means the archive's own root.
    ///
    /// - Throws: `.unsafePath` for `..`, which leads out, and for what no file system takes.
    static func normalised(_ path: [UInt8]) throws(ImageError) -> [UInt8] {
        let shown = String(decoding: path.prefix(200), as: UTF8.self)
        guard path.count <= sizeBytesMax, !path.contains(0) else {
            throw ImageError(.unsafePath, "the archive has a path that is too long: \(shown)…")
        }
        var parts: [ArraySlice<UInt8>] = []
        for part in path.split(separator: UInt8(ascii: "/")) {
            if part == [0x2E] { continue }
            guard part != [0x2E, 0x2E] else {
                throw ImageError(
                    .unsafePath, "the archive has a path that leads out of it: \(shown)")
            }
            guard part.count <= nameSizeBytesMax else {
                throw ImageError(.unsafePath, "the archive has a name that is too long: \(shown)…")
            }
            parts.append(part)
        }
        return Array(parts.joined(separator: [UInt8(ascii: "/")]))
    }
}
