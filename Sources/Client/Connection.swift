import AsyncHTTPClient
import ControlAPI
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One node's HTTP API, over its local socket or TCP.
struct Connection: Sendable {
    /// How people would name the node.
    let name: String
    private let base: String
    private let http: HTTPClient
    /// What requests say of themselves; `nil` where no token is needed.
    private let authorization: String?

    /// The largest answer that is read whole, in bytes.
    private static let answerSizeBytesMax = 256 << 20
    /// How long a node may take to answer what it can answer at once.
    static let answerWait: TimeAmount = .seconds(20)

    /// Names the node, and finds out how to speak to it; a login that is given counts instead of
    /// what the user's book says.
    ///
    /// - Throws: `InvalidInput` when the node's name can't be one, or there is no login for it.
    init(
        _ wanted: String?, login given: Login? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let name: String
        if let wanted {
            name = wanted
        } else if let set = environment["MAGPIE_NODE"], !set.isEmpty {
            name = set
        } else {
            name = "unix:\(Connection.defaultSocket(environment))"
        }
        self.name = name
        if let socket = try Connection.socket(of: name) {
            (base, http, authorization) = (socket, HTTPClients.plain, nil)
            return
        }
        let (host, _) = try Connection.hostAndPort(of: name)
        if let login = try given ?? LoginBook(environment)[name] {
            base = "https://\(name)"
            http = try HTTPClients.secure(login.trust, for: name)
            authorization = "Bearer \(login.token)"
        } else {
            guard Connection.isLoopback(host) else {
                throw InvalidInput(
                    "--node \(name): log in first: client login \(name)")
            }
            (base, http, authorization) = ("http://\(name)", HTTPClients.plain, nil)
        }
    }

    /// Where the API may speak without TLS, when its node was told to.
    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1"
            || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }

    /// What precedes the paths of a local socket; `nil` when the name means another place.
    private static func socket(of name: String) throws -> String? {
        if name.hasPrefix("unix:") {
            let path = String(name.dropFirst(5))
            guard !path.isEmpty else {
                throw InvalidInput("--node \(name): the path of the socket is missing")
            }
            guard path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else {
                throw InvalidInput("--node \(name): the path is too long for a socket")
            }
            let escaped = path.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? path
            return "http+unix://\(escaped)"
        }
        return nil
    }

    /// The parts of `HOST:PORT`; an IPv6 address comes without its brackets.
    static func hostAndPort(of name: String) throws -> (host: String, port: Int) {
        let malformed = InvalidInput(
            "--node \(name.isEmpty ? "''" : name): write HOST:PORT or unix:PATH")
        guard let colon = name.lastIndex(of: ":"),
            let port = UInt16(name[name.index(after: colon)...])
        else { throw malformed }
        let host = name[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard !host.isEmpty, isBracketed || !host.contains(":"),
            !host.contains(where: { $0.isWhitespace || "/@?#%".contains($0) })
        else { throw malformed }
        return (isBracketed ? String(host.dropFirst().dropLast()) : String(host), Int(port))
    }

    private static func defaultSocket(_ environment: [String: String]) -> String {
        if let directory = environment["MAGPIE_DATA_DIR"], !directory.isEmpty {
            return "\(directory)/api.sock"
        }
        if geteuid() == 0 { return "/var/lib/magpie/api.sock" }
        return "\(environment["HOME"] ?? "/")/.local/share/magpie/api.sock"
    }

    /// The path of a task that a person named.
    ///
    /// - Throws: `InvalidInput` for what can't be a part of an ID, and would be another path.
    static func task(_ fragment: String) throws -> String {
        guard !fragment.isEmpty, fragment.allSatisfy({ $0.isHexDigit || $0 == "-" }) else {
            throw InvalidInput(
                "\(fragment.isEmpty ? "''" : fragment) is no task ID; see: client list")
        }
        return APIPaths.task(fragment)
    }

    /// Asks, and reads the whole answer.
    func ask<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)? = nil,
        as type: Answer.Type, timeout: TimeAmount = Connection.answerWait
    ) async throws -> Answer {
        let bytes = try await ask(method, path, body, timeout: timeout)
        return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
    }

    @discardableResult
    func ask(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)? = nil,
        timeout: TimeAmount = Connection.answerWait
    ) async throws -> ByteBuffer {
        let response = try await send(method, path, body, accept: nil, timeout: timeout)
        do {
            return try await response.body.collect(upTo: Connection.answerSizeBytesMax)
        } catch {
            throw Unreachable(node: name, error)
        }
    }

    /// Sends a body of any length, and reads the answer.
    func upload<Answer: Decodable>(
        _ path: String, _ source: ImportSource, as type: Answer.Type
    ) async throws -> Answer {
        let response = try await send(
            .POST, path, body: .stream(source, length: .unknown),
            contentType: "application/octet-stream", accept: nil, timeout: ImageCommand.timeMax)
        let bytes = try await response.body.collect(upTo: Connection.answerSizeBytesMax)
        return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
    }

    /// Asks, and hands over the answer as it comes.
    func stream(
        _ path: String, method: HTTPMethod = .GET, _ body: (any Encodable & Sendable)? = nil,
        accept: String
    ) async throws -> HTTPClientResponse.Body {
        try await send(method, path, body, accept: accept, timeout: .hours(24 * 365)).body
    }

    /// Sends bytes as they are, and reads the whole answer.
    func post<Answer: Decodable>(
        _ bytes: [UInt8], to path: String, as type: Answer.Type
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/octet-stream")
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let response = try await execute(request, timeout: Connection.answerWait)
        do {
            let answer = try await response.body.collect(upTo: Connection.answerSizeBytesMax)
            return try JSONDecoder().decode(type, from: Data(answer.readableBytesView))
        } catch let error as DecodingError {
            throw error
        } catch {
            throw Unreachable(node: name, error)
        }
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)?,
        accept: String?, timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        let content = try body.map {
            HTTPClientRequest.Body.bytes(ByteBuffer(bytes: try JSONEncoder().encode($0)))
        }
        return try await send(
            method, path, body: content, contentType: "application/json", accept: accept,
            timeout: timeout)
    }

    private func send(
        _ method: HTTPMethod, _ path: String, body: HTTPClientRequest.Body?,
        contentType: String, accept: String?, timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        if let accept { request.headers.add(name: "accept", value: accept) }
        if let body {
            request.headers.add(name: "content-type", value: contentType)
            request.body = body
        }
        return try await execute(request, timeout: timeout)
    }

    private func execute(
        _ request: HTTPClientRequest, timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        let response: HTTPClientResponse
        do {
            var request = request
            if let authorization {
                request.headers.add(name: "authorization", value: authorization)
            }
            response = try await http.execute(request, timeout: timeout)
        } catch let error as InvalidInput {
            throw error
        } catch {
            throw Unreachable(node: name, error)
        }
        guard (200..<300).contains(response.status.code) else {
            let bytes = (try? await response.body.collect(upTo: 1 << 20)) ?? ByteBuffer()
            let error = try? JSONDecoder().decode(
                ErrorBody.self, from: Data(bytes.readableBytesView))
            throw ServerError(
                status: Int(response.status.code), code: error?.error.code ?? "unknown",
                message: error?.error.message
                    ?? "\(name) answered \(response.status); it is no node of Magpie, or of "
                    + "another version")
        }
        return response
    }
}

