import CShims
import Glibc

/// Makes a directory of an image's layers, one after the other.
///
/// Nothing that a layer says leads out of the directory: each member's parent is opened as if the
/// directory were the root (`openat2`), and its last name is never followed.
///
/// Source: OCI image specification, `layer.md`: whiteouts, and what replaces what. As docker does it, a
/// directory takes the place of a link.
struct LayerUnpacker: ~Copyable {
    private let root: Int32
    private let rootPath: String
    private let limits: ImageLimits
    private let isPrivileged = geteuid() == 0
    /// Who there is on an ordinary user's node; what is another's belongs to root there.
    private let node: OrdinaryUser?
    /// The first owner who is nobody on this node.
    private(set) var foreigner: String?
    /// The directory of the last member: the next one is mostly in the same.
    private var parentPath: [UInt8] = []
    private var parent: Int32 = -1
    /// What this layer has made, by inode: its whiteouts are for the layers below.
    private var fresh: Set<UInt64> = []
    private var isLowest = true
    /// Directories get their status last: what is put into them changes it.
    private var directories: [TarEntry] = []
    private var entriesCount = 0
    /// What all files hold together.
    private(set) var sizeBytes: UInt64 = 0

    /// The deepest real path inside the root, in bytes, so that it can be removed by path.
    private static let depthBytesMax = 3_500
    private static let whiteout = Array(".wh.".utf8)
    private static let opaque = Array(".wh..wh..opq".utf8)
    private static let reserved = Array(".wh..wh.".utf8)

    /// Begins with a directory that is there, and empty.
    init(
        root path: String, limits: ImageLimits, node: OrdinaryUser? = .current
    ) throws(ImageError) {
        self.node = node
        root = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        rootPath = path
        self.limits = limits
        guard root >= 0 else { throw .system("open", path) }
    }

    deinit {
        if parent >= 0 { close(parent) }
        close(root)
    }

    /// Applies the next layer.
    mutating func apply(_ tar: inout TarReader) throws(ImageError) {
        fresh = []
        directories = []
        while let entry = try tar.next() {
            entriesCount += 1
            guard entriesCount <= limits.entriesMax else {
                throw ImageError(.tooLarge, "the image has more than \(limits.entriesMax) files")
            }
            try place(owned(entry), &tar)
        }
        try settleDirectories()
        isLowest = false
    }

    /// The member with owners whom this node has.
    private mutating func owned(_ entry: TarEntry) -> TarEntry {
        guard let node else { return entry }
        var entry = entry
        if !node.users.contains(entry.user) {
            foreigner = foreigner ?? "user \(entry.user)"
            entry.user = 0
        }
        if !node.groups.contains(entry.group) {
            foreigner = foreigner ?? "group \(entry.group)"
            entry.group = 0
        }
        return entry
    }

    // MARK: One member

    private mutating func place(_ entry: TarEntry, _ tar: inout TarReader) throws(ImageError) {
        guard let (directory, name) = entry.split else {
            if entry.kind == .directory { directories.append(entry) }
            return
        }
        // What an ancient union file system kept for itself.
        if entry.path.starts(with: LayerUnpacker.reserved), name != LayerUnpacker.opaque { return }
        try enter(directory)
        if name.starts(with: LayerUnpacker.whiteout) { return try hide(name, entry) }
        if try isReady(entry, name) { return }
        switch entry.kind {
        case .regular: try makeFile(entry, name, &tar)
        case .hardLink: try makeHardLink(entry, name)
        case .symbolicLink:
            let result = Tree.withPath(entry.link) { link in
                Tree.withPath(name) { symlinkat(link, parent, $0) }
            }
            guard result == 0 else { throw failure("make", entry) }
            try settle(entry, name)
        case .directory:
            guard Tree.withPath(name, { mkdirat(parent, $0, 0o755) }) == 0 else {
                throw failure("make", entry)
            }
            directories.append(entry)
        case .characterDevice, .blockDevice, .pipe: try makeNode(entry, name)
        }
        remember(name)
    }

