import Gossip
package import Model
import NIOCore
import NIOSSL

/// Who a node is on streams: its own key, in a certificate that the key has signed.
///
/// The handshake proves that the other end has the key, and the key is the node; there is no
/// authority, and dates and names in certificates mean nothing.
///
/// Source: RFC 8446 (TLS 1.3), section 4.4.3.
package struct StreamIdentity: Sendable {
    /// The ID that the key makes: the node's, unless its key was renewed.
    package let id: NodeID
    private let context: NIOSSLContext

    /// What nodes say that they speak on streams (ALPN, RFC 7301).
    package static let protocolName = "magpie/1"

    /// Makes the identity that belongs to a node's secret seed of 32 bytes.
    package init(seed: [UInt8]) throws {
        id = NodeKey(seed: seed).id
        let certificate = try SelfSignedCertificate(ed25519Seed: seed, name: "magpie")
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try certificate.chain(), privateKey: try certificate.privateKey())
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        // Both ends must show a certificate; what is right is decided by `node(of:)`.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.signingSignatureAlgorithms = [.ed25519]
        configuration.verifySignatureAlgorithms = [.ed25519]
        configuration.applicationProtocols = [StreamIdentity.protocolName]
        configuration.shutdownTimeout = .milliseconds(500)
        context = try NIOSSLContext(configuration: configuration)
    }

    /// The ID that a certificate's key makes; `nil` when its key is none of a node.
    static func node(of certificate: NIOSSLCertificate?) -> NodeID? {
        guard let key = try? certificate?.extractPublicKey().toSPKIBytes(),
            key.count == ed25519Prefix.count + PublicKey.sizeBytes, key.starts(with: ed25519Prefix)
        else { return nil }
        return PublicKey(bytes: Array(key.suffix(PublicKey.sizeBytes))).id
    }

    /// What precedes the key in a subject's public key information.
    ///
    /// Source: RFC 8410, section 4.
    private static let ed25519Prefix: [UInt8] = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]

    // MARK: Handlers

    /// The handler for a connection of somebody else; `prove` is told who that is.
    func listener(_ prove: @escaping (NodeID) -> Void) -> NIOSSLServerHandler {
        NIOSSLServerHandler(
            context: context,
            customVerificationCallback: { certificates, promise in
                let node = StreamIdentity.node(of: certificates.first)
                if let node { prove(node) }
                promise.succeed(node == nil ? .failed : .certificateVerified)
            }, configuration: StreamIdentity.handling)
    }

    /// The handler for a connection to a node; `isExpected` says whether the right one answers.
    func caller(_ isExpected: @escaping (NodeID) -> Bool) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(
            context: context, serverHostname: nil,
            customVerificationCallback: { certificates, promise in
                let node = StreamIdentity.node(of: certificates.first)
                promise.succeed(node.map(isExpected) == true ? .certificateVerified : .failed)
            }, configuration: StreamIdentity.handling)
    }

    /// A buffer that has once held a large frame is not kept as large.
    private static var handling: NIOSSLHandler.Configuration {
        var handling = NIOSSLHandler.Configuration()
        handling.maximumPreservedOutboundBufferCapacity = 64 << 10
        return handling
    }
}
