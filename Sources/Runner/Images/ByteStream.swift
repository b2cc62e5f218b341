import CShims
import Glibc
import Model

/// Reads a file, or what a program makes, from beginning to end, and hashes all of it on the way.
///
/// Belongs to one thread. A program that has not ended when the stream goes away is killed.
final class ByteStream {
    /// The hash of all bytes that were fetched.
    private(set) var hash = SHA256()
    /// How many bytes were fetched.
    private(set) var countBytes: UInt64 = 0
    /// What the stream is of, for errors.
    let subject: String

    private let descriptor: Int32
    /// What it means when the program fails.
    private let failureCode: ImageError.Code
    /// Gets a copy of everything; negative for none.
    private let sink: Int32
    private let deadline: ContinuousClock.Instant
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
    private var begin = 0
    private var end = 0
    private var program: Program?

    private struct Program {
        let id: pid_t
        /// Negative once it is closed.
        var errors: Int32
        var text: [UInt8] = []
    }

    /// The most that is kept of a program's errors, in bytes.
    private static let errorsSizeBytesMax = 8 << 10

    /// Reads from an open file, and closes it in the end.
    init(
        file: Int32, subject: String, copyingTo sink: Int32 = -1,
        until deadline: ContinuousClock.Instant
    ) {
        failureCode = .failed
        descriptor = file
        self.subject = subject
        self.sink = sink
        self.deadline = deadline
    }

    /// Reads what a program writes; `input` is its standard input, and stays open here.
    init(
        program path: String, _ arguments: [String], input: Int32 = -1, subject: String,
        copyingTo sink: Int32 = -1, failure: ImageError.Code = .corrupt,
        until deadline: ContinuousClock.Instant
    ) throws(ImageError) {
        failureCode = failure
        self.subject = subject
        self.sink = sink
        self.deadline = deadline
        do throws(RunnerError) {
            let (reader, writer) = try Spawner.pipe()
            descriptor = reader
            defer { close(writer) }
            let (errors, errorsWriter) = try Spawner.pipe()
            defer { close(errorsWriter) }
            let id: pid_t
            do throws(RunnerError) {
                id = try Spawner.spawn(
                    path, arguments, directory: nil, input: input, output: writer,
                    errors: errorsWriter, inherited: -1, environment: [])
            } catch {
                close(errors)
                throw error
            }
            program = Program(id: id, errors: errors)
        } catch {
            throw ImageError(error)
        }
    }

    deinit {
        close(descriptor)
        if let program {
            if program.errors >= 0 { close(program.errors) }
            ImageTools.kill(program.id)
            _ = Spawner.wait(for: program.id)
        }
        buffer.deallocate()
    }

    /// Hands over some of what comes next, at most `limit` bytes and at least one.
    ///
    /// - Returns: How many bytes; 0 at the end.
    func next(
        atMost limit: UInt64, _ body: (UnsafeRawBufferPointer) throws(ImageError) -> Void
    ) throws(ImageError) -> Int {
        if begin == end { try fill() }
        let count = min(end - begin, Int(clamping: limit))
        guard count > 0 else { return 0 }
        try body(UnsafeRawBufferPointer(rebasing: buffer[begin..<begin + count]))
        begin += count
        return count
    }

    /// Reads exactly `count` bytes; fewer only at the end.
    func bytes(_ count: Int) throws(ImageError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let got = try next(atMost: UInt64(count - bytes.count)) { bytes.append(contentsOf: $0) }
            if got == 0 { break }
        }
        return bytes
    }

    /// Passes over bytes; fewer than `count` only at the end.
    func skip(_ count: UInt64) throws(ImageError) -> UInt64 {
        var skipped: UInt64 = 0
        while skipped < count {
            let got = try next(atMost: count - skipped) { _ in }
            if got == 0 { break }
            skipped += UInt64(got)
        }
        return skipped
    }

    /// Reads what is left, up to a bound, and makes sure that the program was content.
    ///
    /// - Returns: The digest of everything.
    func finish(sizeBytesMax: UInt64) throws(ImageError) -> ImageDigest {
        while countBytes <= sizeBytesMax, try next(atMost: .max, { _ in }) > 0 {}
        guard countBytes <= sizeBytesMax else {
            throw ImageError(.tooLarge, "\(subject) is larger than \(sizeBytesMax) bytes")
        }
        guard var ended = program else { return hash.digest() }
        program = nil
        close(ended.errors)
        ended.errors = -1
        guard let code = ImageTools.wait(for: ended.id, until: deadline) else { throw tooSlow }
        guard code == 0 else { throw failure(code, String(decoding: ended.text, as: UTF8.self)) }
        return hash.digest()
    }

    // MARK: Private

    private var tooSlow: ImageError {
        ImageError(.timedOut, "reading \(subject) took too long, and was given up")
    }

    private func failure(_ code: Int32, _ text: String) -> ImageError {
        let reason = ImageTools.lastLine(text)
        let isCut = ["nexpected end", "premature", "truncated"].contains { text.contains($0) }
        if isCut { return ImageError(.truncated, "\(subject) ends too early: \(reason)") }
        return ImageError(failureCode, "\(subject) can't be read (code \(code)): \(reason)")
    }

    private func fill() throws(ImageError) {
        begin = 0
        end = 0
        try waitForInput()
        var count = -1
        repeat {
            count = read(descriptor, buffer.baseAddress, buffer.count)
        } while count < 0
            && errno == EINTR
        guard count >= 0 else { throw .system("read", subject) }
        end = count
        countBytes += UInt64(count)
        let fresh = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        hash.update(fresh)
        if sink >= 0 { try Files.writeAll(fresh, to: sink, "the copy of \(subject)") }
    }

    private func waitForInput() throws(ImageError) {
        while true {
            let left = deadline - .now
            guard left > .zero else { throw tooSlow }
            guard let errors = program?.errors else { return }
            var polled = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
            ]
            let milliseconds = Int32(clamping: Int64(left / .milliseconds(1)) + 1)
            guard poll(&polled, 2, milliseconds) > 0 else { continue }
            if polled[1].revents != 0 { readErrors() }
            if polled[0].revents != 0 { return }
        }
    }

    /// Keeps the beginning of what the program complains about, and drops the rest.
    private func readErrors() {
        guard var current = program else { return }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(current.errors, &bytes, bytes.count)
        if count > 0 {
            let room = ByteStream.errorsSizeBytesMax - current.text.count
            current.text += bytes[..<min(count, max(0, room))]
        } else if count == 0 {
            close(current.errors)
            current.errors = -1
        }
        program = current
    }
}

extension Files {
    /// Writes all of some bytes to an open file.
    static func writeAll(
        _ bytes: [UInt8], to descriptor: Int32, _ subject: String
    ) throws(ImageError) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in try writeAll(bytes, to: descriptor, subject) }
        }
        try result.get()
    }

    /// Writes all of some bytes to an open file.
    static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ subject: String
    ) throws(ImageError) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system("write", subject) }
            written += count
        }
    }
}
