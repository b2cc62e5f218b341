import Cluster
import ControlAPI
import Foundation
import Hummingbird
import Model
import NIOCore

/// Changes as server-sent events: of the whole cluster, or of one task to its end.
extension APIServer {
    func events() async throws -> Response {
        let changes = try await driver.events()
        return APIServer.eventStream { writer in
            for await change in changes {
                try await writer.write(try ServerSentEvent.bytes(of: change))
            }
        }
    }

    /// The task as it is, then each change of it, until it has ended for good.
    func events(of fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let changes = try await driver.events()
        let driver = driver
        return APIServer.eventStream { writer in
            guard let now = try await driver.read({ $0.task(id) }) else { return }
            try await writer.write(try ServerSentEvent.bytes(of: .task(now)))
            if now.state.isTerminal, !now.isUnconfirmed { return }
            for await change in changes {
                switch change {
                case .task(let task) where task.id == id:
                    try await writer.write(try ServerSentEvent.bytes(of: change))
                    if task.state.isTerminal, !task.isUnconfirmed { return }
                case .task, .member:
                    continue
                case .nothing:
                    try await writer.write(try ServerSentEvent.bytes(of: change))
                    // What was collected in the meantime changes no more.
                    guard try await driver.read({ $0.task(id) }) != nil else { return }
                }
            }
        }
    }

    private static func eventStream(
        _ body: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                var open: any ResponseBodyWriter = writer
                // The answer's head goes out at once, not with the first change.
                try await open.write(ByteBuffer(string: ": magpie\n\n"))
                try await body(&open)
                try await open.finish(nil)
            })
    }
}

/// How a change looks in a stream of events.
enum ServerSentEvent {
    static func bytes(of change: NodeDriver.ClusterEvent) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let (kind, data): (String, Data)
        switch change {
        case .task(let task): (kind, data) = ("task", try encoder.encode(TaskView(task)))
        case .member(let node): (kind, data) = ("node", try encoder.encode(NodeView(node)))
        case .nothing: return ByteBuffer(string: ": \n\n")
        }
        var buffer = ByteBuffer(string: "event: \(kind)\ndata: ")
        buffer.writeBytes(data)
        buffer.writeString("\n\n")
        return buffer
    }
}
