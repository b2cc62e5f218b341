import ControlAPI
import Crypto
import NIOCore
import NIOPosix
import NIOSSL

/// Looks at the certificate that a node's API shows, before anything is said to it.
enum CertificateProbe {
    /// How long the node may take.
    private static let patience: TimeAmount = .seconds(10)

    /// The certificate in DER, and its fingerprint.
    ///
    /// - Throws: `Unreachable` when nobody speaks TLS there.
    static func look(
        at host: String, port: Int, name: String
    ) async throws -> (der: [UInt8], fingerprint: CertificateFingerprint) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let seen = loop.makePromise(of: [UInt8].self)
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        let context = try NIOSSLContext(configuration: configuration)
        let timeout = loop.scheduleTask(in: patience) { seen.fail(NoTLS()) }
        do {
            let channel = try await ClientBootstrap(group: loop).connectTimeout(patience)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let tls = try NIOSSLClientHandler(
                            context: context, serverHostname: nil,
                            customVerificationCallback: { chain, promise in
                                // Nothing is believed, so nothing can be said.
                                seen.completeWith(Result { try chain.first?.toDERBytes() ?? [] })
                                promise.succeed(.failed)
                            })
                        try channel.pipeline.syncOperations.addHandler(tls)
                    }
                }
                .connect(host: host, port: port).get()
            channel.closeFuture.whenComplete { _ in seen.fail(NoTLS()) }
            let der = try await seen.futureResult.get()
            timeout.cancel()
            return (der, CertificateFingerprint(sha256: SHA256.hash(data: der)))
        } catch {
            timeout.cancel()
            seen.fail(error)
            throw Unreachable(node: name, error)
        }
    }

    /// Nobody answered as TLS does.
    struct NoTLS: Error, CustomStringConvertible {
        var description: String { "it does not speak TLS 1.3" }
    }
}
