import CShims
import Glibc

/// Starts programs and waits for them; for threads that may block.
enum Spawner {
    /// What a program left behind.
    struct Result {
        var code: Int32
        var output: String
    }

    /// Runs a program to its end; its output and errors come back together.
    static func run(
        _ path: String, _ arguments: [String], directory: String? = nil
    ) throws(RunnerError) -> Result {
        let (reader, writer) = try pipe()
        defer { close(reader) }
        let id: pid_t
        do {
            defer { close(writer) }
            id = try spawn(
                path, arguments, directory: directory, output: writer, inherited: -1,
                environment: [])
        }
        let output = drain(reader)
        return Result(code: wait(for: id), output: String(decoding: output, as: UTF8.self))
    }

    /// Starts a program.
    ///
    /// Descriptors from 3 on are closed in it, but for `inherited`, which is 3.
    static func spawn(
        _ path: String, _ arguments: [String], directory: String?, output: Int32,
        inherited: Int32, environment: [String]
    ) throws(RunnerError) -> pid_t {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw Files.failure("open", "/dev/null") }
        defer { close(null) }
        let sink = output < 0 ? null : output
        var id: pid_t = 0
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] =
            (["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + environment)
            .map { strdup($0) }
        argv.append(nil)
        envp.append(nil)
        defer { for pointer in argv + envp { free(pointer) } }
        let status = magpie_spawn(
            &id, path, argv, envp, directory, null, sink, sink, inherited)
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

    /// Reads until the other end is closed, at most 1 MiB.
    static func drain(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < 1 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// Reads up to the first line's end, or the end.
    static func line(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.count < 64 << 10 {
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0, byte != UInt8(ascii: "\n") else { break }
            bytes.append(byte)
        }
        return bytes
    }
}
