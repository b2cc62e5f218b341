import Model

/// What is known about the lives of one sender: which boot ID is alive, and what was heard of it.
///
/// A boot ID that is new here must answer a challenge before anything that it says counts, and where
/// another one is known, that one must be gone from its place, or silent. One that was replaced and
/// proves itself since takes its place again: it was there first.
struct PeerLife: Sendable {
    /// A boot ID that has not yet shown that it is alive.
    struct Pending: Sendable {
        var boot: BootID
        /// When it was last challenged, by whichever way.
        var asked: Instant
        /// The same, way by way: a stream leads to the known address alone, a datagram to where it
        /// spoke from.
        var askedVia: [Channel: Instant] = [:]
        /// Genuine packets of that life, to be taken once it has answered.
        var held: [Held] = []
        /// Its answer, when another life stands in its way.
        var proof: Proof?
    }

    /// That a boot ID was alive a moment ago.
    struct Proof: Hashable, Sendable {
        var at: Instant
        /// Counters up to this one are not believed.
        var floor: UInt64
        var counter: UInt64
        var source: PeerAddress
        var channel: Channel
    }

    /// A boot ID that was believed once.
    struct Former: Hashable, Sendable {
        var boot: BootID
        /// Where it was, if that is known: it may be there again when its successor is gone.
        var address: PeerAddress?
    }

    /// A packet that waits for its life to be proven.
    struct Held: Sendable {
        var bytes: [UInt8]
        var source: PeerAddress
        var channel: Channel
    }

    /// The boot ID that is alive, as far as is known.
    private(set) var boot: BootID?
    private var datagrams = ReplayWindow()
    private var streams = ReplayWindow()
    /// When it was last heard of at first hand.
    var lastHeard: Instant?
    /// Since when it counts as alive: only what was asked later proves that another one is.
    var settledAt: Instant = .zero
    /// Where it spoke from when it settled, if it did so in a datagram.
    var source: PeerAddress?
    /// When it last answered a question that a newcomer had given cause for.
    var vouchedAt: Instant?
    /// Former boot IDs, the latest last.
    private(set) var retired: [Former] = []
    private(set) var pending: [Pending] = []
    private var formerLimit: RateLimit?
    private var viewLimit: RateLimit?
    private var questionLimit: RateLimit?

    /// How many former boot IDs are remembered.
    static let retiredMax = 16
    /// How many packets of former lives are looked at in a second.
    static let formerPerSecondMax = 16
    /// How many times in a second one member is shown the whole view: it may be large.
    static let viewsPerSecondMax = 4
    /// How many questions for single admissions are answered to one member in a second; more than
    /// any member asks (`GossipConfiguration.questionsPerSecondMax`, and as many for strangers).
    static let questionsPerSecondMax = 64
    /// How many unproven boot IDs are told apart; beyond it the one asked first is forgotten.
    static let pendingMax = 4
    /// How many packets wait for an unproven boot ID.
    static let heldMax = 8
    /// How many bytes of packets wait for an unproven boot ID.
    static let heldSizeBytesMax = 64 << 10
    /// How long a challenge waits before another one is sent.
    static let challengeInterval: Duration = .milliseconds(100)

    /// Whether a packet is worth verifying: not a replay, and of no former life.
    ///
    /// A few of former lives are looked at all the same, and change nothing here: one that is
    /// still alive has been cloned, and should hear of it.
    mutating func admits(
        _ boot: BootID, _ counter: UInt64, via channel: Channel, at now: Instant
    ) -> Bool {
        if boot == self.boot { return window(channel).accepts(counter) }
        guard isRetired(boot) else { return true }
        // Streams prove nothing here: a busy one must not use up what its datagrams may.
        guard channel == .datagram else { return false }
        return PeerLife.admits(&formerLimit, PeerLife.formerPerSecondMax, at: now)
    }

    /// Whether one more question to a former life is asked now.
    mutating func admitsFormer(at now: Instant) -> Bool {
        PeerLife.admits(&formerLimit, PeerLife.formerPerSecondMax, at: now)
    }

    /// Whether a boot ID has been replaced by a newer one.
    func isRetired(_ boot: BootID) -> Bool { retired.contains { $0.boot == boot } }

