import Foundation
import Glibc
import Model
import NodeIO

/// A node's data directory: made on demand, used by one daemon at a time.
struct DataDirectory: ~Copyable {
    let path: String
    private let lock: Int32

    /// With less room than this a node neither begins its life nor takes in tasks, in bytes.
    static let roomBytesMin: UInt64 = 64 << 20

    /// Opens the directory and locks it against other daemons.
    init(_ path: String) throws {
        self.path = path
        guard DataDirectory.socket(in: path).utf8.count < LocalAPI.socketPathSizeBytesMax else {
            throw StartFailure(
                "--data-dir \(path): the path is too long for the socket in it (a socket's path "
                    + "has \(LocalAPI.socketPathSizeBytesMax - 1) bytes at most); choose a shorter "
                    + "one")
        }
        try DataDirectory.make(path)
        let descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DataDirectory.unusable(path, "can't be written to") }
        guard DataDirectory.lock(descriptor) else {
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

    /// How often the lock is tried, 20 ms apart.
    private static let lockTriesMax = 25

    /// A child of a daemon that was just killed holds its lock from its fork to its exec.
    private static func lock(_ descriptor: Int32) -> Bool {
        for attempt in 1...lockTriesMax {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            if attempt < lockTriesMax { usleep(20_000) }
        }
        return false
    }

    /// The file that holds the certificate of the API, and its key.
    static let apiCertificateName = "api-certificate.json"
    /// The file that holds the hashes of the API's tokens.
    static let apiTokensName = "api-tokens.json"

    /// Where the local API listens.
    var socket: String { DataDirectory.socket(in: path) }

    /// Where the local API of a directory's daemon listens.
    static func socket(in path: String) -> String { "\(path)/api.sock" }

    private static func make(_ path: String) throws {
        var isDirectory = ObjCBool(false)
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) {
            guard isDirectory.boolValue else {
                throw StartFailure(
                    "--data-dir \(path): is no directory; choose another path, or move the file away"
                )
            }
            return try refuseStrangers(path)
        }
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw unusable(path, "can't be made")
            }
        }
    }

    static func unusable(_ path: String, _ what: String) -> StartFailure {
        let code = errno
        let remedy =
            switch code {
            case EACCES, EPERM: "run as the user who owns it, or choose another with --data-dir"
            case ENOSPC, EDQUOT: "make room, or choose a directory on another disk"
            case EROFS: "its file system can't be changed; choose another with --data-dir"
            default: "choose another with --data-dir"
            }
        return StartFailure("--data-dir \(path): \(what) (\(cause(code))); \(remedy)")
    }

    /// A directory that is no node's must stay as it is.
    private static func refuseStrangers(_ path: String) throws {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard !names.contains("state.sqlite"), let stranger = names.filter({ !isOurs($0) }).min()
        else { return }
        throw StartFailure(
            "--data-dir \(path): holds files that are not a node's (such as \(stranger)); a new "
                + "node wants an empty directory of its own")
    }

    private static func isOurs(_ name: String) -> Bool {
        let own: Set<String> = [
            "lock", "node.key", "node.key.new", "node.key.next", "node.key.next.new",
            "machine-boot", "machine-boot.new", "api.sock",
            apiCertificateName, "\(apiCertificateName).new", apiTokensName, "\(apiTokensName).new",
            "host-rootfs", "images", "layers", "logs", "run", "log-copies", "lost+found",
        ]
        return own.contains(name) || name.hasPrefix("state.sqlite")
    }

    /// Refuses a directory whose disk has too little room for a node to begin its life there.
    func checkRoom() throws {
        var room = statvfs()
        guard statvfs(path, &room) == 0 else { return }
        let left = UInt64(room.f_bavail) * UInt64(room.f_frsize)
        guard left >= DataDirectory.roomBytesMin else {
            throw StartFailure(
                "--data-dir \(path): its disk is full (\(left >> 20) MiB left, a node needs "
                    + "\(DataDirectory.roomBytesMin >> 20) MiB at least); make room, or choose a "
                    + "directory on another disk")
        }
    }

    // MARK: Small files

    /// The node's secret keys.
    var keys: KeyFiles { KeyFiles(path: path) }

    /// Whether the machine still runs as when a daemon last used this directory.
    func isSameMachineBoot() throws -> Bool {
        let kernel = "/proc/sys/kernel/random/boot_id"
        let now = try String(contentsOfFile: kernel, encoding: .utf8)
        let file = "\(path)/machine-boot"
        let last = try? String(contentsOfFile: file, encoding: .utf8)
        if last != now { try DataDirectory.write(Array(now.utf8), to: file) }
        return last == now
    }

    /// What a copy of this directory does not share: the machine, and the directory's own place
    /// in its file system.
    ///
    /// A copy of a whole disk in another (virtual) machine differs by the hardware's identity.
    var machineID: MachineID {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        var text = "\(attributes?[.systemFileNumber] as? UInt64 ?? 0)"
        for file in ["/etc/machine-id", "/sys/class/dmi/id/product_uuid"] {
            text += "\n" + ((try? String(contentsOfFile: file, encoding: .utf8)) ?? "")
        }
        // FNV-1a: nobody has an interest in equal marks but the operator's accidents.
        let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { hash, byte in
            (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return MachineID(max(hash, 1))
    }

    /// Writes a small file, for its owner's eyes alone, so that after a crash it is there whole or not
    /// at all.
    static func write(_ bytes: [UInt8], to file: String) throws {
        let temporary = file + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DataDirectory.unusable(file, "can't be written") }
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        let isSynced = isWritten && fsync(descriptor) == 0
        let failure = errno
        close(descriptor)
        errno = failure
        guard isSynced, rename(temporary, file) == 0 else {
            throw DataDirectory.unusable(file, "can't be written")
        }
    }

    private static func cause(_ code: Int32) -> String { String(cString: strerror(code)) }
}
