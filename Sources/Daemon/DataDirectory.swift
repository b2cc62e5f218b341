import Foundation
import Glibc

/// A node's data directory: made on demand, used by one daemon at a time.
struct DataDirectory: ~Copyable {
    let path: String
    private let lock: Int32

    /// Opens the directory and locks it against other daemons.
    init(_ path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartFailure(
                "--data-dir \(path): can't be made (\(Self.cause(errno))); run as root or choose "
                    + "a directory that you may write to")
        }
        let descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StartFailure("--data-dir \(path): no permission to write (\(Self.cause(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = (try? String(contentsOfFile: "\(path)/lock", encoding: .utf8)) ?? ""
            close(descriptor)
            throw StartFailure(
                "--data-dir \(path): in use by another daemon"
                    + (holder.isEmpty ? "" : " (process \(holder))")
                    + "; stop it first, or choose another directory")
        }
        ftruncate(descriptor, 0)
        let id = Array("\(getpid())".utf8)
        _ = pwrite(descriptor, id, id.count, 0)
        lock = descriptor
    }

    deinit { close(lock) }

    /// The node's secret seed; drawn at the first start, readable by its owner alone.
    func seed() throws -> [UInt8] {
        let file = "\(path)/node.key"
        if let data = FileManager.default.contents(atPath: file) {
            guard data.count == 32 else {
                throw StartFailure("\(file): damaged; restore it from a backup")
            }
            return Array(data)
        }
        var generator = SystemRandomNumberGenerator()
        let seed = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        try write(seed, to: file)
        return seed
    }

    /// Whether the machine still runs as when a daemon last used this directory.
    func isSameMachineBoot() throws -> Bool {
        let kernel = "/proc/sys/kernel/random/boot_id"
        let now = try String(contentsOfFile: kernel, encoding: .utf8)
        let file = "\(path)/machine-boot"
        let last = try? String(contentsOfFile: file, encoding: .utf8)
        if last != now { try write(Array(now.utf8), to: file) }
        return last == now
    }

    /// Writes a small file so that after a crash it is there whole or not at all.
    private func write(_ bytes: [UInt8], to file: String) throws {
        let temporary = file + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StartFailure("\(temporary): can't be written (\(Self.cause(errno)))")
        }
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, isSynced, rename(temporary, file) == 0 else {
            throw StartFailure("\(file): can't be written (\(Self.cause(errno)))")
        }
    }

    private static func cause(_ code: Int32) -> String { String(cString: strerror(code)) }
}
