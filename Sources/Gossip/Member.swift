import Model

/// What this node keeps about another member.
struct Member: Sendable {
    /// The newest thing that it said of itself.
    var alive: AliveStatement
    var metadata: NodeMetadata
    var state: MembershipState
    var stateSince: Instant
    /// Its goodbye, once it has left.
    var leave: LeaveStatement?
    /// This node's own accusation, while it is suspect or dead: shown to it, so that it can refute.
    var accusation: SuspectStatement?
    var suspicion: Suspicion?
    /// The incarnation at which it has answered a suspicion in person.
    var clearedIncarnation: UInt64?

    var id: NodeID { alive.subject }
    var incarnation: UInt64 { alive.incarnation }

    var info: MemberInfo {
        MemberInfo(
            id: id, address: alive.address, metadata: metadata, incarnation: incarnation,
            state: state, stateSince: stateSince)
    }
}

/// How long one member stays suspected before it is declared dead.
///
/// Each independent confirmation shortens the wait, from `longest` towards `shortest`.
///
/// Source: Lifeguard, section IV.B, "Local Health Aware Suspicion".
struct Suspicion: Hashable, Sendable {
    let started: Instant
    let shortest: Duration
    let longest: Duration
    /// How many confirmations bring the wait down to `shortest`.
    let confirmationsNeeded: Int
    private(set) var witnesses: Set<NodeID>
    /// Moves the deadline when this node itself stood still.
    var standstill: Duration = .zero

    init(
        at now: Instant, witness: NodeID, shortest: Duration, longest: Duration,
        confirmationsNeeded: Int
    ) {
        started = now
        self.shortest = shortest
        self.longest = longest
        self.confirmationsNeeded = confirmationsNeeded
        witnesses = [witness]
    }

    /// Counts one more accuser; returns whether it is news that shortens the wait.
    mutating func confirm(by witness: NodeID) -> Bool {
        guard witnesses.count <= confirmationsNeeded else { return false }
        return witnesses.insert(witness).inserted
    }

    /// When the member is declared dead.
    var deadline: Instant {
        let confirmations = witnesses.count - 1
        guard confirmationsNeeded > 0, confirmations < confirmationsNeeded else {
            return started + shortest + standstill
        }
        let share =
            Logarithm.natural(confirmations + 1) / Logarithm.natural(confirmationsNeeded + 1)
        let wait = longest - (longest - shortest) * share
        return started + max(wait, shortest) + standstill
    }
}

/// Logarithms of small whole numbers; the standard library has none of its own.
enum Logarithm {
    /// ln(n) for n ≥ 1, to about twelve digits.
    static func natural(_ n: Int) -> Double {
        // n = m · 2^e with m in 1 ..< 2; ln m by the series of artanh.
        let value = Double(max(n, 1))
        let m = value.significand
        let z = (m - 1) / (m + 1)
        var power = z
        var sum = 0.0
        for k in stride(from: 1, through: 31, by: 2) {
            sum += power / Double(k)
            power *= z * z
        }
        return 2 * sum + Double(value.exponent) * 0.693_147_180_559_945_3
    }

    /// log₁₀(n), at least 1: by how much spreading takes longer in larger clusters.
    static func scale(_ n: Int) -> Double { max(1, natural(n) / natural(10)) }
}

/// What is known about one sender's lives.
struct PeerLife: Sendable {
    /// A boot ID that has not yet shown that it is alive.
    struct Challenge: Sendable {
        var boot: BootID
        var number: UInt64
        var sent: Instant
        /// Genuine packets of that life, to be taken once it has answered.
        var held: [(bytes: [UInt8], source: PeerAddress, channel: Channel)] = []
    }

    var boot: BootID?
    var window = ReplayWindow()
    var challenge: Challenge?

    /// How many packets wait for a challenge's answer.
    static let heldMax = 8
    /// How long a challenge waits before another one is sent.
    static let challengeInterval: Duration = .milliseconds(100)
}

/// How many packets a source may send per second before they are even looked at.
struct SourceLimiter: Sendable {
    private var buckets: [[UInt8]: (left: Double, at: Instant)] = [:]

    /// Whether one more packet of this address may be verified now.
    mutating func admits(_ source: PeerAddress, at now: Instant) -> Bool {
        let rate = Double(GossipConfiguration.packetsPerSecondMax)
        var key = source.ip
        if buckets[key] == nil, buckets.count >= GossipConfiguration.sourcesMax { key = [] }
        var bucket = buckets[key] ?? (rate, now)
        bucket.left = min(rate, bucket.left + (now - bucket.at).seconds * rate)
        bucket.at = now
        let isAdmitted = bucket.left >= 1
        if isAdmitted { bucket.left -= 1 }
        buckets[key] = bucket
        return isAdmitted
    }
}
