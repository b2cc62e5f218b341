import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import Model
import NIOCore

/// Output of tasks: from any node, in frames or plain, with or without waiting for more.
extension APIServer {
    /// How long one look at a log waits for output.
    private static let readWait: Duration = .seconds(10)

    func logs(_ request: Request, _ fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let query = request.uri.queryParameters
        let follows = query.get("follow") == "true"
        let isFramed = request.headers[.accept]?.contains(APIPaths.frames) == true
        var cursor = AttemptCursor.beginning
        if let text = query.get("from") {
            guard let from = AttemptCursor(text) else {
                throw InvalidInput("from: \(text) is no cursor of a frame")
            }
            cursor = from
        }
        // The first look comes before the headers, so that its failure can be an error.
        let first = try await look(id, cursor, wait: .zero)
        let server = self
        let begin = cursor
        return Response(
            status: .ok,
            headers: [
                .contentType: isFramed ? APIPaths.frames : "application/octet-stream"
            ],
            body: ResponseBody { writer in
                var cursor = begin
                var next: Look? = first
                while let look = next {
                    var buffer = try server.buffer(of: look, isFramed: isFramed)
                    // An empty frame now and then shows whether anybody still listens.
                    if isFramed, buffer.readableBytes == 0 { buffer.writeString("\n") }
                    if buffer.readableBytes > 0 { try await writer.write(buffer) }
                    cursor = look.cursor
                    if look.end != nil || Task.isCancelled { break }
                    if !follows, look.chunk.entries.isEmpty { break }
                    next = try? await server.look(
                        id, cursor, wait: follows ? APIServer.readWait : .zero)
                }
                try await writer.finish(nil)
            })
    }

    /// What one look at a log gave.
    struct Look: Sendable {
        var chunk: LogChunk
        var cursor: AttemptCursor
        /// The task, once it has ended and all its output was read.
        var end: TaskStatus?
    }

    private func look(
        _ id: TaskID, _ cursor: AttemptCursor, wait: Duration
    ) async throws -> Look {
        guard
            case .log(let chunk, let attempt) = try await ask(
                .readLog(id, attempt: cursor.attempt, from: cursor.place, waitAtMost: wait))
        else { throw Refusal(.unavailable, "the log was not answered") }
        var next = AttemptCursor(attempt: attempt, place: chunk.next)
        guard attempt == nil || chunk.isEnd else { return Look(chunk: chunk, cursor: next) }
        // Not begun, or this attempt is over: the task's end, or its next attempt, tells what follows.
        let status = try await driver.task(id, waitAtMost: wait) { status in
            status.state.isTerminal
                || (attempt == nil ? status.started != nil : status.token != attempt)
        }
        guard let status else { throw Refusal(.notFound, "task \(id) was collected") }
        if status.token != attempt, status.token != nil {
            if attempt != nil || status.started != nil || status.state.isTerminal {
                next = AttemptCursor(attempt: status.token, place: .beginning)
            }
            return Look(chunk: chunk, cursor: next)
        }
        return Look(chunk: chunk, cursor: next, end: status.state.isTerminal ? status : nil)
    }

    private func buffer(of look: Look, isFramed: Bool) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        guard isFramed else {
            for entry in look.chunk.entries { buffer.writeBytes(entry.bytes) }
            return buffer
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let runs = APIServer.runs(of: look.chunk.entries)
        for (index, run) in runs.enumerated() {
            let isLast = index == runs.count - 1
            let frame = LogFrame(
                stream: run.stream == .stderr ? "stderr" : "stdout",
                time: Quantities.text(run.time), data: Data(run.bytes),
                cursor: isLast ? look.cursor.text : nil)
            buffer.writeBytes(try encoder.encode(frame))
            buffer.writeString("\n")
        }
        if let end = look.end {
            buffer.writeBytes(try encoder.encode(LogFrame(end: TaskView(end))))
            buffer.writeString("\n")
        }
        return buffer
    }

    /// Joins neighbours of one stream: a frame for each line would cost more than the line.
    static func runs(of entries: [LogEntry]) -> [LogEntry] {
        var runs: [LogEntry] = []
        for entry in entries {
            if runs.last?.stream == entry.stream {
                runs[runs.count - 1].bytes += entry.bytes
            } else {
                runs.append(entry)
            }
        }
        return runs
    }
}
