package import Gossip
package import Model

/// What a transport asks and tells the node whose bytes it carries; always on its event loop.
package struct TransportHooks {
    /// Takes what arrives: bytes, source, and how they came.
    package var receive: ([UInt8], PeerAddress, Channel) -> Void
    /// Who speaks under a key, by the ID that the key makes; `nil` when it was retired.
    package var speaker: (NodeID) -> NodeID?
    /// How to treat a stream of a node that has proven its key.
    package var standing: (NodeID) -> StreamStanding
    /// Hears what was not taken, for the counters.
    package var refused: (StreamRefusal) -> Void

    /// Joins them; without a `speaker` every key makes its own node.
    package init(
        receive: @escaping ([UInt8], PeerAddress, Channel) -> Void,
        speaker: @escaping (NodeID) -> NodeID? = { $0 },
        standing: @escaping (NodeID) -> StreamStanding,
        refused: @escaping (StreamRefusal) -> Void
    ) {
        self.receive = receive
        self.speaker = speaker
        self.standing = standing
        self.refused = refused
    }
}
