import Cluster
import ControlAPI
import HTTPTypes
import Hummingbird
import Model

/// What every request passes: foreign web pages are kept out, errors become the API's error body.
struct APIGate: RouterMiddleware {
    /// How the requests come in.
    let door: APIDoor

    func handle(
        _ request: Request, context: APIContext,
        next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        do {
            try keepPagesOut(request)
            return try await next(request, context)
        } catch let denied as AccessDenied {
            var response = try answer(denied.status, denied.code, denied.message)
            if denied.status == .unauthorized {
                response.headers[.wwwAuthenticate] = "Bearer realm=\"magpie\""
            }
            return response
        } catch let refusal as Refusal {
            return try answer(
                APIGate.status(of: refusal.code), APIGate.word(for: refusal.code), refusal.message)
        } catch let invalid as InvalidInput {
            return try answer(.badRequest, "invalid", invalid.description)
        } catch is CancellationError {
            return try answer(
                .serviceUnavailable, "unavailable",
                "this node is starting or going down; ask another, or ask again")
        } catch let error as HTTPError {
            return try answer(error, to: request)
        }
    }

    /// A web page in a browser on this machine can send requests to loopback; none may run commands.
    ///
    /// Browsers name the page's origin in everything that could change something, and the name by
    /// which the page reached us in all else. Where a token is needed none has it.
    private func keepPagesOut(_ request: Request) throws {
        guard case .openLoopback = door else { return }
        let host = request.head.authority ?? ""
        guard request.headers[.origin] == nil, APIGate.isLoopback(host) else {
            throw HTTPError(.forbidden)
        }
    }

    static func isLoopback(_ authority: String) -> Bool {
        if authority.hasPrefix("[") { return authority.hasPrefix("[::1]") }
        let host = authority.split(separator: ":", omittingEmptySubsequences: false).first ?? ""
        return host == "localhost" || PeerAddress("\(host):0")?.ip.first == 127
    }

    private func answer(_ error: HTTPError, to request: Request) throws -> Response {
        switch error.status {
        case .notFound:
            let path = request.uri.path
            let allowed = APIServer.routes.filter { $0.matches(path) }.map(\.method.rawValue)
            guard allowed.isEmpty else {
                var response = try answer(
                    .methodNotAllowed, "method_not_allowed",
                    "\(path) does not take \(request.method); it takes "
                        + allowed.joined(separator: " and "))
                response.headers[.allow] = allowed.joined(separator: ", ")
                return response
            }
            return try answer(
                .notFound, "not_found", "there is no \(path); \(APIPaths.description) lists all")
        case .contentTooLarge:
            return try answer(
                .contentTooLarge, "too_large",
                "the request's body is larger than \(APIPaths.bodySizeBytesMax >> 20) MiB; put "
                    + "large inputs into a volume")
        case .forbidden:
            return try answer(
                .forbidden, "forbidden",
                "requests of web pages are refused; use the client, or a program on this machine "
                    + "that names it by a loopback address")
        default:
            return try answer(error.status, "invalid", error.body ?? "\(error.status)")
        }
    }

    private func answer(
        _ status: HTTPResponse.Status, _ code: String, _ message: String
    ) throws -> Response {
        try Response(json: ErrorBody(code: code, message: message), status: status)
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

    private static func word(for code: Refusal.Code) -> String {
        switch code {
        case .notFound: "not_found"
        case .badToken: "bad_token"
        case .invalid, .conflict, .overloaded, .storage, .unreachable, .unavailable: code.rawValue
        }
    }
}
