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
        var source: [UInt8]
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
        let source = HandshakeLedger.source(of: address)
        // A source that has used up its own allowance must not use up that of all.
        guard rates.admits(PeerAddress(ip: source, port: 0), at: now), rate.admits(at: now) else {
            return nil
        }
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

    private mutating func makeRoom(for source: [UInt8]) -> ID? {
        let ofSource = handshakes.count { $0.source == source }
        if ofSource >= limits.handshakesOfOneMax { return removeOldest(of: source) }
        guard handshakes.count >= limits.handshakesMax else { return nil }
        var counts: [[UInt8]: Int] = [:]
        for handshake in handshakes { counts[handshake.source, default: 0] += 1 }
        let most = counts.values.max() ?? 0
        let victim = handshakes.first { counts[$0.source] == most }
        return victim.flatMap { removeOldest(of: $0.source) }
    }

    private mutating func removeOldest(of source: [UInt8]) -> ID? {
        guard let index = handshakes.firstIndex(where: { $0.source == source }) else { return nil }
        return handshakes.remove(at: index).id
    }

    /// What counts as one source: an IPv4 address, or a network of IPv6, of which whoever has one
    /// address has all.
    ///
    /// Source: RFC 6177, section 2 (sites get /64 at least).
    private static func source(of address: PeerAddress) -> [UInt8] {
        guard address.ip.count == 16 else { return address.ip }
        return Array(address.ip.prefix(8)) + Array(repeating: 0, count: 8)
    }
}
