import AsyncHTTPClient
import ControlAPI
import Foundation
import Glibc
import NIOCore
import NIOHTTP1

/// Stays with a task to its end, and passes on its output.
struct Attachment {
    let connection: Connection
    /// The task's whole ID.
    let task: String
    var showsStdout = true
    var showsStderr = true
    /// Whether a person waits here for a task that was just submitted.
    var isInteractive = true
    /// Which part of the output is asked for: parameters of the request, such as `tail=5`.
    var selection: [String] = []
    /// Puts times before lines, if asked to.
    var stamps: LineStamps?

    /// How long the node may stay away before the client gives up on watching.
    static let absenceMax: Duration = .seconds(60)
    /// How long the node may stay away before a person is told.
    private static let absenceSilent: Duration = .seconds(2)
    /// How long a task may be queued before its user is told where to look.
    private static let hintAfter: Duration = .seconds(5)

    /// How following came to its end.
    struct Ending {
        var task: TaskView?
        /// Why some of the output is missing.
        var gap: String?
    }

    /// What is carried from one connection to the next.
    private struct Progress {
        var cursor: String?
        var lastSign = ContinuousClock.now
        var isAbsenceTold = false
        var isGapTold = false
        var stamps: LineStamps?
    }

    /// How a stream of frames came to its end.
    private enum StreamEnd {
        case broken
        case ended(TaskView)
        /// All that was asked for was shown.
        case past
    }

    /// Follows the task to its end, over broken connections and restarts of the node.
    func follow() async throws -> Ending {
        let hint = isInteractive ? hintWhenQueued() : nil
        defer { hint?.cancel() }
        var progress = Progress()
        progress.stamps = stamps
        defer { showRest(progress.stamps) }
        while true {
            do {
                switch try await readFrames(&progress) {
                case .ended(let task): return Ending(task: task)
                case .past: return Ending()
                case .broken: break
                }
            } catch let error as ServerError {
                if let ending = try await ending(without: error, &progress) { return ending }
            } catch let error as ClientFailure {
                throw error
            } catch {
                try tellAbsence(&progress)
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// The output can't be had now: the task's end is still to be learned.
    private func ending(
        without error: ServerError, _ progress: inout Progress
    ) async throws -> Ending? {
        guard ["unavailable", "not_found", "overloaded"].contains(error.code) else { throw error }
        let view: TaskView
        do {
            view = try await state()
        } catch is Unreachable {
            try tellAbsence(&progress)
            return nil
        } catch let second as ServerError where second.code == "unavailable" {
            try tellAbsence(&progress)
            return nil
        }
        progress.lastSign = .now
        if view.isTerminal { return Ending(task: view, gap: error.message) }
        if !progress.isGapTold { Output.error("client: \(error.message)") }
        progress.isGapTold = true
        return nil
    }

    /// A node that stays away for a moment is restarting; for longer, a person should know.
    private func tellAbsence(_ progress: inout Progress) throws {
        let absence = ContinuousClock.now - progress.lastSign
        guard absence < Attachment.absenceMax else {
            throw ClientFailure(
                "lost the node at \(connection.name); the task goes on: client wait \(task)",
                code: 125)
        }
        guard absence > Attachment.absenceSilent, !progress.isAbsenceTold else { return }
        progress.isAbsenceTold = true
        Output.error(
            "client: lost the node at \(connection.name); the task goes on, trying to come back")
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

    private func state() async throws -> TaskView {
        try await connection.ask(.GET, APIPaths.task(task), as: TaskView.self)
    }

    /// Reads frames until the task's end, or until the connection breaks.
    private func readFrames(_ progress: inout Progress) async throws -> StreamEnd {
        var parameters = ["follow=true"] + selection
        if let cursor = progress.cursor { parameters.append("from=\(cursor)") }
        let path = "\(APIPaths.task(task))/logs?" + parameters.joined(separator: "&")
        let body = try await connection.stream(path, accept: APIPaths.frames)
        var lines = FrameLines<LogFrame>()
        // Output is shown once its cursor is known: after a break it is not shown twice.
        var held: [LogFrame] = []
        for try await chunk in body {
            progress.lastSign = .now
            progress.isAbsenceTold = false
            for frame in try lines.take(chunk.readableBytesView) {
                held.append(frame)
                guard frame.cursor != nil || frame.end != nil || frame.isPast == true else {
                    continue
                }
                for frame in held { try show(frame, &progress.stamps) }
                held = []
                if let next = frame.cursor { progress.cursor = next }
                if let end = frame.end { return .ended(end) }
                if frame.isPast == true { return .past }
            }
        }
        return .broken
    }

    /// Shows the output that there is, without waiting for more.
    func showOnce() async throws {
        let parameters = selection.isEmpty ? "" : "?" + selection.joined(separator: "&")
        let body = try await connection.stream(
            "\(APIPaths.task(task))/logs\(parameters)", accept: APIPaths.frames)
        var lines = FrameLines<LogFrame>()
        var stamps = stamps
        defer { showRest(stamps) }
        do {
            for try await chunk in body {
                for frame in try lines.take(chunk.readableBytesView) { try show(frame, &stamps) }
            }
        } catch let error as HTTPClientError {
            throw Unreachable(node: connection.name, error)
        }
    }

    /// Lines that have no end yet are shown when nothing follows.
    private func showRest(_ stamps: LineStamps?) {
        guard var stamps else { return }
        for (isError, bytes) in stamps.finish() { Output.write(bytes, to: isError ? 2 : 1) }
    }

    private func show(_ frame: LogFrame, _ stamps: inout LineStamps?) throws {
        if let notice = frame.notice { Output.error("client: \(notice)") }
        guard let data = frame.data else { return }
        let isError = frame.stream == "stderr"
        guard isError ? showsStderr : showsStdout else { return }
        let bytes =
            stamps?.take(data, isError: isError, time: frame.time ?? "") ?? Array(data)
        guard Output.write(bytes, to: isError ? 2 : 1) else {
            throw ClientFailure(
                "nobody reads the output any more; the task goes on: client logs \(task)",
                code: 128 + SIGPIPE)
        }
    }

    /// The exit code that stands for a task's end; what can't be seen from it is said, with the
    /// task's name when there are several.
    static func code(of task: TaskView, name: String? = nil) -> Int32 {
        let subject = name.map { "task \($0)" } ?? "the task"
        if task.outOfMemory {
            Output.error("client: \(subject) ran out of memory; ask for more with --memory")
        } else if !task.reason.isEmpty, task.state != "complete" {
            Output.error("client: \(subject) \(task.state): \(task.reason)")
        } else if task.state == "canceled" {
            Output.error("client: \(subject) was canceled")
        }
        switch task.state {
        case "complete": return 0
        case "failed": return task.exitCode ?? 1
        case "canceled": return task.exitCode.map { $0 == 0 ? 143 : $0 } ?? 143
        default: return task.exitCode ?? 125
        }
    }
}
