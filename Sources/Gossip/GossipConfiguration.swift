package import Model

/// The time-outs and bounds of membership.
package struct GossipConfiguration: Hashable, Sendable {
    /// How often a node probes one other member, 50 ms…10 s.
    package var probeInterval: Duration
    /// How long a probe waits for its answer before others are asked to help; a few round trips,
    /// well under half of `probeInterval`.
    package var probeTimeout: Duration
    /// How often waiting rumours are sent besides those that travel on probes.
    package var rumourInterval: Duration
    /// How often two members exchange their whole view.
    package var exchangeInterval: Duration
    /// How often one of the dead members is tried again; never ends.
    package var reconnectInterval: Duration
    /// How long a joiner waits for a seed before it asks the next one.
    package var joinTimeout: Duration
    /// How long a leaving node stays to answer, so that its goodbye spreads.
    package var leaveLinger: Duration

    /// A suspicion lasts at least this many probe intervals, times log₁₀ of the cluster's size.
    package var suspicionFactor = 3.0
    /// Without confirmation it lasts this many times longer (Lifeguard §IV.B).
    package var suspicionStretch = 6.0
    /// A rumour is sent this many times, times log₁₀ of the cluster's size.
    package var retransmitFactor = 4.0
    /// How many members help with a probe that was not answered.
    package var indirectCount = 3
    /// How many members get rumours at a time.
    package var rumourFanout = 3
    /// The worst local health (Lifeguard §IV.A): time-outs stretch by up to one more than this.
    package var healthMax = 8
    /// How many times all seeds together are asked before a join fails.
    package var joinAttemptsMax = 8

    /// The most rumours that wait; beyond it the most told ones are dropped.
    package static let rumoursMax = 4_096
    /// The largest payload of a datagram for other parts of the node, in bytes.
    package static let datagramPayloadSizeBytesMax =
        Channel.datagramSizeBytesMax - Envelope.overheadSizeBytes - 8
    /// The largest payload of a stream frame for other parts of the node, in bytes.
    package static let streamPayloadSizeBytesMax = Channel.frameSizeBytesMax - 1_024
    /// How many packets of one source address are verified in a second.
    package static let packetsPerSecondMax = 4_000
    /// How many source addresses are told apart; the others share.
    package static let sourcesMax = 4_096

    /// The time-outs that suit a kind of network.
    package init(profile: TimingProfile) {
        switch profile {
        case .local:
            probeInterval = .milliseconds(200)
            probeTimeout = .milliseconds(80)
            rumourInterval = .milliseconds(50)
            exchangeInterval = .seconds(5)
            reconnectInterval = .milliseconds(500)
            joinTimeout = .seconds(1)
            leaveLinger = .milliseconds(200)
        case .lan:
            probeInterval = .seconds(1)
            probeTimeout = .milliseconds(400)
            rumourInterval = .milliseconds(150)
            exchangeInterval = .seconds(30)
            reconnectInterval = .seconds(1)
            joinTimeout = .seconds(2)
            leaveLinger = .milliseconds(500)
        case .wan:
            probeInterval = .seconds(5)
            probeTimeout = .seconds(2)
            rumourInterval = .milliseconds(500)
            exchangeInterval = .seconds(60)
            reconnectInterval = .seconds(5)
            joinTimeout = .seconds(5)
            leaveLinger = .seconds(2)
        }
    }
}
