import Model

/// One question to one member, and what became of it.
///
/// Source: SWIM, section 3.1; the nacks are Lifeguard's, section IV.A.
struct Probe: Hashable, Sendable {
    /// Why the member is asked.
    enum Reason: Hashable, Sendable {
        /// Its turn has come.
        case round
        /// It is under suspicion.
        case suspicion
        /// It is dead, and may have come back; no answer means nothing.
        case reconnection
    }

    let target: NodeID
    /// Comes back in the answer.
    let number: UInt64
    let reason: Reason
    /// When others are asked to help.
    let helpAt: Instant
    /// When it has failed.
    let endsAt: Instant
    var hasAskedForHelp = false
    /// Helpers that were asked.
    var nacksExpected = 0
    /// Helpers that have not said yet that they had no answer either.
    var silentHelpers: [NodeID] = []

    var nacks: Int { nacksExpected - silentHelpers.count }

    /// When it next wants attention.
    var due: Instant { hasAskedForHelp || reason == .reconnection ? endsAt : helpAt }
}

/// The probes that are under way, and the members that wait for one.
struct Probes: Sendable {
    private var active: [UInt64: Probe] = [:]
    private var targets: Set<NodeID> = []
    /// Suspects that wait for a probe out of turn, each once.
    private(set) var waiting: [NodeID] = []

    /// How many probes are under way at most, reconnections not counted.
    static let activeMax = 16
    /// How many members wait at most; more than a cluster has.
    static let waitingMax = KeyRing.membersMax

    private var counted = 0

    var hasRoom: Bool { counted < Probes.activeMax }
    var isEmpty: Bool { active.isEmpty }

    subscript(number: UInt64) -> Probe? { active[number] }

    func isProbing(_ target: NodeID) -> Bool { targets.contains(target) }

    /// Begins a probe; only one per member at a time.
    mutating func begin(_ probe: Probe) {
        precondition(!targets.contains(probe.target), "a member is probed once at a time")
        active[probe.number] = probe
        targets.insert(probe.target)
        if probe.reason != .reconnection { counted += 1 }
    }

    /// Notes that helpers were asked.
    mutating func askedForHelp(_ number: UInt64, helpers: [NodeID]) {
        active[number]?.hasAskedForHelp = true
        active[number]?.nacksExpected = helpers.count
        active[number]?.silentHelpers = helpers
    }

    /// A helper says that it had no answer either; others and repetitions are not counted.
    mutating func nacked(_ number: UInt64, by helper: NodeID) {
        active[number]?.silentHelpers.removeAll { $0 == helper }
    }

    /// Ends a probe, whatever became of it.
    @discardableResult
    mutating func end(_ number: UInt64) -> Probe? {
        guard let probe = active.removeValue(forKey: number) else { return nil }
        targets.remove(probe.target)
        if probe.reason != .reconnection { counted -= 1 }
        return probe
    }

    /// Ends all probes without a verdict.
    mutating func abandon() {
        active = [:]
        targets = []
        counted = 0
    }

    /// Lets a member wait for a probe out of turn, unless it waits or is probed already.
    mutating func enqueue(_ target: NodeID) {
        guard !targets.contains(target), waiting.count < Probes.waitingMax,
            !waiting.contains(target)
        else { return }
        waiting.append(target)
    }

    /// The member that has waited longest.
    mutating func dequeue() -> NodeID? {
        waiting.isEmpty ? nil : waiting.removeFirst()
    }

    /// The probes that want attention, in the order of their numbers.
    func due(at now: Instant) -> [Probe] {
        active.values.filter { $0.due <= now }.sorted { $0.number < $1.number }
    }

    /// When a probe next wants attention.
    var nextDue: Instant? { active.values.map(\.due).min() }
}
