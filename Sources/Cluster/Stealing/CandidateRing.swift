import Model

/// The members in a ring, in the order of their IDs: for each task the ring begins at another place,
/// and those who stand there are its first candidates.
///
/// Members agree on it without talking, as far as they know the same members, and every member is
/// the first candidate of as many tasks as any other.
struct CandidateRing: Hashable, Sendable {
    /// How many members there are, this node included; 1 or more.
    private(set) var count = 1
    /// How many of them have a smaller ID than this node.
    private(set) var index = 0

    /// A node alone.
    init() {}

    /// A node among others.
    init(of node: NodeID, among peers: some Sequence<NodeID>) {
        for peer in peers {
            count += 1
            if peer < node { index += 1 }
        }
    }

    /// How many members come before this node for a task, 0 ..< `count`.
    func place(for task: TaskID) -> Int {
        var generator = SeededGenerator(seed: task.value.high ^ task.value.low)
        return (index + Int(generator.next() % UInt64(count))) % count
    }
}
