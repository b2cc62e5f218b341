import Cluster
import ControlAPI
import HTTPTypes
import Hummingbird
import Model
import NIOCore

/// One operation of the HTTP API.
struct APIRoute: Sendable {
    let method: HTTPRequest.Method
    /// The path as OpenAPI writes it, such as `/v1/tasks/{id}`.
    let path: String
    /// What who asks must be allowed at least; `nil` when anybody may ask.
    let least: APIRole?
    /// Answers; the last argument is what stands in the place of `{id}`.
    let answer: @Sendable (APIServer, Request, String) async throws -> Response

    init(
        _ method: HTTPRequest.Method, _ path: String, _ least: APIRole?,
        _ answer: @escaping @Sendable (APIServer, Request, String) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.least = least
        self.answer = answer
    }

    /// The path as the router writes it.
    var pattern: String { path.replacing("{id}", with: ":id") }

    /// Whether a request for `other` means this path.
    func matches(_ other: String) -> Bool {
        let own = path.split(separator: "/", omittingEmptySubsequences: true)
        let asked = other.split(separator: "/", omittingEmptySubsequences: true)
        return own.count == asked.count && zip(own, asked).allSatisfy { $0 == "{id}" || $0 == $1 }
    }
}

extension APIServer {
    /// All that the API offers; `openapi.json` describes the same.
    static let routes: [APIRoute] =
        taskRoutes + clusterRoutes + imageRoutes + operatorRoutes + accessRoutes

    private static let taskRoutes = [
        APIRoute(.get, APIPaths.tasks, .read) { server, _, _ in try await server.list() },
        APIRoute(.post, APIPaths.tasks, .submit) { server, request, _ in
            try await server.submit(request)
        },
        APIRoute(.get, APIPaths.task("{id}"), .read) { try await $0.status($1, $2) },
        APIRoute(.get, APIPaths.task("{id}") + "/why", .read) { server, _, id in
            try await server.why(id)
        },
        APIRoute(.get, APIPaths.task("{id}") + "/stats", .read) { server, _, id in
            try await server.stats(id)
        },
        APIRoute(.get, APIPaths.task("{id}") + "/logs", .read) { try await $0.logs($1, $2) },
        APIRoute(.get, APIPaths.task("{id}") + "/events", .read) { server, _, id in
            try await server.events(of: id)
        },
        APIRoute(.post, APIPaths.task("{id}") + "/cancel", .submit) { server, _, id in
            try await server.accepted(.cancel(try await server.resolve(id)))
        },
        APIRoute(.post, APIPaths.task("{id}") + "/exec", .submit) { try await $0.exec($1, $2) },
        APIRoute(.post, APIPaths.task("{id}") + "/attach", .submit) { try await $0.attach($1, $2) },
        APIRoute(.post, APIPaths.call("{id}") + "/input", .submit) { try await $0.input($1, $2) },
        APIRoute(.post, APIPaths.call("{id}") + "/resize", .submit) { try await $0.resize($1, $2) },
        APIRoute(.post, APIPaths.task("{id}") + "/signal", .submit) { server, request, id in
            let task = try await server.resolve(id)
            let body: SignalRequest = try await server.decode(request)
            return try await server.accepted(.signal(task, body.signal))
        },
    ]

    private static let clusterRoutes = [
        APIRoute(.get, APIPaths.nodes, .read) { server, _, _ in
            let nodes = try await server.driver.read { $0.nodes(at: NodeDriver.now) }
            return try server.json(nodes.map(NodeView.init))
        },
        APIRoute(.post, APIPaths.nodes + "/{id}/forget", .admin) { server, _, id in
            try await server.accepted(.forget(try await server.node(id).id))
        },
        APIRoute(.post, APIPaths.nodes + "/{id}/evict", .admin) { try await $0.evict($1, $2) },
        APIRoute(.get, APIPaths.tokens, .admin) { server, _, _ in
            let tokens = try await server.driver.read { $0.tokens(at: NodeDriver.now) }
            return try server.json(tokens.map(TokenStatusView.init))
        },
        APIRoute(.post, APIPaths.tokens, .admin) { server, request, _ in
            try await server.issueToken(try await server.decode(request))
        },
        APIRoute(.post, APIPaths.tokens + "/{id}/revoke", .admin) { server, _, id in
            try await server.accepted(.revokeToken(id))
        },
        APIRoute(.post, APIPaths.leave, .admin) { server, _, _ in try await server.accepted(.leave)
        },
        APIRoute(.post, APIPaths.lockRecovery, .admin) { server, _, _ in
            try await server.accepted(.recoverLock)
        },
        APIRoute(.post, APIPaths.keyRotation, .admin) { server, _, _ in
            try await server.accepted(.rotateKey(try await server.driver.nextKey()))
        },
        APIRoute(.get, APIPaths.events, .read) { server, _, _ in try await server.events() },
    ]

    private static let operatorRoutes = [
        APIRoute(.get, APIPaths.metrics, .read) { server, _, _ in try await server.metrics() },
        APIRoute(.get, APIPaths.health, nil) { _, _, _ in plain("ok\n") },
        APIRoute(.get, APIPaths.readiness, nil) { server, _, _ in
            if let hindrance = try await server.driver.read({ $0.hindrance }) { throw hindrance }
            return plain("ready\n")
        },
        APIRoute(.get, APIPaths.description, nil) { _, _, _ in
            Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: APIDescription.openAPI)))
        },
    ]

    static func plain(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        Response(
            status: .ok, headers: [.contentType: type],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private func issueToken(_ wish: TokenRequest) async throws -> Response {
        let lifetime = Duration.seconds(min(max(wish.lifetimeSeconds, 0), 1 << 40))
        let uses = wish.uses.map { UInt32(clamping: $0) }
        guard
            case .token(let token, let name) = try await ask(
                .issueToken(lifetime: lifetime, usesMax: uses))
        else { throw Refusal(.unavailable, "the node made no token") }
        return try json(TokenView(token: token, name: name))
    }

}
