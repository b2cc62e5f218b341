import Gossip
import Model

/// Which connections of others may begin a handshake, and which strangers may stay.
///
/// Nobody can be told from anybody before a handshake has ended, so places are shared out by
/// source address. When all are taken, the oldest of the source that has the most makes room: who
/// holds many places loses its own, and a member's handshake takes milliseconds.
struct HandshakeLedger {
    /// A connection; later ones have higher numbers.
    typealias ID = UInt64

    private struct Handshake {
        var id: ID
        var source: PeerAddress
    }

    private struct Stranger {
        var id: ID
        var endsAt: Instant
    }

    private let limits: StreamLimits
    private var lastID: ID = 0
    /// The oldest first.
    private var handshakes: [Handshake] = []
    /// The oldest first.
    private var strangers: [Stranger] = []
    private var rate: RateLimit
    private var rates: SourceLimiter

    init(_ limits: StreamLimits, at now: Instant) {
        self.limits = limits
        rate = RateLimit(perSecond: limits.handshakesPerSecondMax, at: now)
        rates = SourceLimiter(at: now, packetsPerSecondMax: limits.handshakesOfOnePerSecondMax)
    }

    /// How many handshakes are under way.
    var handshakeCount: Int { handshakes.count }
    /// How many strangers there are.
    var strangerCount: Int { strangers.count }

    // MARK: Events

    /// Somebody has connected.
    ///
    /// - Returns: The connection's number, and the one that must be closed for it; `nil` when it
    ///   may not begin.
    mutating func begin(
        from address: PeerAddress, at now: Instant
    ) -> (id: ID, displaced: ID?)? {
        let source = address.source
        // A source that has used up its own allowance must not use up that of all.
        guard rates.admits(source, at: now), rate.admits(at: now) else { return nil }
        let displaced = makeRoom(for: source)
        lastID += 1
        handshakes.append(Handshake(id: lastID, source: source))
        return (lastID, displaced)
    }

    /// A handshake has ended well.
    ///
    /// - Returns: The stranger that must be closed for this one, if it is one.
    mutating func complete(_ id: ID, isMember: Bool, until end: Instant) -> ID? {
        handshakes.removeAll { $0.id == id }
        guard !isMember else { return nil }
        strangers.append(Stranger(id: id, endsAt: end))
        return strangers.count > limits.strangersMax ? strangers.removeFirst().id : nil
    }

    /// A stranger has become a member.
    mutating func promote(_ id: ID) {
        strangers.removeAll { $0.id == id }
    }

    /// A connection has ended.
    mutating func end(_ id: ID) {
        handshakes.removeAll { $0.id == id }
        strangers.removeAll { $0.id == id }
    }

    /// The strangers whose time is over.
    func overdue(at now: Instant) -> [ID] {
        strangers.prefix { $0.endsAt <= now }.map(\.id)
    }

    // MARK: Places

    private mutating func makeRoom(for source: PeerAddress) -> ID? {
        let ofSource = handshakes.count { $0.source == source }
        if ofSource >= limits.handshakesOfOneMax { return removeOldest(of: source) }
        guard handshakes.count >= limits.handshakesMax else { return nil }
        var counts: [PeerAddress: Int] = [:]
        for handshake in handshakes { counts[handshake.source, default: 0] += 1 }
        let most = counts.values.max() ?? 0
        let victim = handshakes.first { counts[$0.source] == most }
        return victim.flatMap { removeOldest(of: $0.source) }
    }

    private mutating func removeOldest(of source: PeerAddress) -> ID? {
        guard let index = handshakes.firstIndex(where: { $0.source == source }) else { return nil }
        return handshakes.remove(at: index).id
    }
}
