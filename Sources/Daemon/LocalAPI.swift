import ControlAPI
import Foundation
import Glibc
import NodeIO

/// Asks the daemon of a data directory over its local socket; for the daemon's own subcommands.
struct LocalAPI {
    let dataDirectory: String

    /// How long a socket's path may be, with the zero byte at its end.
    static let socketPathSizeBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    /// Makes a token; `uses` is how many nodes it lets in, any number if `nil`.
    func token(lifetime: String, uses: Int64?) throws -> TokenView {
        let body = try JSONEncoder().encode(
            TokenRequest(lifetimeSeconds: try LocalAPI.seconds(lifetime), uses: uses))
        let answer = try post(APIPaths.tokens, body)
        return try JSONDecoder().decode(TokenView.self, from: answer)
    }

    func tokens() throws -> [TokenStatusView] {
        try JSONDecoder().decode(
            [TokenStatusView].self, from: try ask("GET", APIPaths.tokens, Data()))
    }

    func revokeToken(_ name: String) throws {
        _ = try post("\(APIPaths.tokens)/\(name)/revoke", Data())
    }

    /// Makes a token for the API.
    func apiToken(_ role: APIRole, lifetime: String) throws -> APITokenView {
        let body = try JSONEncoder().encode(
            APITokenRequest(role: role, lifetimeSeconds: try LocalAPI.seconds(lifetime)))
        return try JSONDecoder().decode(
            APITokenView.self, from: try post(APIPaths.apiTokens, body))
    }

    func apiTokens() throws -> [APITokenStatusView] {
        try JSONDecoder().decode(
            [APITokenStatusView].self, from: try ask("GET", APIPaths.apiTokens, Data()))
    }

    func revokeAPIToken(_ name: String) throws {
        _ = try post("\(APIPaths.apiTokens)/\(name)/revoke", Data())
    }

    private static func seconds(_ lifetime: String) throws -> Int64 {
        do {
            return Int64(try Quantities.seconds(lifetime))
        } catch {
            throw StartFailure("--ttl \(lifetime): write a duration such as 30m or 24h")
        }
    }

    func leave() throws {
        _ = try post(APIPaths.leave, Data())
    }

    func rotateKey() throws {
        _ = try post(APIPaths.keyRotation, Data())
    }

    func recoverLock() throws {
        _ = try post(APIPaths.lockRecovery, Data())
    }

    private func post(_ path: String, _ body: Data) throws -> Data { try ask("POST", path, body) }

    private func ask(_ method: String, _ path: String, _ body: Data) throws -> Data {
        let descriptor = try connect()
        defer { close(descriptor) }
        var request = Data(
            ("\(method) \(path) HTTP/1.1\r\nhost: local\r\nconnection: close\r\n"
                + "content-type: application/json\r\ncontent-length: \(body.count)\r\n\r\n").utf8)
        request += body
        _ = request.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        var answer = Data()
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return try LocalAPI.content(of: answer)
    }

    /// The body of an answer; an error of the daemon's is thrown with its own words.
    static func content(of answer: Data) throws -> Data {
        guard let end = answer.firstRange(of: Data("\r\n\r\n".utf8)) else {
            throw StartFailure("the daemon broke off its answer; is it going down?")
        }
        let head = String(decoding: answer[..<end.lowerBound], as: UTF8.self)
        var body = Data(answer[end.upperBound...])
        if head.lowercased().contains("transfer-encoding: chunked") { body = dechunked(body) }
        guard head.hasPrefix("HTTP/1.1 2") else {
            let error = try? JSONDecoder().decode(ErrorBody.self, from: body)
            throw StartFailure(error?.error.message ?? "the daemon answered \(head.prefix(40))")
        }
        return body
    }

    private static func dechunked(_ body: Data) -> Data {
        var rest = body[...]
        var whole = Data()
        while let end = rest.firstRange(of: Data("\r\n".utf8)),
            let size = Int(
                String(decoding: rest[rest.startIndex..<end.lowerBound], as: UTF8.self), radix: 16),
            size > 0, rest[end.upperBound...].count >= size
        {
            whole += rest[end.upperBound..<end.upperBound + size]
            rest = rest[(end.upperBound + size)...].dropFirst(2)
        }
        return whole
    }

    private func connect() throws -> Int32 {
        let path = DataDirectory.socket(in: dataDirectory)
        guard path.utf8.count < LocalAPI.socketPathSizeBytesMax else {
            throw StartFailure("--data-dir \(dataDirectory): the path is too long for a socket")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else {
            throw StartFailure("no socket can be opened (\(String(cString: strerror(errno))))")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            let remedy =
                code == EACCES
                ? "run as the user whom the daemon runs as"
                : "start it with `daemon start`, or name its directory with --data-dir"
            throw StartFailure(
                "--data-dir \(dataDirectory): no daemon can be asked there "
                    + "(\(String(cString: strerror(code)))); \(remedy)")
        }
        return descriptor
    }
}
