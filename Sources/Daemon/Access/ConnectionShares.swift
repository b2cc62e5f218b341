import Gossip
import Model

/// How many connections each source has: whoever needs no token for them must not take all.
struct ConnectionShares: Sendable {
    private var counts: [PeerAddress: Int] = [:]
    private var rates: SourceLimiter

    /// How many connections one source may have at a time.
    static let ofOneMax = 256
    /// How many connections one source may begin in a second; each costs a handshake.
    static let ofOnePerSecondMax = 100

    /// Begins without any.
    init(at now: Instant) {
        rates = SourceLimiter(at: now, packetsPerSecondMax: ConnectionShares.ofOnePerSecondMax)
    }

    /// Takes a place for a new connection; `false` when its source may not have one more now.
    mutating func begin(from source: PeerAddress, at now: Instant) -> Bool {
        guard counts[source, default: 0] < ConnectionShares.ofOneMax, rates.admits(source, at: now)
        else { return false }
        counts[source, default: 0] += 1
        return true
    }

    /// Gives a place back.
    mutating func end(from source: PeerAddress) {
        guard let count = counts[source] else { return }
        counts[source] = count > 1 ? count - 1 : nil
    }
}
