/// Why a stream, or a frame on one, was not taken.
package enum StreamRefusal: String, Hashable, Sendable {
    /// The first bytes were none of TLS.
    case plaintext = "plaintext"
    /// Too many handshakes were begun in a second, by this source or by all.
    case tooManyHandshakes = "handshake rate"
    /// The place was needed for another handshake, of this source or of others.
    case displaced = "displaced"
    /// The handshake took too long.
    case slowHandshake = "handshake timeout"
    /// The handshake failed: another version, no certificate, or a signature that is wrong.
    case failedHandshake = "handshake failed"
    /// Another key answered than that of the node that was called.
    case otherKey = "other key"
    /// The other end speaks TLS, but not between nodes.
    case otherProtocol = "other protocol"
    /// As many connections are open as may be, in all or of this key.
    case tooManyConnections = "too many connections"
    /// A stranger has had its time, or its place was needed.
    case strangerEnded = "stranger ended"
    /// Nothing was heard for so long that the other end must be gone.
    case silent = "silent"
    /// A frame has no length that is allowed.
    case badFrame = "bad frame"
    /// A frame names another sender than the key of its connection.
    case foreignFrame = "foreign frame"
}
