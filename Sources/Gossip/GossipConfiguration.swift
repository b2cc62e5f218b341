package import Model

/// The time-outs and bounds of membership.
///
/// All nodes of a cluster should use one profile: a node that waits less than others need to
/// answer suspects them without cause.
package struct GossipConfiguration: Hashable, Sendable {
    /// How often a node probes one other member; 50 ms…30 s.
    ///
    /// Load and time of detection follow from it: about two packets per interval and node, first
    /// suspicion after 1.6 intervals on average (SWIM §3.1), plus one for the probe itself.
    package var probeInterval: Duration
    /// How long a probe waits for its answer before others are asked to help; a few round trips,
    /// at most half of `probeInterval`, so that the help has time, too.
    package var probeTimeout: Duration
    /// How often waiting rumours are sent besides those that travel on probes; 10 ms up to
    /// `probeInterval`.
    ///
    /// News that was never told goes out eight times as fast.
    package var rumourInterval: Duration
    /// How often a node exchanges its whole view with a random member; 1 s…10 min.
    ///
    /// Differences are seen by the fingerprints in probes within a few intervals; this is the
    /// second net.
    ///
    /// With more members than `smallMembersMax` exchanges get rarer in proportion.
    package var exchangeInterval: Duration
    /// How often one of the dead members is tried again; never ends.
    ///
    /// The time that a healed partition takes to merge follows from it.
    package var reconnectInterval: Duration
    /// How long a joiner waits for a seed before it asks the next one; several round trips, and
    /// the time of a TCP connection.
    package var joinTimeout: Duration
    /// How long the known life of a node has to answer before another life at another address takes
    /// its place; several round trips, and no more than a moved node may be kept waiting.
    ///
    /// A node that starts at another address than before waits as long for its former life.
    package var lifeTimeout: Duration
    /// How long a leaving node stays to answer, so that its goodbye spreads; a few times
    /// `rumourInterval`.
    package var leaveLinger: Duration

    /// A suspicion lasts at least this many probe intervals, times log₁₀ of the cluster's size;
    /// 2…8, α of Lifeguard §IV.B.
    ///
    /// Smaller finds the dead sooner, larger spares the slow. Among 20 nodes (profile `lan`) this
    /// forgives a silence of five seconds, of which one goes by until a probe has failed, and
    /// finds a kill within six (`DetectionTests`).
    package var suspicionFactor = 3.15
    /// Without confirmation it lasts this many times longer; β of Lifeguard §IV.B, 1…10.
    package var suspicionStretch = 6.0
    /// How many independent confirmations bring it down to the shortest time; K of Lifeguard
    /// §IV.B.
    package var confirmationsNeeded = 2
    /// A rumour is sent this many times, times log₁₀ of the cluster's size, rounded up (λ of SWIM
    /// §4.1).
    package var retransmitFactor = 4.0
    /// A rumour is sent at least this often: in a small cluster a single miss weighs more.
    package var retransmitMin = 8
    /// How many members help with a probe that was not answered (k of SWIM §3.1).
    package var indirectCount = 3
    /// How many members get rumours at a time.
    package var rumourFanout = 3
    /// The worst local health (Lifeguard §IV.A): time-outs stretch by up to one more than this.
    package var healthMax = 8
    /// How many times all seeds together are asked before a join fails.
    package var joinAttemptsMax = 8

    /// Up to so many members a cluster is small: views are exchanged as often as `exchangeInterval`
    /// says, and who draws some of the members looks at all of them.
    package static let smallMembersMax = 64
    /// The most rumours that wait; beyond it the most told ones are dropped.
    package static let rumoursMax = 4_096
    /// The largest payload of a datagram for other parts of the node, in bytes.
    package static let datagramPayloadSizeBytesMax =
        Channel.datagramSizeBytesMax - Envelope.overheadSizeBytes(via: .datagram) - 8
    /// The largest payload of a stream frame for other parts of the node, in bytes.
    package static let streamPayloadSizeBytesMax = Channel.frameSizeBytesMax - 1_024
    /// How many packets of one source address are verified in a second.
    package static let packetsPerSecondMax = 4_000
    /// How many source addresses are told apart; the others share.
    package static let sourcesMax = 4_096
    /// How many joiners are answered in a second.
    package static let strangersPerSecondMax = 128
    /// How many times in a second members are asked for what they told about and did not show.
    package static let questionsPerSecondMax = 20
    /// How many times in a second this node refutes accusations: each costs a write on every disk.
    ///
    /// An accusation that goes unanswered is shown again with the next probe, long before its time
    /// is over.
    package static let refutationsPerSecondMax = 8
    /// How many times in a second nodes that were shut out, all together, are told so.
    package static let lastWordsPerSecondMax = 2
    /// How many words in a second two lives of this node's own key change.
    package static let twinWordsPerSecondMax = 16
    /// How many changes of one member's word are taken in per second; what it says beyond that is
    /// learned when it has calmed down, from the next exchange of views.
    package static let wordsPerSecondMax = 16
    /// How much of a view travels in one frame, in bytes.
    static let viewPageSizeBytesMax = 1 << 20

    /// A known bug that is put back on purpose, for tests that must notice.
    package var mutation: GossipMutation?

    /// The time-outs that suit a kind of network.
    ///
    /// `lan` and `wan` are Serf's in spirit; `local` is five times as fast as `lan`.
    package init(profile: TimingProfile) {
        switch profile {
        case .local:
            probeInterval = .milliseconds(200)
            probeTimeout = .milliseconds(80)
            rumourInterval = .milliseconds(50)
            exchangeInterval = .seconds(5)
            reconnectInterval = .milliseconds(500)
            joinTimeout = .seconds(1)
            lifeTimeout = .milliseconds(200)
            leaveLinger = .milliseconds(200)
        case .lan:
            probeInterval = .seconds(1)
            probeTimeout = .milliseconds(400)
            rumourInterval = .milliseconds(150)
            exchangeInterval = .seconds(30)
            reconnectInterval = .seconds(1)
            joinTimeout = .seconds(2)
            lifeTimeout = .milliseconds(200)
            leaveLinger = .milliseconds(500)
        case .wan:
            probeInterval = .seconds(5)
            probeTimeout = .seconds(2)
            rumourInterval = .milliseconds(500)
            exchangeInterval = .seconds(60)
            reconnectInterval = .seconds(5)
            joinTimeout = .seconds(5)
            lifeTimeout = .seconds(1)
            leaveLinger = .seconds(2)
        }
    }
}
