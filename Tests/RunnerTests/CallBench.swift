import CShims
import Foundation
import Glibc
import Model
import Testing

@testable import Runner

extension ContainerRunner {
    var callCount: Int { lock.withLock { calls.count } }

    func call(_ id: ContainerID, _ key: CallKey, _ command: CallCommand) async -> CallAnswer {
        await withCheckedContinuation { continuation in
            call(id, key, command) { continuation.resume(returning: $0) }
        }
    }
}

/// Calls as a client makes them.
extension RunnerBench {
    struct Output {
        var bytes: [UInt8] = []
        var output = ""
        var errors = ""
        var next: UInt64 = 0
        var end = CallEnd.exited(-1)
    }

    var callsDirectory: String { "\(runner.configuration.runDirectory)/calls" }

    func newKey() -> CallKey {
        CallKey(caller: .none, number: UInt64.random(in: 0...UInt64.max))
    }

    func open(_ id: ContainerID, _ target: CallTarget) async throws -> CallKey {
        let key = newKey()
        let answer = await runner.call(id, key, .open(target))
        guard case .opened = answer else { throw Timeout(description: "\(answer)") }
        return key
    }

    func exec(_ id: ContainerID, _ program: CallProgram) async throws -> Output {
        let key = try await open(id, .program(program))
        let result = try await output(of: id, key)
        _ = await runner.call(id, key, .close)
        return result
    }

    /// Reads to the end.
    func output(
        of id: ContainerID, _ key: CallKey, from place: UInt64 = 0
    ) async throws -> Output {
        var whole = Output()
        var (output, errors): ([UInt8], [UInt8]) = ([], [])
        whole.next = place
        while true {
            let command = CallCommand.read(from: whole.next, waitAtMost: .seconds(10))
            let answer = await runner.call(id, key, command)
            guard case .output(let runs, let next, let end) = answer else {
                throw Timeout(description: "\(answer)")
            }
            for run in runs {
                whole.bytes += run.bytes
                if run.stream == .stderr { errors += run.bytes } else { output += run.bytes }
            }
            whole.next = next
            if let end {
                whole.end = end
                whole.output = String(decoding: output, as: UTF8.self)
                whole.errors = String(decoding: errors, as: UTF8.self)
                return whole
            }
        }
    }

    /// Reads until what was heard is enough.
    func listen(
        _ id: ContainerID, _ key: CallKey, from place: UInt64 = 0,
        until isEnough: (String) -> Bool
    ) async throws -> (text: String, next: UInt64) {
        var (text, next) = ("", place)
        for _ in 0..<1_000 where !isEnough(text) {
            let command = CallCommand.read(from: next, waitAtMost: .seconds(10))
            let answer = await runner.call(id, key, command)
            guard case .output(let runs, let after, nil) = answer else {
                throw Timeout(description: "\(answer) after \(text)")
            }
            text += runs.map { String(decoding: $0.bytes, as: UTF8.self) }.joined()
            next = after
        }
        guard isEnough(text) else { throw Timeout(description: "heard \(text)") }
        return (text, next)
    }

    /// Sends all of it, and the end.
    func send(_ bytes: [UInt8], to id: ContainerID, _ key: CallKey) async throws {
        var place = 0
        repeat {
            let part = Array(bytes[place...].prefix(CallCommand.chunkSizeBytesMax))
            let isEnd = place + part.count == bytes.count
            let answer = await runner.call(
                id, key, .write(part, at: UInt64(place), isEnd: isEnd))
            guard case .taken(let taken) = answer else { throw Timeout(description: "\(answer)") }
            place = Int(taken)
        } while place < bytes.count
        // Its end may not have been taken with its last bytes.
        _ = await runner.call(id, key, .write([], at: UInt64(place), isEnd: true))
    }

    /// The size of the terminal that a process has as its input.
    func terminalSize(of process: pid_t) -> TerminalSize? {
        let descriptor = Glibc.open("/proc/\(process)/fd/0", O_RDONLY | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 else { return nil }
        return TerminalSize(rows: size.ws_row, columns: size.ws_col)
    }
}
