import AsyncHTTPClient
import ControlAPI
import Foundation
import Glibc
import NIOCore
import NIOHTTP1

/// One node's HTTP API, over its local socket or TCP.
struct Connection: Sendable {
    /// How people would name the node.
    let name: String
    private let base: String

    /// Lives as long as the process.
    ///
    /// A socket on which nobody listens is an error at once: whoever
    /// wants to wait for a daemon does so knowingly, above.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(5)
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// The largest answer that is read whole, in bytes.
    private static let answerSizeBytesMax = 256 << 20

    init(_ wanted: String?) throws {
        let environment = ProcessInfo.processInfo.environment
        let name = wanted ?? environment["MAGPIE_NODE"] ?? "unix:\(Connection.defaultSocket)"
        self.name = name
        if name.hasPrefix("unix:") {
            let path = String(name.dropFirst(5))
            guard !path.isEmpty else {
                throw ClientFailure("--node \(name): the path of the socket is missing", code: 125)
            }
            let escaped = path.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? path
            base = "http+unix://\(escaped)"
        } else {
            guard name.split(separator: ":").count == 2,
                name.split(separator: ":").last.flatMap({ UInt16($0) }) != nil
            else {
                throw ClientFailure(
                    "--node \(name): write HOST:PORT or unix:PATH", code: 125)
            }
            base = "http://\(name)"
        }
    }

    private static var defaultSocket: String {
        let environment = ProcessInfo.processInfo.environment
        if let directory = environment["MAGPIE_DATA_DIR"] { return "\(directory)/api.sock" }
        if geteuid() == 0 { return "/var/lib/magpie/api.sock" }
        return "\(environment["HOME"] ?? "/")/.local/share/magpie/api.sock"
    }

    /// Asks, and reads the whole answer.
    func ask<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)? = nil,
        as type: Answer.Type, timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        let bytes = try await ask(method, path, body, timeout: timeout)
        return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
    }

    @discardableResult
    func ask(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> ByteBuffer {
        let response = try await send(method, path, body, accept: nil, timeout: timeout)
        return try await response.body.collect(upTo: Connection.answerSizeBytesMax)
    }

    /// Asks, and hands over the answer as it comes.
    func stream(_ path: String, accept: String) async throws -> HTTPClientResponse.Body {
        try await send(.GET, path, nil, accept: accept, timeout: .hours(24 * 365)).body
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)?,
        accept: String?, timeout: TimeAmount
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        if let accept { request.headers.add(name: "accept", value: accept) }
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        }
        let response: HTTPClientResponse
        do {
            response = try await Connection.http.execute(request, timeout: timeout)
        } catch {
            throw Unreachable(node: name, cause: "\(error)")
        }
        guard (200..<300).contains(response.status.code) else {
            let bytes = try await response.body.collect(upTo: 1 << 20)
            let error = try? JSONDecoder().decode(
                ErrorBody.self, from: Data(bytes.readableBytesView))
            throw ServerError(
                status: Int(response.status.code), code: error?.error.code ?? "unknown",
                message: error?.error.message ?? "the node answered \(response.status)")
        }
        return response
    }
}

/// The node can't be reached, or the connection broke.
struct Unreachable: Error {
    var node: String
    var cause: String

    var message: String {
        "can't reach the node at \(node) (\(cause)). Is its daemon running? Start one with "
            + "`daemon start`, or name another node with --node HOST:PORT or unix:PATH"
    }
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
        throw ClientFailure("the node's answer can't be read (\(error))", code: code)
    }
}
