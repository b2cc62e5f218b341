import CShims
import Glibc

/// Starts programs and waits for them; for threads that may block.
enum Spawner {
    /// What a program left behind.
    struct Result {
        var code: Int32
        var output: String
    }

    /// How long a runtime may take for one step; one that takes longer is as good as hung.
    static let stepTimeMax: Duration = .seconds(60)
    /// How long a program that has lost its witness may take to notice.
    static let witnessGrace: Duration = .milliseconds(500)

    /// Runs a program to its end; its output and errors come back together.
    ///
    /// It is killed (code 137) after `limit`, and soon after `witness`, a descriptor that becomes
    /// readable when there is nothing left to be done: `crun start` waits for ever for a container
    /// that died at the wrong moment.
    static func run(
        _ path: String, _ arguments: [String], within limit: Duration = stepTimeMax,
        witness: Int32 = -1
    ) throws(RunnerError) -> Result {
        let (reader, writer) = try pipe()
        defer { close(reader) }
        let id: pid_t
        do {
            defer { close(writer) }
            id = try spawn(
                path, arguments, directory: nil, output: writer, inherited: -1, environment: [])
        }
        var input = BoundedReader(reader, within: limit, witness: witness)
        var output = ""
        switch input.drain() {
        case .ended(let bytes): output = String(decoding: bytes, as: UTF8.self)
        case .cut(let bytes):
            Glibc.kill(id, SIGKILL)
            output =
                String(decoding: bytes, as: UTF8.self)
                + "it wrote too much or did not end in time, and was killed"
        }
        return Result(code: wait(for: id), output: output)
    }

    /// Starts a program.
    ///
    /// Descriptors from 3 on are closed in it, but for `inherited`, which is 3. A negative one stands
    /// for nothing to read, or for what is thrown away; errors go with the output unless told otherwise.
    static func spawn(
        _ path: String, _ arguments: [String], directory: String?, input: Int32 = -1,
        output: Int32, errors: Int32? = nil, inherited: Int32, environment: [String]
    ) throws(RunnerError) -> pid_t {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw Files.failure("open", "/dev/null") }
        defer { close(null) }
        let source = input < 0 ? null : input
        let sink = output < 0 ? null : output
        let errorSink = errors.map { $0 < 0 ? null : $0 } ?? sink
        var id: pid_t = 0
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] =
            (["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + environment)
            .map { strdup($0) }
        argv.append(nil)
        envp.append(nil)
        defer { for pointer in argv + envp { free(pointer) } }
        let status = magpie_spawn(
            &id, path, argv, envp, directory, source, sink, errorSink, inherited)
        guard status == 0 else {
            throw RunnerError("can't start \(path): \(String(cString: strerror(status)))")
        }
        return id
    }

    /// Waits for a child; the code is as a shell shows it.
    static func wait(for id: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            guard errno == EINTR else { return 255 }
        }
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }

    static func pipe() throws(RunnerError) -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [0, 0]
        guard magpie_pipe(&ends) == 0 else { throw Files.failure("make", "a pipe") }
        return (ends[0], ends[1])
    }
}