    /// Takes away what stands where the member goes; whether nothing is left to be done.
    private mutating func isReady(_ entry: TarEntry, _ name: [UInt8]) throws(ImageError) -> Bool {
        var status = stat()
        guard Tree.withPath(name, { fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0
        else { return false }
        if entry.kind == .directory, status.st_mode & S_IFMT == S_IFDIR {
            directories.append(entry)
            remember(name)
            return true
        }
        // A link to itself would take its own target away.
        if entry.kind == .hardLink, try identity(ofTarget: entry) == status.st_ino { return true }
        try Tree.remove(path(of: name))
        return false
    }

    private mutating func makeFile(
        _ entry: TarEntry, _ name: [UInt8], _ tar: inout TarReader
    ) throws(ImageError) {
        guard entry.sizeBytes <= limits.unpackedSizeBytesMax - sizeBytes else {
            throw ImageError(
                .tooLarge, "the image unpacks to more than \(limits.unpackedSizeBytesMax) bytes")
        }
        sizeBytes += entry.sizeBytes
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = Tree.withPath(name) { openat(parent, $0, flags, 0o600) }
        guard descriptor >= 0 else { throw failure("make", entry) }
        defer { close(descriptor) }
        try tar.content { (bytes) throws(ImageError) in
            try Files.writeAll(bytes, to: descriptor, "the image's \(entry.shown)")
        }
        try settle(entry, descriptor: descriptor)
    }

    private mutating func makeHardLink(
        _ entry: TarEntry, _ name: [UInt8]
    ) throws(ImageError) {
        let (directory, target) = try openTarget(of: entry)
        defer { close(directory) }
        let result = Tree.withPath(target) { target in
            Tree.withPath(name) { linkat(directory, target, parent, $0, 0) }
        }
        guard result == 0 else { throw failure("link", entry) }
    }

    /// The directory of a hard link's target, and its name there.
    private func openTarget(of entry: TarEntry) throws(ImageError) -> (Int32, [UInt8]) {
        var target = entry
        target.path = entry.link
        guard let (parent, name) = target.split else { throw failure("link", entry, EPERM) }
        let directory = Tree.withPath(parent.isEmpty ? [0x2E] : parent) {
            magpie_open_inside(root, $0, O_RDONLY | O_DIRECTORY, 0)
        }
        guard directory >= 0 else { throw failure("link", entry) }
        return (directory, name)
    }

    private func identity(ofTarget entry: TarEntry) throws(ImageError) -> ino_t? {
        let (directory, name) = try openTarget(of: entry)
        defer { close(directory) }
        var status = stat()
        let result = Tree.withPath(name) { fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) }
        return result == 0 ? status.st_ino : nil
    }

    /// A device that may not be made is left out: containers have their own `/dev`.
    private mutating func makeNode(_ entry: TarEntry, _ name: [UInt8]) throws(ImageError) {
        let kind: mode_t
        switch entry.kind {
        case .characterDevice: kind = S_IFCHR
        case .blockDevice: kind = S_IFBLK
        default: kind = S_IFIFO
        }
        // To an overlay this device is a whiteout.
        if kind == S_IFCHR, entry.major == 0, entry.minor == 0 { return }
        let result = Tree.withPath(name) {
            magpie_make_node(parent, $0, kind | 0o600, entry.major, entry.minor)
        }
        if result != 0, errno == EPERM { return }
        guard result == 0 else { throw failure("make", entry) }
        try settle(entry, name)
    }

    // MARK: Whiteouts

    private mutating func hide(_ name: [UInt8], _ entry: TarEntry) throws(ImageError) {
        // What is below the lowest layer is nothing.
        guard !isLowest else { return }
        let fresh = fresh
        if name == LayerUnpacker.opaque {
            for victim in Tree.names(in: path(of: [0x2E])) {
                try Tree.remove(path(of: victim), unless: fresh.contains)
            }
        } else if !name.starts(with: LayerUnpacker.reserved) {
            let victim = Array(name.dropFirst(LayerUnpacker.whiteout.count))
            guard !victim.isEmpty, victim != [0x2E], victim != [0x2E, 0x2E] else {
                throw ImageError(.unsafePath, "the image has a wrong whiteout: \(entry.shown)")
            }
            try Tree.remove(path(of: victim), unless: fresh.contains)
        }
    }

    private mutating func remember(_ name: [UInt8]) {
        guard !isLowest else { return }
        var status = stat()
        if Tree.withPath(name, { fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 {
            fresh.insert(UInt64(status.st_ino))
        }
    }

    // MARK: Directories

    /// Opens the directory in which the next member is, and makes it if it is not there.
    private mutating func enter(_ directory: [UInt8]) throws(ImageError) {
        if parent >= 0, directory == parentPath { return }
        if parent >= 0 { close(parent) }
        parent = -1
        parent = try open(directory)
        parentPath = directory
        var buffer = [CChar](repeating: 0, count: 4_096)
        let length = readlink("/proc/self/fd/\(parent)", &buffer, 4_095)
        guard length >= 0, length <= LayerUnpacker.depthBytesMax else {
            throw ImageError(.unsafePath, "the image has directories that are too deep")
        }
    }

    private func open(_ directory: [UInt8]) throws(ImageError) -> Int32 {
        let flags = O_RDONLY | O_DIRECTORY
        if directory.isEmpty { return magpie_open_inside(root, ".", flags, 0) }
        let found = Tree.withPath(directory) { magpie_open_inside(root, $0, flags, 0) }
        if found >= 0 { return found }
        guard errno == ENOENT || errno == ENOTDIR else { throw missing(directory) }
        // Layers need not name the directories above their files.
        let above = directory.lastIndex(of: 0x2F).map { Array(directory[..<$0]) } ?? []
        let name = directory.lastIndex(of: 0x2F).map { Array(directory[($0 + 1)...]) } ?? directory
        let parent = try open(above)
        defer { close(parent) }
        guard Tree.withPath(name, { mkdirat(parent, $0, 0o755) }) == 0 else {
            throw missing(directory)
        }
        let made = Tree.withPath(directory) { magpie_open_inside(root, $0, flags, 0) }
        guard made >= 0 else { throw missing(directory) }
        return made
    }

    private func missing(_ directory: [UInt8]) -> ImageError {
        .system("make the image's", String(decoding: directory, as: UTF8.self))
    }

    private mutating func settleDirectories() throws(ImageError) {
        // The deepest first: a directory that may not be entered keeps nobody out of it.
        for entry in directories.reversed() {
            let descriptor = Tree.withPath(entry.path.isEmpty ? [0x2E] : entry.path) {
                magpie_open_inside(root, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
            }
            // Something else has taken its place since.
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            try settle(entry, descriptor: descriptor)
        }
        directories = []
    }

    // MARK: Status

    private func settle(_ entry: TarEntry, descriptor: Int32) throws(ImageError) {
        let user: Int64 = isPrivileged ? Int64(entry.user) : -1
        guard
            magpie_set_status(
                descriptor, user, Int64(entry.group), entry.mode, entry.seconds) == 0
        else { throw failure("set the status of", entry) }
        for attribute in entry.attributes where LayerUnpacker.isAllowed(attribute.name) {
            let result = attribute.value.withUnsafeBytes {
                magpie_set_attribute(descriptor, attribute.name, $0.baseAddress, $0.count)
            }
            guard result == 0 || errno == EPERM || errno == ENOTSUP else {
                throw failure("set an attribute of", entry)
            }
        }
    }

    /// Attributes of overlays would be obeyed by the overlay above.
    static func isAllowed(_ name: String) -> Bool {
        name == "security.capability"
            || (name.hasPrefix("user.") && !name.hasPrefix("user.overlay."))
    }

    /// For what can't be opened.
    private func settle(_ entry: TarEntry, _ name: [UInt8]) throws(ImageError) {
        var times = [timespec](
            repeating: timespec(tv_sec: Int(entry.seconds), tv_nsec: 0), count: 2)
        let isDone = Tree.withPath(name) { name in
            if isPrivileged,
                fchownat(parent, name, entry.user, entry.group, AT_SYMLINK_NOFOLLOW) != 0
            {
                return false
            }
            if entry.kind != .symbolicLink, fchmodat(parent, name, entry.mode, 0) != 0 {
                return false
            }
            return utimensat(parent, name, &times, AT_SYMLINK_NOFOLLOW) == 0
        }
        guard isDone else { throw failure("set the status of", entry) }
    }

    /// A path to something in the current directory that is as short as can be.
    private func path(of name: [UInt8]) -> [UInt8] {
        Array("/proc/self/fd/\(parent)/".utf8) + name
    }

    private func failure(_ operation: String, _ entry: TarEntry, _ code: Int32 = errno)
        -> ImageError
    {
        let error = ImageError.system(operation, "the image's \(entry.shown)", errno: code)
        // A member that refers to what is not there is the image's fault.
        return error.code == .notFound ? ImageError(.notAnImage, error.description) : error
    }
}