/// The node can't be reached, or the connection broke.
struct Unreachable: Error {
    var node: String
    /// Why, in words.
    var cause: String
    var remedy: String
    /// Whether nobody listens there at all, so that asking again at once is no use.
    var isRefused = false
    /// Whether its certificate is the reason.
    var isDistrusted = false

    init(node: String, _ error: any Error) {
        self.node = node
        remedy =
            "Is its daemon running? Start one with `daemon start`, or name another node with "
            + "--node HOST:PORT or unix:PATH"
        // Of several addresses of a name, the first one that was tried.
        let error = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
        if let error = error as? IOError {
            cause = String(cString: strerror(error.errnoCode))
            isRefused = [ECONNREFUSED, ENOENT, EACCES, EPERM, ENOTSOCK].contains(error.errnoCode)
            if [EACCES, EPERM].contains(error.errnoCode) {
                remedy = "Run as the user whom its daemon runs as"
            }
        } else if let error = error as? HTTPClientError {
            cause = Unreachable.words(for: error)
            isRefused = error == .connectTimeout
        } else if "\(error)".contains("CERTIFICATE_VERIFY_FAILED") {
            cause = "its certificate is not one that the login trusts"
            remedy =
                "Somebody may be in between. If the node has a new certificate on purpose, compare "
                + "its fingerprint and log in again: client login \(node)"
            (isRefused, isDistrusted) = (true, true)
        } else if "\(error)".contains("WRONG_VERSION_NUMBER") || error is NIOSSLError {
            cause = "it speaks no TLS, or another one"
            remedy = "Is the port that of its --api, and is it without --api-insecure-loopback?"
            isRefused = true
        } else if "\(error)".contains("UnknownHost") {
            cause = "the name can't be resolved"
            isRefused = true
        } else {
            cause = "\(error)"
        }
    }

    private static func words(for error: HTTPClientError) -> String {
        switch error {
        case .connectTimeout: "it does not answer"
        case .deadlineExceeded, .readTimeout: "it took the request, but did not answer in time"
        case .remoteConnectionClosed:
            "it closed the connection; it may be going down, or the port is not that of its --api, or "
                + "it wants a login (client login)"
        default: "\(error)"
        }
    }

    var message: String { "can't reach the node at \(node) (\(cause)). \(remedy)" }
}

/// The node refused.
struct ServerError: Error {
    var status: Int
    var code: String
    var message: String
}

/// Runs a command's body; its errors become messages for people.
func reporting<Value>(
    code: Int32 = 1, _ body: () async throws -> Value
) async throws -> Value {
    do {
        return try await body()
    } catch let error as Unreachable {
        throw ClientFailure(error.message, code: code)
    } catch let error as ServerError {
        throw ClientFailure(error.message, code: code)
    } catch let error as InvalidInput {
        throw ClientFailure(error.description, code: code)
    } catch let error as DecodingError {
        throw ClientFailure(
            "the node's answer can't be read; it may be of another version (\(error))", code: code)
    }
}
