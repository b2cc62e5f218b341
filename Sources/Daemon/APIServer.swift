import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import Model
import NIOCore

/// The HTTP API of one node, on the local socket and, when asked for, on loopback.
struct APIServer: Sendable {
    let driver: NodeDriver

    /// The longest that one request may wait for a task.
    static let waitMax: Duration = .seconds(60)
    /// How many connections one socket has at a time; more wait until others end.
    static let connectionsMax = 4_096
    /// A connection on which nobody asks for anything is closed after this.
    static let idleMax: TimeAmount = .seconds(90)

    /// Serves until it is canceled; `ready` is told the port once the socket is open.
    ///
    /// The local socket is guarded by file permissions, another one is not.
    func run(
        on address: BindAddress, isLocal: Bool, logger: Logger,
        ready: @escaping @Sendable (_ port: Int?) -> Void
    ) async throws {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: APIGate(isLocal: isLocal))
        for route in APIServer.routes {
            router.on(RouterPath(route.pattern), method: route.method) { request, context in
                try await route.answer(self, request, context.parameters.get("id") ?? "")
            }
        }
        let application = Application(
            router: router,
            server: .http1(configuration: .init(idleTimeout: APIServer.idleMax)),
            configuration: ApplicationConfiguration(
                address: address,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    APIServer.connectionsMax)),
            onServerRunning: { ready($0.localAddress?.port) }, logger: logger)
        try await application.run()
    }

    // MARK: Asking the node

    func ask(_ request: NodeRequest) async throws -> NodeReply {
        let reply = try await driver.request(request)
        if case .refused(let refusal) = reply { throw refusal }
        return reply
    }

    func accepted(_ request: NodeRequest) async throws -> Response {
        _ = try await ask(request)
        return try json([String: String](), status: .accepted)
    }

    /// The one task whose ID is this, or begins or ends so.
    func resolve(_ fragment: String) async throws -> TaskID {
        let found = try await driver.read { $0.find(fragment) }
        guard let first = found.first else {
            throw Refusal(.notFound, "there is no task \(fragment) here")
        }
        guard found.count == 1 else {
            let list = found.map { "\($0)" }.joined(separator: ", ")
            let more = found.count < TableReplica.matchesMax ? "" : " and perhaps more"
            throw Refusal(
                .conflict, "\(fragment) may mean any of \(list)\(more); give more of the ID")
        }
        return first
    }

    func decode<Body: Decodable>(_ request: Request) async throws -> Body {
        try decode(try await body(of: request))
    }

    func body(of request: Request) async throws -> Data {
        do {
            let buffer = try await request.body.collect(upTo: APIPaths.bodySizeBytesMax)
            return Data(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw HTTPError(.contentTooLarge)
        }
    }

    func decode<Body: Decodable>(_ data: Data) throws -> Body {
        do {
            return try JSONDecoder().decode(Body.self, from: data)
        } catch let error as DecodingError {
            throw InvalidInput("the request's body can't be read: \(APIServer.words(for: error))")
        }
    }

    /// What is wrong with a body, for people.
    private static func words(for error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "the field \(place(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context):
            return "the field \(place(context.codingPath)) is not of type \(type)"
        case .valueNotFound(_, let context):
            return "the field \(place(context.codingPath)) has no value"
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            return "it is no JSON, or a number in it is out of range"
        case .dataCorrupted(let context):
            return "the field \(place(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            return "\(error)"
        }
    }

    // MARK: Answers

    func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        try Response(json: value, status: status)
    }
}

extension Response {
    /// An answer in JSON, with a line's end for people who look at it.
    init(json value: some Encodable, status: HTTPResponse.Status) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var body = ByteBuffer(bytes: try encoder.encode(value))
        body.writeString("\n")
        self.init(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: body))
    }
}
