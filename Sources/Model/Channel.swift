/// The two ways in which bytes travel between nodes.
package enum Channel: UInt8, Sendable {
    /// One UDP datagram of at most `datagramSizeBytesMax` bytes: fast, may be lost or repeated.
    case datagram = 1
    /// One frame on a TCP connection, at most `frameSizeBytesMax` bytes: ordered as long as the
    /// connection lives; frames under way are lost with it, so senders still repeat.
    case stream = 2

    /// The largest datagram, in bytes; fits an Ethernet frame with room for tunnels.
    package static let datagramSizeBytesMax = 1_400
    /// The largest stream frame, in bytes.
    package static let frameSizeBytesMax = 4 << 20
}
