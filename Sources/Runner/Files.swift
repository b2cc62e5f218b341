import CShims
import Glibc

/// The few file operations that the runner needs, with errors that name their subject.
package enum Files {
    /// Whether something is at a path.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether a path is an executable file.
    static func isExecutable(_ path: String) -> Bool {
        isKind(path, S_IFREG) && access(path, X_OK) == 0
    }

    /// Whether a path is a directory.
    package static func isDirectory(_ path: String) -> Bool { isKind(path, S_IFDIR) }

    private static func isKind(_ path: String, _ kind: mode_t) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == kind
    }

    /// The path with all links resolved; the path itself when nothing is there.
    package static func realPath(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Makes a directory and those above it.
    package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(RunnerError) {
        if isDirectory(path) { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]), mode: mode)
        }
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("make", path) }
    }

    /// Reads a whole file of at most 16 MiB; `nil` when it can't be read.
    package static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return read(from: descriptor, offset: 0, limit: 16 << 20)
    }

    /// Reads a small text file without its last line's end.
    package static func text(_ path: String) -> String? {
        guard let bytes = read(path) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.last == "\n" ? String(text.dropLast()) : text
    }

    static func read(from descriptor: Int32, offset: UInt64, limit: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let wanted = min(buffer.count, limit - bytes.count)
            let count = pread(descriptor, &buffer, wanted, off_t(offset) + off_t(bytes.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// Writes a whole file.
    static func write(_ bytes: [UInt8], to path: String) throws(RunnerError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("write", path) }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("write", path) }
            written += count
        }
    }

    /// The names in a directory, sorted; none when it can't be read.
    package static func names(in directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file or a whole directory; never follows links.
    package static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    static func failure(_ operation: String, _ path: String) -> RunnerError {
        RunnerError("can't \(operation) \(path): \(String(cString: strerror(errno)))")
    }
}

/// Finds the programs that a runner uses.
enum Programs {
    static func find(_ name: String, package: String) throws(RunnerError) -> String {
        if let path = locate(name, in: searchPath) { return path }
        throw RunnerError(
            "\(name) is missing; install it with: apt-get install \(package) "
                + "(or start with --no-tasks for a node that runs nothing)")
    }

    /// The first of some directories' programs with a name.
    static func locate(_ name: String, in directories: [String]) -> String? {
        directories.map { "\($0)/\(name)" }.first { Files.isExecutable($0) }
    }

    static func runtime(_ wanted: String?) throws(RunnerError) -> String {
        if let wanted {
            guard Files.isExecutable(wanted) else {
                throw RunnerError("the container runtime \(wanted) is not an executable file")
            }
            return wanted
        }
        if let crun = try? find("crun", package: "crun") { return crun }
        if let runc = try? find("runc", package: "runc") { return runc }
        throw RunnerError(
            "no container runtime: crun is missing; install it with: apt-get install crun "
                + "(or start with --no-tasks for a node that runs nothing)")
    }

    /// A program of our own stands beside the one that runs, or on the PATH.
    static func own(_ name: String) throws(RunnerError) -> String {
        let own = Files.realPath("/proc/self/exe")
        if let slash = own.lastIndex(of: "/") {
            let beside = "\(own[..<slash])/\(name)"
            if Files.isExecutable(beside) { return beside }
        }
        for directory in searchPath where Files.isExecutable("\(directory)/\(name)") {
            return "\(directory)/\(name)"
        }
        throw RunnerError(
            "\(name) is missing; it is built with the daemon and must stand beside it")
    }

    static var searchPath: [String] {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return path.split(separator: ":").map(String.init) + usual
    }
}
