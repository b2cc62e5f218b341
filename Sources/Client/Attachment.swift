import AsyncHTTPClient
import ControlAPI
import Dispatch
import Foundation
import Glibc
import NIOCore
import NIOHTTP1

/// Stays with a task: passes on its output and the user's Ctrl-C, and returns its exit code.
struct Attachment {
    let connection: Connection
    let task: String
    var showsStdout = true
    var showsStderr = true
    var passesSignals = true

    /// How long the node may stay away before the client gives up on watching.
    static let absenceMax: Duration = .seconds(60)

    /// - Returns: The task's exit code, as a shell shows it.
    func follow() async throws -> Int32 {
        let signals = passesSignals ? watchSignals() : nil
        let hint = passesSignals ? hintWhenQueued() : nil
        defer {
            signals?.cancel()
            hint?.cancel()
        }
        let clock = ContinuousClock()
        var cursor: String?
        var lastSign = clock.now
        while true {
            do {
                if let end = try await readFrames(from: &cursor, sign: { lastSign = clock.now }) {
                    return Attachment.code(of: end)
                }
            } catch let error as ServerError where error.code == "unavailable" {
                // The node that holds the output is away: the task's end is still to be learned.
                if let end = try? await state(), end.isTerminal {
                    Output.error("client: \(error.message)")
                    return Attachment.code(of: end)
                }
            } catch let error as ServerError {
                throw error
            } catch {
                guard clock.now - lastSign < Attachment.absenceMax else {
                    throw ClientFailure(
                        "lost the node at \(connection.name); the task goes on: client wait \(task)",
                        code: 125)
                }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// A task that nobody takes is no error, but a person should know why nothing happens.
    private func hintWhenQueued() -> Task<Void, Never> {
        Task {
            guard (try? await Task.sleep(for: Attachment.hintAfter)) != nil,
                let view = try? await state(), view.state == "queued"
            else { return }
            Output.error("client: no node has taken the task yet; see: client why \(task)")
        }
    }

    /// How long a task may be queued before its user is told where to look.
    private static let hintAfter: Duration = .seconds(5)

    private func state() async throws -> TaskView {
        try await connection.ask(.GET, APIPaths.task(task), as: TaskView.self)
    }

    /// Reads frames until the task's end, or until the connection breaks.
    private func readFrames(
        from cursor: inout String?, sign: () -> Void
    ) async throws -> TaskView? {
        var path = "\(APIPaths.task(task))/logs?follow=true"
        if let cursor { path += "&from=\(cursor)" }
        let body = try await connection.stream(path, accept: APIPaths.frames)
        var rest: [UInt8] = []
        for try await chunk in body {
            sign()
            rest += chunk.readableBytesView
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Data(rest[..<end])
                rest.removeFirst(end + 1)
                guard !line.isEmpty else { continue }
                let frame = try JSONDecoder().decode(LogFrame.self, from: line)
                if let data = frame.data {
                    let isError = frame.stream == "stderr"
                    if isError ? showsStderr : showsStdout {
                        Output.write(data, to: isError ? 2 : 1)
                    }
                }
                if let next = frame.cursor { cursor = next }
                if let end = frame.end { return end }
            }
        }
        return nil
    }

    /// The exit code that stands for a task's end; what can't be seen from it is said.
    static func code(of task: TaskView) -> Int32 {
        if task.outOfMemory {
            Output.error("client: the task ran out of memory; ask for more with --memory")
        } else if !task.reason.isEmpty, task.state != "complete" {
            Output.error("client: task \(task.state): \(task.reason)")
        } else if task.state == "canceled" {
            Output.error("client: the task was canceled")
        }
        switch task.state {
        case "complete": return 0
        case "failed": return task.exitCode ?? 1
        case "canceled": return task.exitCode.map { $0 == 0 ? 143 : $0 } ?? 143
        default: return task.exitCode ?? 125
        }
    }

    // MARK: Ctrl-C

    private func watchSignals() -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        let presses = Presses()
        let connection = connection
        let task = task
        source.setEventHandler {
            let isSecond = presses.note()
            Task {
                if isSecond {
                    Output.error("client: canceling the task")
                    _ = try? await connection.ask(.POST, "\(APIPaths.task(task))/cancel")
                } else {
                    _ = try? await connection.ask(
                        .POST, "\(APIPaths.task(task))/signal", SignalRequest(signal: SIGINT))
                }
            }
        }
        source.resume()
        return source
    }

    /// When Ctrl-C was last pressed; touched by the signal queue alone.
    private final class Presses: @unchecked Sendable {
        private let lock = NSLock()
        private var last: ContinuousClock.Instant?

        /// Whether this press comes within a second of the last one.
        func note() -> Bool {
            lock.withLock {
                let now = ContinuousClock.now
                defer { last = now }
                return last.map { now - $0 < .seconds(1) } ?? false
            }
        }
    }
}
