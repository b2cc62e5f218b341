import Model

/// The tasks that this node could claim, in the order in which it first saw them.
///
/// Order is kept in an append-only array with holes, so that adding, removing and taking from the
/// head cost O(1) on average, however long the backlog is.
struct StealQueue: Sendable {
    /// What the node knows about a candidate.
    struct Candidate: Sendable {
        /// What the task reserves.
        var resources: Resources
        /// How far the node is behind the first candidate, in ranks: `StealPolicy.lag`.
        var lag: Double
        /// When the task became stealable for this node.
        var since: Instant
        /// The earliest time to claim it, whatever the load: the lock or a policy said so.
        var notBefore: Instant
        /// The share of `slope` and jitter that was drawn for it once, so that a recomputation
        /// does not draw again.
        var generator: SeededGenerator
        /// Where it stands in `order`.
        fileprivate var position: Int

        /// When it is this task's turn on this node: under a backlog each node prefers what others
        /// pass over, but none passes over a task for ever.
        var turn: Instant { since + StealQueue.rankAge * Int(lag) }

        /// Whether its turn comes first; ties go to the one that this node saw first.
        func precedes(_ other: Candidate) -> Bool {
            (turn, position) < (other.turn, other.position)
        }
    }

    private var candidates: [TaskID: Candidate] = [:]
    private var order: [TaskID?] = []
    private var head = 0
    /// The position of `order[0]` in the count of all insertions.
    private var base = 0

    /// How many of the oldest candidates are weighed against each other; bounds the work of one
    /// look, and how often an older task can be passed over.
    static let windowCount = 256

    /// How much younger a task of a lower rank may be and still go first.
    ///
    /// Without a bound, a task whose first candidates are gone, or never have room, waits until there
    /// is no younger task at all.
    static let rankAge: Duration = .seconds(1)

    var count: Int { candidates.count }

    subscript(task: TaskID) -> Candidate? { candidates[task] }

    /// Adds a task behind all others; nothing happens when it is there already.
    mutating func insert(
        _ task: TaskID, resources: Resources, lag: Double, at now: Instant,
        generator: SeededGenerator
    ) {
        guard candidates[task] == nil else { return }
        candidates[task] = Candidate(
            resources: resources, lag: lag, since: now, notBefore: now,
            generator: generator, position: base + order.count)
        order.append(task)
    }

    /// Takes a task out; nothing happens when it is not there.
    mutating func remove(_ task: TaskID) {
        guard let candidate = candidates.removeValue(forKey: task) else { return }
        order[candidate.position - base] = nil
        compactIfSparse()
    }

    /// Puts off a task until `instant` at least; nothing happens when it is not there.
    mutating func postpone(_ task: TaskID, until instant: Instant) {
        guard let candidate = candidates[task] else { return }
        candidates[task]?.notBefore = max(candidate.notBefore, instant)
    }

    /// The oldest candidates, oldest first, `windowCount` at most.
    mutating func window() -> [(task: TaskID, candidate: Candidate)] {
        while head < order.count, order[head] == nil { head += 1 }
        var found: [(task: TaskID, candidate: Candidate)] = []
        found.reserveCapacity(min(candidates.count, StealQueue.windowCount))
        var index = head
        while index < order.count, found.count < StealQueue.windowCount {
            if let task = order[index], let candidate = candidates[task] {
                found.append((task, candidate))
            }
            index += 1
        }
        return found
    }

    private mutating func compactIfSparse() {
        guard order.count > 64, order.count > 2 * candidates.count else { return }
        let kept = order.compactMap { $0 }
        base += order.count
        order = []
        head = 0
        for task in kept {
            candidates[task]?.position = base + order.count
            order.append(task)
        }
    }
}
