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
        let query = try LogQuery(request.uri.queryParameters)
        let isFramed = request.headers[.accept]?.contains(APIPaths.frames) == true
        // The first look comes before the headers, so that its failure can be an error.
        let first = try await look(id, query.attempt, query.start, wait: .zero)
        let server = self
        return Response(
            status: .ok,
            headers: [
                .contentType: isFramed ? APIPaths.frames : "application/octet-stream"
            ],
            body: ResponseBody { writer in
                var page = LogPage(query: query, isFramed: isFramed)
                var next: Look? = first
                while let look = next {
                    let buffer = try page.buffer(of: look)
                    if buffer.readableBytes > 0 { try await writer.write(buffer) }
                    if look.end != nil || page.isPast || Task.isCancelled { break }
                    if !query.follows, look.chunk.entries.isEmpty { break }
                    next = try? await server.look(
                        id, look.cursor.attempt, .at(look.cursor.place),
                        wait: page.wait(atMost: APIServer.readWait))
                }
                try await writer.finish(nil)
            })
    }

    /// What one look at a log gave.
    struct Look: Sendable {
        var chunk: LogChunk
        var cursor: AttemptCursor
        /// Whether output is missing before the chunk.
        var hasGap: Bool
        /// The task, once it has ended and all its output was read.
        var end: TaskStatus?
    }

    private func look(
        _ id: TaskID, _ wanted: FencingToken?, _ start: LogStart, wait: Duration
    ) async throws -> Look {
        guard
            case .log(let chunk, let attempt) = try await ask(
                .readLog(id, attempt: wanted, from: start, waitAtMost: wait))
        else { throw Refusal(.unavailable, "the log was not answered") }
        let gap = chunk.hasGap(after: start)
        var next = AttemptCursor(attempt: attempt, place: chunk.next)
        guard attempt == nil || chunk.isEnd else {
            return Look(chunk: chunk, cursor: next, hasGap: gap)
        }
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
            return Look(chunk: chunk, cursor: next, hasGap: gap)
        }
        let end = status.state.isTerminal ? status : nil
        return Look(chunk: chunk, cursor: next, hasGap: gap, end: end)
    }
}
