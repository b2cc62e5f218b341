import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Model
import NIOCore

/// The HTTP API of one node, on the local socket and, when asked for, on loopback.
struct APIServer: Sendable {
    let driver: NodeDriver

    /// The longest that one request may wait for a task.
    static let waitMax: Duration = .seconds(60)

    /// Serves until it is canceled.
    func run(on address: BindAddress, logger: Logger, ready: @escaping @Sendable () -> Void)
        async throws
    {
        let application = Application(
            router: router(), configuration: ApplicationConfiguration(address: address),
            onServerRunning: { _ in ready() }, logger: logger)
        try await application.run()
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router(context: BasicRequestContext.self)
        router.get("/v1/tasks") { _, _ in try await list() }
        router.post("/v1/tasks") { request, _ in try await answering { try await submit(request) } }
        router.get("/v1/tasks/:id") { request, context in
            try await answering { try await status(request, try context.parameters.require("id")) }
        }
        router.get("/v1/tasks/:id/why") { _, context in
            try await answering { try await why(try context.parameters.require("id")) }
        }
        router.get("/v1/tasks/:id/logs") { request, context in
            try await answering { try await logs(request, try context.parameters.require("id")) }
        }
        router.post("/v1/tasks/:id/cancel") { _, context in
            try await answering {
                let id = try await resolve(try context.parameters.require("id"))
                return try await accepted(.cancel(id))
            }
        }
        router.post("/v1/tasks/:id/signal") { request, context in
            try await answering {
                let id = try await resolve(try context.parameters.require("id"))
                let body: SignalRequest = try await decode(request)
                return try await accepted(.signal(id, body.signal))
            }
        }
        addClusterRoutes(to: router)
        return router
    }

    private func addClusterRoutes(to router: Router<BasicRequestContext>) {
        router.get("/v1/nodes") { _, _ in
            let nodes = try await driver.read { $0.nodes(at: NodeDriver.now) }
            return try json(nodes.map(NodeView.init))
        }
        router.post("/v1/nodes/:id/forget") { _, context in
            try await answering {
                let wanted = try context.parameters.require("id")
                let nodes = try await driver.read { $0.nodes(at: NodeDriver.now) }
                guard let node = nodes.first(where: { "\($0.id)" == wanted || $0.name == wanted })
                else { throw Refusal(.notFound, "there is no node \(wanted)") }
                return try await accepted(.forget(node.id))
            }
        }
        router.post("/v1/tokens") { request, _ in
            try await answering {
                let body: TokenRequest = try await decode(request)
                let lifetime = Duration.seconds(min(max(body.lifetimeSeconds, 0), 1 << 40))
                guard case .token(let token) = try await ask(.issueToken(lifetime: lifetime))
                else { throw Refusal(.unavailable, "the node made no token") }
                return try json(TokenView(token: token))
            }
        }
        router.post("/v1/leave") { _, _ in try await answering { try await accepted(.leave) } }
        router.get("/v1/events") { _, _ in try await events() }
        router.get("/metrics") { _, _ in try await metrics() }
        router.get("/healthz") { _, _ in "ok\n" }
        router.get("/readyz") { _, _ in
            try await answering {
                guard try await driver.read({ $0.isMember }) else {
                    throw Refusal(.unavailable, "not a member yet")
                }
                return Response(status: .ok)
            }
        }
    }

    // MARK: Tasks

    private func list() async throws -> Response {
        let tasks = try await driver.read { $0.tasks() }
        return try json(tasks.map(TaskView.init))
    }

    private func submit(_ request: Request) async throws -> Response {
        let body: SubmitRequest = try await decode(request)
        let spec = try body.spec.spec()
        var id: TaskID?
        if let text = body.id {
            guard let chosen = TaskID(text) else {
                throw InvalidInput("id: \(text) is no UUID")
            }
            id = chosen
        }
        let reply = try await ask(.submit(spec, id: id, ack: try ackLevel(body.ack)))
        guard case .submitted(let task, let copies) = reply,
            let status = try await driver.read({ $0.task(task) })
        else { throw Refusal(.unavailable, "the submission was not answered") }
        return try json(
            SubmitReply(task: TaskView(status), copies: copies), status: .created)
    }

    private func ackLevel(_ text: String?) throws -> AckLevel {
        guard let text else { return .copies(2) }
        if text == "majority" { return .majority }
        guard let count = UInt32(text), count >= 1 else {
            throw InvalidInput("ack: \(text) is neither a number from 1 on nor majority")
        }
        return .copies(count)
    }

