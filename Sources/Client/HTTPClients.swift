import AsyncHTTPClient
import NIOCore
import NIOSSL
import Synchronization

/// The HTTP clients of this process; they live as long as it does.
///
/// A socket on which nobody listens is an error at once: whoever wants to wait for a daemon does so
/// knowingly, above.
enum HTTPClients {
    /// For the local socket, and for loopback without TLS.
    static let plain = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: usual)

    private static let secured = Mutex<[String: HTTPClient]>([:])

    private static var usual: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(5)
        // A node sends nobody elsewhere, least of all with a token.
        configuration.redirectConfiguration = .disallow
        return configuration
    }

    /// For a node that shows the right certificate; the same one each time.
    static func secure(_ trust: Login.Trust, for node: String) throws -> HTTPClient {
        try secured.withLock { clients in
            if let known = clients[node] { return known }
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.minimumTLSVersion = .tlsv13
            switch trust {
            case .certificate(let der):
                // It alone is trusted, whatever it is called.
                tls.certificateVerification = .noHostnameVerification
                tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: der, format: .der)])
            case .authorities(let file):
                tls.certificateVerification = .fullVerification
                tls.trustRoots = file.map { .file($0) } ?? .default
            }
            var configuration = usual
            configuration.tlsConfiguration = tls
            configuration.httpVersion = .http1Only
            let client = HTTPClient(
                eventLoopGroupProvider: .singleton, configuration: configuration)
            clients[node] = client
            return client
        }
    }
}
