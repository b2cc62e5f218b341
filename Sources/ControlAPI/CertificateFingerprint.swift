/// The SHA-256 of a certificate, by which people and clients know a node's API.
package struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    private let digits: String

    private static let prefix = "sha256:"

    /// Takes the hash: 32 bytes.
    package init(sha256 bytes: some Sequence<UInt8>) {
        digits = bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }

    /// Reads `sha256:` and 64 hexadecimal digits, of either case and with colons in between as
    /// other programs write them; `nil` for anything else.
    package init?(_ text: String) {
        var rest = Substring(text.lowercased())
        if rest.hasPrefix(CertificateFingerprint.prefix) {
            rest = rest.dropFirst(CertificateFingerprint.prefix.count)
        }
        let found = rest.filter { $0 != ":" }
        guard found.count == 64, found.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            return nil
        }
        digits = found
    }

    /// The form `sha256:…`.
    package var description: String { CertificateFingerprint.prefix + digits }
}
