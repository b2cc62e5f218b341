import CShims
import Glibc

extension Files {
    /// Reads a regular file below a root, as a process would that has this root: links are followed,
    /// but not out of it.
    ///
    /// - Returns: At most `limit` bytes; `nil` when there is no such file.
    static func readInside(_ root: String, _ path: String, limit: Int) -> [UInt8]? {
        let directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        // A pipe would keep the reader waiting.
        let descriptor = magpie_open_inside(directory, path, O_RDONLY | O_NONBLOCK, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return read(from: descriptor, offset: 0, limit: limit)
    }
}
