import CShims
import Glibc

/// A directory tree that a task will have as its root: its links lead nowhere else.
struct RootTree {
    let path: String

    /// The host's own root for "".
    init(_ path: String) {
        self.path = path.isEmpty ? "/" : path
    }

    /// What is known about a file without running it.
    struct Entry {
        var mode: UInt32
        var owner: UInt32
        var group: UInt32

        var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
        var isFile: Bool { mode & S_IFMT == S_IFREG }

        /// Whether the user may execute it, by its mode alone.
        func isExecutable(by user: ContainerUser) -> Bool {
            guard isFile else { return false }
            if user.uid == 0 { return mode & 0o111 != 0 }
            if user.uid == owner { return mode & 0o100 != 0 }
            if user.gid == group || user.additionalGids.contains(group) { return mode & 0o010 != 0 }
            return mode & 0o001 != 0
        }
    }

    /// Looks at a path, all links followed inside the tree; `nil` when nothing is there.
    func entry(_ path: String) -> Entry? {
        let descriptor = magpie_open_in_root(self.path, path, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        return Entry(mode: status.st_mode, owner: status.st_uid, group: status.st_gid)
    }

    /// Reads a file from its beginning; `nil` when there is none, or it is no plain file.
    func read(_ path: String, limit: Int) -> [UInt8]? {
        guard entry(path)?.isFile == true else { return nil }
        let descriptor = magpie_open_in_root(self.path, path, 1)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return Files.read(from: descriptor, offset: 0, limit: limit)
    }

    /// The lines of a small text file, without those that are comments.
    func lines(_ path: String) -> [Substring] {
        guard let bytes = read(path, limit: RootTree.textSizeBytesMax) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }
    }

    /// How much of a user list is read.
    private static let textSizeBytesMax = 1 << 20
}

/// Whom a task runs as, in numbers.
struct ContainerUser: Hashable {
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    /// Further groups, sorted.
    var additionalGids: [UInt32] = []
    var home = "/root"

    /// What a task has that names nobody.
    static let root = ContainerUser()

    /// How many further groups are looked up.
    private static let groupsMax = 1_024

    private struct Account {
        var name: String
        var uid: UInt32
        var gid: UInt32
        var home: String
    }

    private init() {}

    /// Looks `USER[:GROUP]` up in the tree's own lists; numbers need no entry there.
    init(_ text: String, in tree: RootTree) throws(RunnerError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), !parts.contains("") else {
            throw RunnerError("the user \(text) is not USER[:GROUP]")
        }
        let number = UInt32(parts[0])
        let account = ContainerUser.accounts(tree).first {
            number == nil ? $0.name == parts[0] : $0.uid == number
        }
        guard let uid = account?.uid ?? number, uid != .max else {
            throw RunnerError("there is no user \(parts[0]) in the root file system's /etc/passwd")
        }
        let groups = ContainerUser.groups(tree)
        self.uid = uid
        gid = account?.gid ?? 0
        home = account?.home ?? "/"
        if parts.count == 2 {
            let wanted = UInt32(parts[1]) ?? groups.first { $0.name == parts[1] }?.gid
            guard let wanted, wanted != .max else {
                throw RunnerError(
                    "there is no group \(parts[1]) in the root file system's /etc/group")
            }
            gid = wanted
        } else if let name = account?.name {
            // Named groups count as with a login; one that is chosen counts alone.
            let further = groups.filter { $0.members.contains(Substring(name)) }.map(\.gid)
            additionalGids = Set(further.prefix(ContainerUser.groupsMax)).subtracting([gid])
                .sorted()
        }
    }

    private static func accounts(_ tree: RootTree) -> [Account] {
        tree.lines("/etc/passwd").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 6, let uid = UInt32(fields[2]), let gid = UInt32(fields[3])
            else { return nil }
            let home = fields[5].isEmpty ? "/" : String(fields[5])
            return Account(name: String(fields[0]), uid: uid, gid: gid, home: home)
        }
    }

    private static func groups(
        _ tree: RootTree
    ) -> [(name: String, gid: UInt32, members: [Substring])] {
        tree.lines("/etc/group").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 4, let gid = UInt32(fields[2]) else { return nil }
            return (String(fields[0]), gid, fields[3].split(separator: ","))
        }
    }
}
