import Model
import Testing

/// The order of writes, which both the daemon's store and the simulator's disk keep.
@Suite struct WriteQueueTests {
    private func ticket(_ value: UInt64) -> PersistTicket { PersistTicket(value) }

    private func submit(_ numbers: ClosedRange<UInt64>, to queue: inout WriteQueue) {
        for number in numbers {
            queue.submit(
                [.put(.task, key: [UInt8(number)], value: [])], PersistTicket(number))
        }
    }

    /// The writes that are performed next, by number; `nil` when none are.
    private func performed(_ queue: inout WriteQueue) -> [UInt64]? {
        guard case .perform(let writes)? = queue.next() else { return nil }
        return writes.map(\.ticket.value)
    }

    /// The writes that are answered next without being performed.
    private func refused(_ queue: inout WriteQueue) -> [UInt64]? {
        guard case .tell(let answer)? = queue.next(), answer.failure != nil else { return nil }
        return answer.tickets.map(\.value)
    }

    @Test func `what comes while writes are under way goes together in the next lot`() {
        var queue = WriteQueue()
        submit(1...1, to: &queue)
        #expect(performed(&queue) == [1])
        submit(2...4, to: &queue)
        #expect(queue.next() == nil)
        #expect(queue.unanswered.map(\.ticket.value) == [1, 2, 3, 4])
        let answer = queue.finish(nil)
        #expect(answer.tickets == [ticket(1)] && answer.failure == nil)
        #expect(performed(&queue) == [2, 3, 4])
        _ = queue.finish(nil)
        #expect(queue.next() == nil && queue.isIdle)
    }

    @Test func `after a failure everything fails until the core has been told`() throws {
        var queue = WriteQueue()
        submit(1...1, to: &queue)
        _ = performed(&queue)
        submit(2...2, to: &queue)
        let failure = try #require(queue.finish("no room").failure)
        #expect(queue.unanswered.isEmpty)
        submit(3...3, to: &queue)
        #expect(refused(&queue) == [2, 3])
        submit(4...4, to: &queue)
        queue.resume(after: failure)
        submit(5...5, to: &queue)
        #expect(refused(&queue) == [4])
        #expect(performed(&queue) == [5])
    }

    @Test func `an answer to an earlier failure says nothing about a later one`() throws {
        var queue = WriteQueue()
        submit(1...1, to: &queue)
        _ = performed(&queue)
        let first = try #require(queue.finish("no room").failure)
        queue.resume(after: first)
        submit(2...2, to: &queue)
        #expect(performed(&queue) == [2])
        let second = try #require(queue.finish("no room").failure)
        #expect(second != first)
        queue.resume(after: first)
        submit(3...3, to: &queue)
        #expect(refused(&queue) == [3])
        queue.resume(after: second)
        submit(4...4, to: &queue)
        #expect(performed(&queue) == [4])
    }

    @Test func `the queue goes on before the core hears of a failure`() throws {
        var queue = WriteQueue()
        submit(1...2, to: &queue)
        _ = performed(&queue)
        let answer = queue.finish("no room")
        // What the core writes when it is told of the first write is performed.
        var steps: [String] = []
        answer.deliver(
            resume: { _ in steps.append("resume") },
            tell: { ticket, failure in steps.append("\(ticket.value) \(failure ?? "")") })
        #expect(steps == ["resume", "1 no room", "2 no room"])
    }

    @Test func `a broken driver says too early that writes are on disk`() {
        var sound = WriteQueue()
        submit(1...1, to: &sound)
        _ = performed(&sound)
        #expect(sound.prematureAnswer == nil)
        var broken = WriteQueue(mutation: .answersBeforeSync)
        submit(1...1, to: &broken)
        _ = performed(&broken)
        #expect(broken.prematureAnswer?.tickets == [ticket(1)])
        #expect(broken.finish(nil).tickets.isEmpty)
    }

    @Test func `a broken driver performs what stands upon a failed write`() {
        var broken = WriteQueue(mutation: .goesOnAfterFailure)
        submit(1...1, to: &broken)
        _ = performed(&broken)
        _ = broken.finish("no room")
        submit(2...2, to: &broken)
        #expect(performed(&broken) == [2])
    }
}
