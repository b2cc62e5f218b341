import CShims
import Glibc

/// A directory tree that a task will have as its root: its links lead nowhere else.
struct RootTree {
    let path: String

    /// `O_PATH`, which the C library shows only to those who define `_GNU_SOURCE`.
    private static let pathOnly: Int32 = 0o10_000_000

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
        func isExecutable(by user: ProcessUser) -> Bool {
            guard isFile else { return false }
            if user.user == 0 { return mode & 0o111 != 0 }
            if user.user == owner { return mode & 0o100 != 0 }
            if user.group == group || user.otherGroups.contains(group) { return mode & 0o010 != 0 }
            return mode & 0o001 != 0
        }
    }

    /// Looks at a path, all links followed inside the tree; `nil` when nothing is there.
    func entry(_ path: String) -> Entry? {
        let directory = open(self.path, RootTree.pathOnly | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        let descriptor = magpie_open_inside(directory, path, RootTree.pathOnly, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        return Entry(mode: status.st_mode, owner: status.st_uid, group: status.st_gid)
    }

    /// Reads a file from its beginning; `nil` when there is none, or it is no plain file.
    func read(_ path: String, limit: Int) -> [UInt8]? {
        Files.readInside(self.path, path, limit: limit)
    }

    /// Looks `USER[:GROUP]` up in the tree's own lists; numbers need no entry there.
    func user(_ wanted: String) throws(RunnerError) -> ProcessUser {
        guard !wanted.isEmpty else { throw RunnerError("the user '' is not USER[:GROUP]") }
        do {
            return try UserLookup(root: path).find(wanted)
        } catch {
            throw RunnerError("the user \(wanted): \(error)")
        }
    }
}