    private func status(_ request: Request, _ fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let seconds = request.uri.queryParameters.get("wait").flatMap { Int($0) } ?? 0
        let wait = min(Duration.seconds(max(seconds, 0)), APIServer.waitMax)
        guard
            let task = try await driver.task(
                id, waitAtMost: wait, until: { $0.state.isTerminal })
        else { throw Refusal(.notFound, "there is no task \(fragment)") }
        return try json(TaskView(task))
    }

    private func why(_ fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let verdicts = try await driver.read { $0.why(id, at: NodeDriver.now) }
        return try json(verdicts.map { WhyView(node: $0.name, reason: $0.reason) })
    }

    /// The one task whose ID is this, or begins or ends so.
    func resolve(_ fragment: String) async throws -> TaskID {
        let found = try await driver.read { $0.find(fragment) }
        guard let first = found.first else {
            throw Refusal(.notFound, "there is no task \(fragment) here")
        }
        guard found.count == 1 else {
            let list = found.map { "\($0)" }.joined(separator: ", ")
            throw Refusal(.conflict, "\(fragment) may mean any of \(list); give more of the ID")
        }
        return first
    }

    // MARK: Asking the node

    func ask(_ request: NodeRequest) async throws -> NodeReply {
        let reply = try await driver.request(request)
        if case .refused(let refusal) = reply { throw refusal }
        return reply
    }

    private func accepted(_ request: NodeRequest) async throws -> Response {
        _ = try await ask(request)
        return try json([String: String](), status: .accepted)
    }

    private func decode<Body: Decodable>(_ request: Request) async throws -> Body {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: APIPaths.bodySizeBytesMax)
        } catch {
            throw InvalidInput("the request's body is larger than 1 MiB, or broke off")
        }
        do {
            return try JSONDecoder().decode(Body.self, from: Data(buffer.readableBytesView))
        } catch {
            throw InvalidInput("the request's body can't be read: \(error)")
        }
    }

    // MARK: Answers

    func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var body = ByteBuffer(bytes: try encoder.encode(value))
        body.writeString("\n")
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: body))
    }

    /// Errors become the API's error body with the right status.
    func answering(_ body: () async throws -> Response) async throws -> Response {
        do {
            return try await body()
        } catch let refusal as Refusal {
            return try json(
                ErrorBody(code: refusal.code.rawValue, message: refusal.message),
                status: APIServer.status(of: refusal.code))
        } catch let invalid as InvalidInput {
            return try json(
                ErrorBody(code: "invalid", message: invalid.description), status: .badRequest)
        } catch is CancellationError {
            return try json(
                ErrorBody(code: "unavailable", message: "this node is going down; ask another"),
                status: .serviceUnavailable)
        }
    }

    private static func status(of code: Refusal.Code) -> HTTPResponse.Status {
        switch code {
        case .invalid, .badToken: .badRequest
        case .notFound: .notFound
        case .conflict: .conflict
        case .overloaded: .tooManyRequests
        case .storage: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        case .unreachable, .unavailable: .serviceUnavailable
        }
    }

    private func metrics() async throws -> Response {
        var lines: [String] = []
        for (name, value) in try await driver.metrics().sorted(by: { $0.key < $1.key }) {
            let parts = name.split(separator: "{", maxSplits: 1)
            let label = parts.count == 2 ? "{\(parts[1])" : ""
            lines.append("magpie_\(parts[0])_total\(label) \(value)")
        }
        let counts = try await driver.read { node in
            Dictionary(grouping: node.tasks(), by: \.state).mapValues(\.count)
        }
        for state in TaskState.allCases {
            lines.append("magpie_tasks{state=\"\(state.rawValue)\"} \(counts[state] ?? 0)")
        }
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: lines.joined(separator: "\n") + "\n"))
        )
    }

    private func events() async throws -> Response {
        let stream = try await driver.events()
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                for await event in stream {
                    let (kind, data) =
                        switch event {
                        case .task(let task): ("task", try encoder.encode(TaskView(task)))
                        case .member(let node): ("node", try encoder.encode(NodeView(node)))
                        }
                    var buffer = ByteBuffer(string: "event: \(kind)\ndata: ")
                    buffer.writeBytes(data)
                    buffer.writeString("\n\n")
                    try await writer.write(buffer)
                }
                try await writer.finish(nil)
            })
    }
}
