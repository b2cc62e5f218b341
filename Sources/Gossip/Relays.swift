import Model

/// Pings on behalf of other members.
///
/// Bounded in all, and per member: nobody can take away the help of this node from all others, or
/// use it to flood another member.
struct Relays: Sendable {
    /// A ping on behalf of another member.
    struct Relay: Hashable, Sendable {
        let origin: NodeID
        /// The origin's number for its probe.
        let number: UInt64
        let target: NodeID
        /// When the origin is told that there is no answer yet.
        let nackAt: Instant
        let endsAt: Instant
        var isNacked = false

        var due: Instant { isNacked ? endsAt : nackAt }
    }

    private struct Key: Hashable, Comparable {
        var origin: NodeID
        var number: UInt64

        static func < (left: Key, right: Key) -> Bool {
            (left.origin, left.number) < (right.origin, right.number)
        }
    }

    private var active: [Key: Relay] = [:]
    private var perOrigin: [NodeID: Int] = [:]

    /// How many pings on behalf of others are under way at most.
    static let activeMax = 256
    /// How many of them for one member.
    static let perOriginMax = 32

    var count: Int { active.count }

    /// Takes on a ping; returns whether there was room for it, and it is not under way already.
    mutating func begin(_ relay: Relay) -> Bool {
        let key = Key(origin: relay.origin, number: relay.number)
        guard active[key] == nil, active.count < Relays.activeMax,
            perOrigin[relay.origin, default: 0] < Relays.perOriginMax
        else { return false }
        active[key] = relay
        perOrigin[relay.origin, default: 0] += 1
        return true
    }

    /// Ends a ping whose target has answered; `nil` when nobody asked for this.
    mutating func answered(_ number: UInt64, for origin: NodeID, by target: NodeID) -> Relay? {
        let key = Key(origin: origin, number: number)
        guard active[key]?.target == target else { return nil }
        return end(key)
    }

    /// Ends what has lasted too long; returns those whose origin is to be told that there is no
    /// answer yet.
    mutating func expire(at now: Instant) -> [Relay] {
        var silent: [Relay] = []
        for key in active.keys.sorted() {
            guard let relay = active[key], relay.due <= now else { continue }
            if !relay.isNacked {
                silent.append(relay)
                active[key]?.isNacked = true
            }
            if relay.endsAt <= now { _ = end(key) }
        }
        return silent
    }

    /// When a ping next wants attention.
    var nextDue: Instant? { active.values.map(\.due).min() }

    private mutating func end(_ key: Key) -> Relay? {
        guard let relay = active.removeValue(forKey: key) else { return nil }
        let left = perOrigin[key.origin, default: 0] - 1
        perOrigin[key.origin] = left > 0 ? left : nil
        return relay
    }
}
