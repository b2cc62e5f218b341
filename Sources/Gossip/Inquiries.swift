import Model

/// A question to the known life of a node: whether it is still there, now that another one is.
///
/// Its number is drawn when the other has shown itself, so an answer proves that both are alive at
/// once: each was heard of before that instant, and answers something that was asked after it.
struct Inquiry: Sendable {
    let node: NodeID
    /// The life that is known, and asked.
    let boot: BootID
    let address: PeerAddress
    /// Comes back in the answer.
    let number: UInt64
    let begun: Instant
    var endsAt: Instant
    var nextAsk: Instant
    /// How often it was asked.
    var asked = 0
    /// What the other life says of itself, to be taken in when the known one is silent.
    var contender: AliveStatement?

    /// How often the known life is asked at most.
    static let asksMax = 3

    var due: Instant { min(nextAsk, endsAt) }
}

/// The inquiries that are under way, one for a node.
struct Inquiries: Sendable {
    private var active: [NodeID: Inquiry] = [:]

    /// How many are under way at most; newcomers beyond that wait until they are heard again.
    static let activeMax = 256

    var count: Int { active.count }

    subscript(node: NodeID) -> Inquiry? { active[node] }

    /// Begins an inquiry; returns whether there was room for it, and none about this node.
    mutating func begin(_ inquiry: Inquiry) -> Bool {
        guard active[inquiry.node] == nil, active.count < Inquiries.activeMax else { return false }
        active[inquiry.node] = inquiry
        return true
    }

    /// Keeps the newest of what others say in the node's name.
    mutating func contend(_ alive: AliveStatement) {
        guard let known = active[alive.subject]?.contender else {
            active[alive.subject]?.contender = alive
            return
        }
        if alive.isNewer(than: known) { active[alive.subject]?.contender = alive }
    }

    /// Takes note that the question is sent once more.
    mutating func ask(_ node: NodeID, at now: Instant, interval: Duration) {
        guard var inquiry = active[node] else { return }
        inquiry.asked += 1
        inquiry.nextAsk =
            inquiry.asked < Inquiry.asksMax ? now + interval : .distantFuture
        active[node] = inquiry
    }

    /// Ends an inquiry, whatever came of it.
    @discardableResult
    mutating func end(_ node: NodeID) -> Inquiry? { active.removeValue(forKey: node) }

    /// Those that want attention, in order of the nodes.
    func due(at now: Instant) -> [Inquiry] {
        active.values.filter { $0.due <= now }.sorted { $0.node < $1.node }
    }

    /// When one next wants attention.
    var nextDue: Instant? { active.values.map(\.due).min() }

    /// This node stood still: answers may have come that it has not read.
    mutating func prolong(until end: Instant) {
        for node in active.keys { active[node]?.endsAt = end }
    }
}