    /// Whether this member may see the whole view once more now.
    mutating func admitsView(at now: Instant) -> Bool {
        PeerLife.admits(&viewLimit, PeerLife.viewsPerSecondMax, at: now)
    }

    /// Whether one more question of this member is answered now.
    mutating func admitsQuestion(at now: Instant) -> Bool {
        PeerLife.admits(&questionLimit, PeerLife.questionsPerSecondMax, at: now)
    }

    private static func admits(
        _ limit: inout RateLimit?, _ perSecond: Int, at now: Instant
    ) -> Bool {
        var current = limit ?? RateLimit(perSecond: perSecond, at: now)
        defer { limit = current }
        return current.admits(at: now)
    }

    /// Takes note of a packet of the living boot ID.
    mutating func take(_ counter: UInt64, via channel: Channel) {
        switch channel {
        case .datagram: datagrams.insert(counter)
        case .stream: streams.insert(counter)
        }
    }

    /// A boot ID has shown that it is alive; the former one is not believed any more.
    ///
    /// When a former one takes its place again, those that came after it are strangers anew.
    ///
    /// - Parameters:
    ///   - boot: The boot ID that is alive.
    ///   - floor: Counters up to this one are not believed: they may be replays from a time before
    ///     this node kept account.
    ///   - address: Where the life was that it replaces.
    /// - Returns: What waited for this.
    mutating func settle(
        _ boot: BootID, above floor: UInt64, inPlaceOf address: PeerAddress? = nil
    ) -> [Held] {
        precondition(boot != self.boot, "a boot ID settles once")
        if let place = retired.firstIndex(where: { $0.boot == boot }) {
            retired.removeSubrange(place...)
        } else if let former = self.boot {
            retired.append(Former(boot: former, address: address))
            if retired.count > PeerLife.retiredMax { retired.removeFirst() }
        }
        let held = pending.first { $0.boot == boot }?.held ?? []
        pending = []
        self.boot = boot
        source = nil
        vouchedAt = nil
        datagrams = ReplayWindow(above: floor)
        streams = ReplayWindow(above: floor)
        return held
    }

    /// Whether an unproven boot ID is to be challenged now.
    mutating func asks(_ boot: BootID, via channel: Channel, at now: Instant) -> Bool {
        if !pending.contains(where: { $0.boot == boot }) { expect(boot, at: now) }
        guard let index = pending.firstIndex(where: { $0.boot == boot }) else { return false }
        let last = pending[index].askedVia[channel]
        guard last.map({ now - $0 >= PeerLife.challengeInterval }) ?? true else { return false }
        pending[index].asked = now
        pending[index].askedVia[channel] = now
        return true
    }

    /// Notes that an unproven boot ID is alive, though it is not believed yet.
    mutating func prove(_ boot: BootID, _ proof: Proof) {
        if !pending.contains(where: { $0.boot == boot }) { expect(boot, at: proof.at) }
        guard let index = pending.firstIndex(where: { $0.boot == boot }) else { return }
        pending[index].proof = proof
    }

    /// The boot ID that counts as alive has answered: forgets all others that are not believed.
    mutating func vouch(at now: Instant) {
        pending = []
        vouchedAt = now
    }

    private mutating func expect(_ boot: BootID, at now: Instant) {
        if pending.count >= PeerLife.pendingMax,
            let first = pending.indices.min(by: { pending[$0].asked < pending[$1].asked })
        {
            pending.remove(at: first)
        }
        pending.append(Pending(boot: boot, asked: now))
    }

    /// Keeps a packet of an unproven boot ID; returns whether there was room for it.
    mutating func hold(_ packet: Held, of boot: BootID) -> Bool {
        guard let index = pending.firstIndex(where: { $0.boot == boot }),
            pending[index].held.count < PeerLife.heldMax,
            pending[index].held.reduce(packet.bytes.count, { $0 + $1.bytes.count })
                <= PeerLife.heldSizeBytesMax
        else { return false }
        pending[index].held.append(packet)
        return true
    }

    private func window(_ channel: Channel) -> ReplayWindow {
        channel == .datagram ? datagrams : streams
    }
}
