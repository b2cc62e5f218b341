import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import Model
import NIOCore

/// The HTTP API of one node, on the local socket and, when asked for, over TCP.
struct APIServer: Sendable {
    let driver: NodeDriver
    let tokens: APITokenDesk
    /// How requests to this server come in.
    var door = APIDoor.socket
    /// What who asks may do; `nil` where anybody may ask.
    var caller: AccessView?
    /// Where the node's API speaks TLS, and with which certificate.
    var tls: (address: String, fingerprint: String)?

    /// The longest that one request may wait for a task.
    static let waitMax: Duration = .seconds(60)
    /// How many connections one socket has at a time; more wait until others end.
    ///
    /// Over TLS each source has its share (`ConnectionShares`).
    static let connectionsMax = 4_096
    /// A connection on which nobody asks for anything is closed after this.
    static let idleMax: TimeAmount = .seconds(90)

    /// Serves until it is canceled; `ready` is told the port once the socket is open.
    ///
    /// What a request may do is asked once its route is known, and before it is answered.
    func run(
        on address: BindAddress, logger: Logger,
        ready: @escaping @Sendable (_ port: Int?) -> Void
    ) async throws {
        let router = Router(context: APIContext.self)
        router.add(middleware: APIGate(door: door))
        for route in APIServer.routes {
            router.on(RouterPath(route.pattern), method: route.method) { request, context in
                var server = self
                server.caller = try door.admit(
                    request, from: context.source, needs: route.least, tokens)
                return try await route.answer(
                    server, request, context.parameters.get("id") ?? "")
            }
        }
        let application = Application(
            router: router,
            server: channels,
            configuration: ApplicationConfiguration(
                address: address,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    APIServer.connectionsMax)),
            onServerRunning: { ready($0.localAddress?.port) }, logger: logger)
        try await application.run()
    }

    private var channels: HTTPServerBuilder {
        let configuration = HTTP1Channel.Configuration(idleTimeout: APIServer.idleMax)
        guard case .tls(let certificate) = door else {
            return .http1(configuration: configuration)
        }
        return HTTPServerBuilder { responder in
            let plain = HTTP1Channel(responder: responder, configuration: configuration)
            return SharedChannel(
                try TLSChannel(plain, tlsConfiguration: certificate.configuration))
        }
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
