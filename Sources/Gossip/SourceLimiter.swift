package import Model

/// How many packets a source may send per second before they are even looked at.
///
/// A source is an IP address. One whose allowance has filled up again is forgotten when room is
/// needed; sources that find no room share one allowance.
package struct SourceLimiter: Sendable {
    private var sources: [[UInt8]: RateLimit] = [:]
    private var shared: RateLimit
    private var nextSweep: Instant
    private let packetsPerSecondMax: Int
    private let sourcesMax: Int

    /// How many sources are told apart now.
    var count: Int { sources.count }

    /// Begins with full allowances.
    package init(
        at now: Instant, packetsPerSecondMax: Int = GossipConfiguration.packetsPerSecondMax,
        sourcesMax: Int = GossipConfiguration.sourcesMax
    ) {
        self.packetsPerSecondMax = packetsPerSecondMax
        self.sourcesMax = sourcesMax
        shared = RateLimit(perSecond: packetsPerSecondMax, at: now)
        nextSweep = now
    }

    /// Whether one more packet of this address may be verified now.
    package mutating func admits(_ source: PeerAddress, at now: Instant) -> Bool {
        if sources[source.ip] == nil, sources.count >= sourcesMax { sweep(at: now) }
        guard sources[source.ip] != nil || sources.count < sourcesMax else {
            return shared.admits(at: now)
        }
        return sources[source.ip, default: RateLimit(perSecond: packetsPerSecondMax, at: now)]
            .admits(at: now)
    }

    /// Forgets those that would be treated alike if they were new; not more than once a second,
    /// so that a flood of addresses costs no more than its packets.
    private mutating func sweep(at now: Instant) {
        guard nextSweep <= now else { return }
        nextSweep = now + .seconds(1)
        sources = sources.filter { !$0.value.isFull(at: now) }
    }
}
