package import Gossip
package import Model

/// What a transport asks and tells the node whose bytes it carries; always on its event loop.
package struct TransportHooks {
    /// Takes what arrives: bytes, source, and how they came.
    package var receive: ([UInt8], PeerAddress, Channel) -> Void
    /// Who is at the other end of a stream, by the ID that the proven key makes.
    package var standing: (NodeID) -> StreamStanding
    /// Hears what was not taken, for the counters.
    package var refused: (StreamRefusal) -> Void

    /// Joins the three.
    package init(
        receive: @escaping ([UInt8], PeerAddress, Channel) -> Void,
        standing: @escaping (NodeID) -> StreamStanding,
        refused: @escaping (StreamRefusal) -> Void
    ) {
        self.receive = receive
        self.standing = standing
        self.refused = refused
    }
}
