package import Crypto
import Foundation
package import NIOSSL
import SwiftASN1
import X509

/// A certificate that its own key has signed, and that key, as TLS takes them.
///
/// It has no end and no authority: whoever checks it knows the key, or its fingerprint.
package struct SelfSignedCertificate: Sendable {
    /// The certificate in DER.
    package let der: [UInt8]
    /// The key in DER (PKCS #8).
    package let keyDER: [UInt8]

    /// Makes the certificate of the Ed25519 key that belongs to a seed of 32 bytes.
    ///
    /// Source: RFC 8410.
    package init(ed25519Seed seed: [UInt8], name: String) throws {
        let key = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        try self.init(
            Certificate.PrivateKey(key), .ed25519, name: name, Certificate.Extensions())
    }

    /// Makes a certificate for a server, with a key that every client of TLS understands.
    ///
    /// `hosts` and `addresses` (of 4 or 16 bytes each) are those at which it is called.
    package init(
        p256 key: P256.Signing.PrivateKey, name: String, hosts: [String], addresses: [[UInt8]]
    ) throws {
        let names =
            hosts.map(GeneralName.dnsName)
            + addresses.map { .ipAddress(ASN1OctetString(contentBytes: $0[...])) }
        let extensions = try Certificate.Extensions { SubjectAlternativeNames(names) }
        try self.init(
            Certificate.PrivateKey(key), .ecdsaWithSHA256, name: name, extensions)
    }

    private init(
        _ key: Certificate.PrivateKey, _ algorithm: Certificate.SignatureAlgorithm, name: String,
        _ extensions: Certificate.Extensions
    ) throws {
        let subject = try DistinguishedName { CommonName(name) }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
            notValidBefore: Date(timeIntervalSince1970: 0),
            notValidAfter: SelfSignedCertificate.noEnd, issuer: subject, subject: subject,
            signatureAlgorithm: algorithm, extensions: extensions, issuerPrivateKey: key)
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        der = serializer.serializedBytes
        keyDER = try key.serializeAsPEM().derBytes
    }

    /// 9999-12-31T23:59:59Z, which means that a certificate does not end.
    ///
    /// Source: RFC 5280, section 4.1.2.5.
    private static let noEnd = Date(timeIntervalSince1970: 253_402_300_799)

    /// The chain, of this certificate alone.
    package func chain() throws -> [NIOSSLCertificateSource] {
        [.certificate(try NIOSSLCertificate(bytes: der, format: .der))]
    }

    /// The private key.
    package func privateKey() throws -> NIOSSLPrivateKeySource {
        .privateKey(try NIOSSLPrivateKey(bytes: keyDER, format: .der))
    }
}
