import Model
import Testing

@testable import Cluster

@Suite struct StealQueueTests {
    private func task(_ number: Int) -> TaskID { TaskID(Wide128(high: 1, low: UInt64(number))) }

    private func insert(
        _ number: Int, rank: Int = 0, at time: Duration = .zero, into queue: inout StealQueue
    ) {
        queue.insert(
            task(number), resources: .defaultRequest, lag: Double(rank), at: .zero + time,
            generator: SeededGenerator(seed: 1))
    }

    /// The task whose turn it is.
    private func next(in queue: inout StealQueue) -> TaskID? {
        queue.window().min { $0.candidate.precedes($1.candidate) }?.task
    }

    @Test func `lower ranks go first, until a higher one has waited for its bound`() {
        var queue = StealQueue()
        let bound = StealQueue.rankAge * 3
        insert(1, rank: 3, into: &queue)
        insert(2, at: bound - .nanoseconds(1), into: &queue)
        insert(3, at: bound, into: &queue)
        #expect(next(in: &queue) == task(2))
        queue.remove(task(2))
        #expect(next(in: &queue) == task(1))
    }

    @Test func `a stream of tasks of the first rank passes over none of the last for ever`() {
        var queue = StealQueue()
        insert(0, rank: 4, into: &queue)
        for number in 1...1_000 {
            insert(number, at: .milliseconds(10) * number, into: &queue)
            let first = next(in: &queue)
            guard let first, first != task(0) else {
                return #expect(number * 10 == 4_000)
            }
            queue.remove(first)
        }
        Issue.record("the first task still waits")
    }

    @Test func `of equals the one that was seen first goes first`() {
        var queue = StealQueue()
        for number in 0..<5 { insert(number, rank: 1, into: &queue) }
        for number in 0..<5 {
            #expect(next(in: &queue) == task(number))
            queue.remove(task(number))
        }
    }

    @Test func `the window shows the oldest first and is bounded`() {
        var queue = StealQueue()
        for number in 0..<StealQueue.windowCount { insert(number, into: &queue) }
        #expect(queue.window().count == StealQueue.windowCount)
        insert(StealQueue.windowCount, into: &queue)
        let window = queue.window()
        #expect(window.count == StealQueue.windowCount)
        #expect(window.first?.task == task(0))
        #expect(window.last?.task == task(StealQueue.windowCount - 1))
    }

    @Test func `order survives removal and compaction`() {
        var queue = StealQueue()
        for number in 0..<1_000 { insert(number, into: &queue) }
        for number in 0..<1_000 where number % 10 != 3 { queue.remove(task(number)) }
        insert(5_000, into: &queue)
        let expected = stride(from: 3, to: 1_000, by: 10).map(task) + [task(5_000)]
        #expect(queue.window().map(\.task) == expected)
        #expect(queue.count == 101)
    }

    @Test func `inserting twice keeps the first place`() {
        var queue = StealQueue()
        insert(1, into: &queue)
        insert(2, into: &queue)
        insert(1, into: &queue)
        #expect(queue.window().map(\.task) == [task(1), task(2)])
    }

    @Test func `a postponement never shortens an earlier one`() {
        var queue = StealQueue()
        insert(1, into: &queue)
        queue.postpone(task(1), until: Instant(nanoseconds: 50))
        queue.postpone(task(1), until: Instant(nanoseconds: 20))
        #expect(queue[task(1)]?.notBefore == Instant(nanoseconds: 50))
    }
}

@Suite struct TimerHeapTests {
    @Test func `items come out in order of time, then of insertion`() {
        var heap = TimerHeap<Int>()
        var generator = SeededGenerator(seed: 2)
        var expected: [(Int64, Int)] = []
        for item in 0..<500 {
            let due = Int64.random(in: 0..<50, using: &generator)
            heap.insert(item, due: Instant(nanoseconds: due))
            expected.append((due, item))
        }
        expected.sort { $0 < $1 }
        var found: [Int] = []
        while let item = heap.popDue(at: .distantFuture) { found.append(item) }
        #expect(found == expected.map(\.1))
    }

    @Test func `nothing comes out before it is due`() {
        var heap = TimerHeap<Int>()
        heap.insert(1, due: Instant(nanoseconds: 10))
        #expect(heap.popDue(at: Instant(nanoseconds: 9)) == nil)
        #expect(heap.next == Instant(nanoseconds: 10))
        #expect(heap.popDue(at: Instant(nanoseconds: 10)) == 1)
    }
}

@Suite struct HolderIndexTests {
    @Test func `usage follows the holder`() {
        let task = TaskID(Wide128(high: 1, low: 1))
        let first = NodeID(Wide128(high: 1, low: 0))
        let second = NodeID(Wide128(high: 2, low: 0))
        let amount = Resources(cpuMillis: 100, memoryBytes: 5)
        var index = HolderIndex()
        index.update(task, holder: first, resources: amount)
        index.update(task, holder: first, resources: amount)
        #expect(index[first].count == 1)
        #expect(index[first].resources == amount)
        index.update(task, holder: second, resources: amount)
        #expect(index[first].count == 0)
        #expect(index[first].resources == .zero)
        #expect(index.tasks(of: second) == [task])
        index.update(task, holder: nil, resources: amount)
        #expect(index.tasks(of: second).isEmpty)
    }
}

@Suite struct PeerMessageTests {
    private var container: ContainerID {
        ContainerID(
            task: TaskID(Wide128(high: 1, low: 1)), token: FencingToken(generation: 1, index: 4))
    }

    @Test func `messages come back as they were`() throws {
        let chunk = LogChunk(
            entries: [
                LogEntry(stream: .stderr, time: WallTime(milliseconds: 5), bytes: [1, 2])
            ], next: LogCursor(segment: 1, offset: 9), isEnd: true)
        let messages: [PeerMessage] = [
            .table([1, 2]), .lock([3]), .logAnswer(LogReadID(7), chunk),
            .logAnswer(LogReadID(8), nil), .logCopy(container, chunk),
            .logKept(container, chunk.next),
            .copyQuery(LogReadID(9), container, .lastLines(5, of: .stderr)),
            .copyQuery(LogReadID(9), container, .newest(after: chunk.next)), .signal(container, 15),
            .gone(NodeID(Wide128(high: 3, low: 3)), container.token),
            .logQuery(
                PeerMessage.LogQuery(
                    read: LogReadID(1), container: container, start: .at(.beginning),
                    waitAtMost: .seconds(1))),
        ]
        for message in messages {
            #expect(try PeerMessage(decoding: message.encoded).encoded == message.encoded)
        }
    }

    @Test func `a wait at its bound is read and one past it is refused`() throws {
        func query(_ wait: Duration) -> [UInt8] {
            PeerMessage.logQuery(
                PeerMessage.LogQuery(
                    read: LogReadID(1), container: container, start: .at(.beginning),
                    waitAtMost: wait)
            ).encoded
        }
        _ = try PeerMessage(decoding: query(PeerMessage.waitMax))
        #expect(throws: CodecError.outOfBounds) {
            try PeerMessage(decoding: query(PeerMessage.waitMax + .nanoseconds(1)))
        }
    }

    @Test func `a signal that does not exist is refused`() {
        #expect(throws: CodecError.outOfBounds) {
            try PeerMessage(decoding: PeerMessage.signal(container, 65).encoded)
        }
    }
}
