import Glibc

/// Directory trees that strangers filled: names are bytes, and links are never followed.
enum Tree {
    /// Removes a file or a tree.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - isKept: Told the inode of each thing; what is kept stays, with the directories above it.
    /// - Throws: The first failure; the rest is removed all the same.
    static func remove(
        _ path: [UInt8], unless isKept: (UInt64) -> Bool = { _ in false }
    ) throws(ImageError) {
        var failure: ImageError?
        // A directory comes back, marked, when all in it has gone.
        var stack: [(path: [UInt8], isListed: Bool)] = [(path, false)]
        while let (path, isListed) = stack.popLast() {
            guard let status = status(path) else { continue }
            let isKept = isKept(UInt64(status.st_ino))
            let isDirectory = status.st_mode & S_IFMT == S_IFDIR
            if isDirectory, !isListed {
                if status.st_mode & 0o700 != 0o700 { _ = withPath(path) { chmod($0, 0o700) } }
                stack.append((path, true))
                for name in names(in: path) { stack.append((path + [0x2F] + name, false)) }
                continue
            }
            guard !isKept else { continue }
            let result = withPath(path) { isDirectory ? rmdir($0) : unlink($0) }
            // What keeps a directory is something that is kept itself.
            guard result != 0, errno != ENOENT, errno != ENOTEMPTY, failure == nil else { continue }
            failure = .system("remove", String(decoding: path, as: UTF8.self))
        }
        if let failure { throw failure }
    }

    /// The names in a directory, as bytes.
    static func names(in path: [UInt8]) -> [[UInt8]] {
        guard let handle = withPath(path, { opendir($0) }) else { return [] }
        defer { closedir(handle) }
        var names: [[UInt8]] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: UInt8.self, capacity: 256) { start in
                    Array(UnsafeBufferPointer(start: start, count: 256).prefix { $0 != 0 })
                }
            }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
        }
        return names
    }

    /// What is at a path, links not followed.
    static func status(_ path: [UInt8]) -> stat? {
        var status = stat()
        return withPath(path) { lstat($0, &status) } == 0 ? status : nil
    }

    /// Calls C with a path.
    static func withPath<Value>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Value) -> Value {
        (path + [0]).withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { pointer in
                guard let base = pointer.baseAddress else { fatalError("an array has an address") }
                return body(base)
            }
        }
    }

    /// Has a directory's entries written to disk.
    static func sync(directory path: String) throws(ImageError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system("write", path) }
    }
}
