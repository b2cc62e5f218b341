import ControlAPI
import Crypto
import Foundation
import Glibc
import Model
import NIOSSL
import NodeIO

/// The certificate that a node's API shows, and its key.
struct APICertificate: Sendable {
    let fingerprint: CertificateFingerprint
    let configuration: TLSConfiguration

    private init(chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) throws {
        guard let leaf = chain.first else { throw NIOSSLError.failedToLoadCertificate }
        fingerprint = CertificateFingerprint(sha256: SHA256.hash(data: try leaf.toDERBytes()))
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = ["http/1.1"]
        // Whether key and certificate fit is found out now, and not by the first client.
        _ = try NIOSSLContext(configuration: configuration)
        self.configuration = configuration
    }

    /// Those of the operator's own files.
    static func load(certificate: String, key: String) throws -> APICertificate {
        var attributes = stat()
        guard stat(key, &attributes) == 0 else {
            throw StartFailure("--api-key \(key): there is no such file, or it can't be read")
        }
        guard attributes.st_mode & 0o007 == 0 else {
            throw StartFailure(
                "--api-key \(key): everybody on this machine can read it; run: chmod 600 \(key)")
        }
        do {
            return try APICertificate(
                chain: try NIOSSLCertificate.fromPEMFile(certificate),
                key: try NIOSSLPrivateKey(file: key, format: .pem))
        } catch {
            throw StartFailure(
                "--api-cert \(certificate), --api-key \(key): these are no certificate in PEM and "
                    + "the key that belongs to it (\(error))")
        }
    }

    /// The one that is kept in the data directory; made when there is none.
    static func own(in directory: String, name: String, at address: PeerAddress) throws
        -> APICertificate
    {
        let file = "\(directory)/\(DataDirectory.apiCertificateName)"
        if let data = FileManager.default.contents(atPath: file) {
            guard let kept = try? JSONDecoder().decode(Kept.self, from: data),
                let certificate = try? kept.opened()
            else {
                throw StartFailure(
                    "\(file): damaged; move it away, and the node makes a new certificate: "
                        + "clients must then log in again")
            }
            return certificate
        }
        let made = try SelfSignedCertificate(
            p256: P256.Signing.PrivateKey(), name: "magpie", hosts: [name, "localhost"],
            addresses: address.isWildcard ? [[127, 0, 0, 1]] : [address.ip])
        let kept = Kept(certificate: Data(made.der), key: Data(made.keyDER))
        try DataDirectory.write(Array(try JSONEncoder().encode(kept)), to: file)
        return try kept.opened()
    }

    /// What the file in the data directory holds, each in DER.
    private struct Kept: Codable {
        var certificate: Data
        var key: Data

        func opened() throws -> APICertificate {
            try APICertificate(
                chain: [try NIOSSLCertificate(bytes: Array(certificate), format: .der)],
                key: try NIOSSLPrivateKey(bytes: Array(key), format: .der))
        }
    }
}
