import CShims
import Foundation
import Glibc
import Model
import Synchronization

/// The daemon's side of `magpie-guard`, the process that ends containers when the node's lease ends.
///
/// A guard outlives its daemon, and a new daemon finds it by its socket. When there is none, one is
/// started; containers of an earlier one are dead by then. Blocks, so it is for threads that may.
final class Guard: @unchecked Sendable {
    /// A guard's life: containers of an earlier one have died with it.
    typealias Life = UInt64

    private let program: String
    private let socket: String
    /// One request at a time; held while the guard answers.
    private let lock = NSLock()
    private var connection: Int32 = -1
    private var life: Life = 0
    private var armed: Instant?
    /// Whether this side has let go for good: a guard that heard from it again would wait for more.
    private var isReleased = false
    /// Until when the node's lease is good; what the guard is to be armed with.
    private let wanted = Mutex<Instant?>(nil)

    init(program: String, socket: String) {
        self.program = program
        self.socket = socket
    }

    deinit {
        if connection >= 0 { close(connection) }
    }

    /// How long the guard may take to answer, in seconds; one that takes longer is as good as dead.
    private static let timeoutSeconds: Int32 = 5

    /// From now on containers are made under a lease that ends at `deadline`; does not block.
    func want(_ deadline: Instant) {
        wanted.withLock { $0 = deadline }
    }

    /// Moves the end of all containers that hang on the lease to where it is wanted.
    func arm() {
        lock.withLock {
            // Without a guard no container hangs on it; it is armed before the first one does.
            guard connection >= 0 else { return }
            try? armAsWanted()
        }
    }

    /// Makes a PID namespace for a container; with a user namespace above it, if wanted.
    ///
    /// - Throws: `RunnerError` when the lease is over, or there is no guard to be had.
    func open(
        isLeaseBound: Bool, hasUsers: Bool = false
    ) throws(RunnerError) -> (sandbox: Sandbox, life: Life) {
        lock.lock()
        defer { lock.unlock() }
        try connect()
        if isLeaseBound {
            let deadline = wanted.withLock { $0 }
            guard let deadline, deadline.nanoseconds > magpie_boottime() else {
                throw RunnerError("the node has no lease under which a container could be made")
            }
            try armAsWanted()
        }
        let words = try request("open \(isLeaseBound ? 1 : 0) \(hasUsers ? 1 : 0)").split(
            separator: " ")
        guard words.count == 3, words[0] == "opened", let process = pid_t(words[1]),
            let namespace = UInt64(words[2])
        else {
            throw RunnerError("the guard of containers refused: \(words.joined(separator: " "))")
        }
        return (Sandbox(process: process, namespace: namespace), life)
    }

    /// Has the namespace ended when the container's monitor ends.
    func watch(_ sandbox: Sandbox, monitor: pid_t) throws(RunnerError) {
        lock.lock()
        defer { lock.unlock() }
        let answer = try request("watch \(sandbox.process) \(monitor)")
        guard answer == "watching" else {
            throw RunnerError("the guard of containers refused: \(answer)")
        }
    }

    /// The present guard's life; one is found, but none is started.
    var current: Life? {
        lock.withLock {
            if connection >= 0, (try? request("ping")) != nil { return life }
            return reach() ? life : nil
        }
    }

    /// Whether a guard of an earlier daemon was killed; one that ends by itself takes its socket along.
    var wasKilled: Bool {
        lock.withLock { connection < 0 && !reach() && Files.exists(socket) }
    }

    /// Lets go of the guard for good; it goes on for as long as containers hang on it.
    func release() {
        lock.withLock {
            isReleased = true
            hangUp()
        }
    }

    // MARK: Under the lock

    private func armAsWanted() throws(RunnerError) {
        guard let deadline = wanted.withLock({ $0 }), deadline != armed else { return }
        let answer = try request("arm \(deadline.nanoseconds)")
        guard answer == "armed" else {
            throw RunnerError("the guard of containers refused: \(answer)")
        }
        armed = deadline
    }

    private func connect() throws(RunnerError) {
        guard !isReleased else { throw RunnerError("the daemon is about to end") }
        if connection >= 0, (try? request("ping")) != nil { return }
        if reach() { return }
        let result = try Spawner.run(program, [socket])
        guard result.code == 0, reach() else {
            throw RunnerError(
                "the guard of containers can't be started: \(result.output)\(String(cString: strerror(errno)))"
            )
        }
    }

    private func reach() -> Bool {
        hangUp()
        guard !isReleased else { return false }
        connection = magpie_connect(socket, Guard.timeoutSeconds)
        guard connection >= 0 else { return false }
        life += 1
        return true
    }

    private func hangUp() {
        if connection >= 0 { close(connection) }
        connection = -1
        armed = nil
    }

    private func request(_ text: String) throws(RunnerError) -> String {
        let bytes = Array(text.utf8)
        var buffer = [UInt8](repeating: 0, count: 256)
        guard send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        else {
            hangUp()
            throw RunnerError("the guard of containers is gone")
        }
        let count = recv(connection, &buffer, buffer.count, 0)
        guard count > 0 else {
            // An answer that comes later would be taken for that of the next request.
            hangUp()
            throw RunnerError("the guard of containers is gone")
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

/// The PID namespace of one container, and its first process, which reaps and has all die with it.
struct Sandbox: Hashable, Sendable, LosslessStringConvertible {
    /// The first process, as the host sees it.
    let process: pid_t
    /// The namespace's inode, by which a process ID that is used again is told apart.
    let namespace: UInt64

    init(process: pid_t, namespace: UInt64) {
        self.process = process
        self.namespace = namespace
    }

    init?(_ description: String) {
        let words = description.split(separator: " ")
        guard words.count == 2, let process = pid_t(words[0]), let namespace = UInt64(words[1])
        else { return nil }
        self.init(process: process, namespace: namespace)
    }

    var description: String { "\(process) \(namespace)" }
    var path: String { "/proc/\(process)/ns/pid" }
    /// The user namespace that goes with it, if it has one of its own.
    var usersPath: String { "/proc/\(process)/ns/user" }

    /// Whether the process is still the first one of its namespace.
    var isAlive: Bool { contains(process) }

    /// Whether a process lives in this namespace.
    func contains(_ process: pid_t) -> Bool {
        var status = stat()
        return stat("/proc/\(process)/ns/pid", &status) == 0 && UInt64(status.st_ino) == namespace
    }

    /// Has the kernel kill every process in the namespace; does not wait.
    func kill() {
        if isAlive { Glibc.kill(process, SIGKILL) }
    }

    /// Ends every process in the namespace, and waits until none is left; 5 s at most.
    func end() {
        let descriptor = magpie_pidfd_open(process)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard isAlive else { return }
        Glibc.kill(process, SIGKILL)
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&polled, 1, 5_000) < 0, errno == EINTR {}
    }
}
