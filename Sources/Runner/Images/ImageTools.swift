import CShims
import Glibc

/// The programs that the image store uses, each with a bound on its time and its output.
struct ImageTools: Sendable {
    /// Where programs are looked for.
    let searchPath: [String]

    /// What a program that was run to its end left behind.
    struct Result {
        var code: Int32
        /// What it wrote to its standard error.
        var errors: String
        /// Whether it had to be killed because its time was up.
        var wasCut: Bool
    }

    /// Finds a program.
    ///
    /// - Throws: `.missingProgram`, with the name of the Debian package that has it.
    func find(_ name: String, package: String) throws(ImageError) -> String {
        if let path = Programs.locate(name, in: searchPath) { return path }
        throw ImageError(
            .missingProgram, "\(name) is missing; install it with: apt-get install \(package)")
    }

    /// Runs a program to its end, with files for its input and output.
    static func run(
        _ path: String, _ arguments: [String], input: Int32 = -1, output: Int32 = -1,
        environment: [String] = [], within limit: Duration
    ) throws(ImageError) -> Result {
        do {
            let (reader, writer) = try Spawner.pipe()
            defer { close(reader) }
            let id: pid_t
            do {
                defer { close(writer) }
                id = try Spawner.spawn(
                    path, arguments, directory: nil, input: input, output: output, errors: writer,
                    inherited: -1, environment: environment)
            }
            let deadline = ContinuousClock.now + limit
            var errors = BoundedReader(reader, within: limit)
            switch errors.drain() {
            case .ended(let bytes):
                let code = wait(for: id, until: deadline)
                return Result(
                    code: code ?? 137, errors: String(decoding: bytes, as: UTF8.self),
                    wasCut: code == nil)
            case .cut(let bytes):
                kill(id)
                _ = Spawner.wait(for: id)
                return Result(
                    code: 137, errors: String(decoding: bytes, as: UTF8.self), wasCut: true)
            }
        } catch {
            throw ImageError(error)
        }
    }

    /// Waits for a child, and kills it at the deadline; the code is `nil` then.
    static func wait(for id: pid_t, until deadline: ContinuousClock.Instant) -> Int32? {
        let descriptor = magpie_pidfd_open(id)
        defer { if descriptor >= 0 { close(descriptor) } }
        let left = max(.zero, deadline - .now)
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(clamping: Int64(left / .milliseconds(1)) + 1)
        let hasEnded = descriptor < 0 || poll(&polled, 1, milliseconds) > 0
        if !hasEnded { kill(id) }
        let code = Spawner.wait(for: id)
        return hasEnded ? code : nil
    }

    /// Ends a program that has not been waited for, with those that it started.
    static func kill(_ id: pid_t) {
        // Each leads a session of its own.
        Glibc.kill(-id, SIGKILL)
        Glibc.kill(id, SIGKILL)
    }

    /// The last line that a program wrote, shortened.
    static func lastLine(_ text: String) -> String {
        let line = text.split(separator: "\n").last.map(String.init) ?? "no reason given"
        return line.count > 500 ? String(line.prefix(500)) + "…" : line
    }
}
