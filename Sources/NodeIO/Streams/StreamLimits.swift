package import NIOCore

/// What bounds the streams of a node.
package struct StreamLimits: Sendable {
    /// The most connections that others may have open.
    package var incomingMax = 4_096
    /// The most connections of one key; a node needs one, and another one now and then.
    package var incomingOfOneMax = 8
    /// The most handshakes that may be under way.
    package var handshakesMax = 256
    /// The most handshakes of one source that may be under way.
    package var handshakesOfOneMax = 64
    /// How many handshakes are begun in a second; each costs about half a millisecond of a core.
    package var handshakesPerSecondMax = 400
    /// How many handshakes one source may begin in a second.
    package var handshakesOfOnePerSecondMax = 100
    /// How long a handshake may take.
    package var handshakeTime: TimeAmount = .seconds(3)
    /// The most connections of strangers.
    package var strangersMax = 64
    /// How long a stranger may stay: time to ask for admission, and to be answered by another way.
    package var strangerTime: TimeAmount = .seconds(10)
    /// How long a connection that this node does not use stays open.
    package var idleTime: TimeAmount = .minutes(3)
    /// How long another node's connection may be silent: it would have closed it long before.
    package var silenceTime: TimeAmount = .minutes(10)
    /// How often all this is looked after.
    package var sweepTime: TimeAmount = .seconds(5)

    /// The usual bounds.
    package init() {}
}
