/// A line of numbers: joined at its end, left at its head, or at its end by who steals.
struct Fifo: Sendable {
    private var items: [Int32] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { items.count == head }
    var first: Int? { head < items.count ? Int(items[head]) : nil }

    mutating func append(_ item: Int) { items.append(Int32(truncatingIfNeeded: item)) }

    mutating func popFirst() -> Int? {
        guard head < items.count else { return nil }
        let item = items[head]
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 64, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return Int(item)
    }

    mutating func popLast() -> Int? {
        guard head < items.count, let item = items.popLast() else { return nil }
        return Int(item)
    }
}
