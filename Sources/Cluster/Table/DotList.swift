import CRDT

/// A few dots in order of their arrival; the first three need no memory of their own.
///
/// A record of a task that was submitted, claimed and started has three, a delta mostly one.
struct DotList: Hashable, Sendable {
    private var first = Dot(origin: 0, sequence: 0)
    private var second = Dot(origin: 0, sequence: 0)
    private var third = Dot(origin: 0, sequence: 0)
    private var others: [Dot] = []
    private var length: UInt8 = 0

    /// The most dots in a list.
    static let countMax = 255

    var count: Int { Int(length) }

    private static let inlineCount = 3

    init() {}

    init(_ dots: some Sequence<Dot>) {
        for dot in dots { append(dot) }
    }

    var isEmpty: Bool { count == 0 }
    var indices: Range<Int> { 0..<count }

    subscript(position: Int) -> Dot {
        precondition(0 <= position && position < count, "there is no such dot")
        switch position {
        case 0: return first
        case 1: return second
        case 2: return third
        default: return others[position - DotList.inlineCount]
        }
    }

    func contains(_ dot: Dot) -> Bool {
        if count > 0, first == dot { return true }
        if count > 1, second == dot { return true }
        if count > 2, third == dot { return true }
        return count > DotList.inlineCount && others.contains(dot)
    }

    /// Whether every dot of the list is in the other.
    func isSubset(of other: DotList) -> Bool {
        indices.allSatisfy { other.contains(self[$0]) }
    }

    /// Adds a dot; there are fewer than `countMax`.
    mutating func append(_ dot: Dot) {
        precondition(count < DotList.countMax, "a list has a bounded number of dots")
        switch count {
        case 0: first = dot
        case 1: second = dot
        case 2: third = dot
        default: others.append(dot)
        }
        length += 1
    }

    mutating func removeFirst(_ removed: Int) {
        guard removed > 0 else { return }
        self = DotList(dropFirst(removed))
    }
}

extension DotList: Sequence {
    struct Iterator: IteratorProtocol {
        let list: DotList
        var position = 0

        mutating func next() -> Dot? {
            guard position < list.count else { return nil }
            defer { position += 1 }
            return list[position]
        }
    }

    func makeIterator() -> Iterator { Iterator(list: self) }

    var underestimatedCount: Int { count }
}

extension DotList: ExpressibleByArrayLiteral {
    init(arrayLiteral dots: Dot...) {
        self.init(dots)
    }
}
