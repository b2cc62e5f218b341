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

    /// Found with `simulate run --seed 212`: one part of the core was told of its failed write, and
    /// another, whose write failed with it, wrote on before it heard of that.
    @Test func `everything fails until the core has been told of the last refusal`() throws {
        var queue = WriteQueue()
        submit(1...1, to: &queue)
        _ = performed(&queue)
        submit(2...2, to: &queue)
        let first = try #require(queue.finish("no room").failure)
        #expect(queue.unanswered.isEmpty)
        submit(3...3, to: &queue)
        guard case .tell(let answer)? = queue.next() else {
            Issue.record("2 and 3 must be refused")
            return
        }
        #expect(answer.tickets == [ticket(2), ticket(3)])
        // Of 1 the core has heard, of 2 and 3 not yet.
        queue.resume(after: first)
        submit(4...4, to: &queue)
        guard case .tell(let later)? = queue.next(), let last = later.failure else {
            Issue.record("4 must be refused")
            return
        }
        queue.resume(after: try #require(answer.failure))
        #expect(queue.next() == nil)
        queue.resume(after: last)
        submit(5...5, to: &queue)
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
        #expect(queue.next() == nil)
        queue.resume(after: second)
        submit(3...3, to: &queue)
        #expect(performed(&queue) == [3])
    }

    @Test func `the queue goes on once the core has heard of all of a failure`() throws {
        var queue = WriteQueue()
        submit(1...2, to: &queue)
        _ = performed(&queue)
        let answer = queue.finish("no room")
        // What the core writes before it knows of both is refused.
        var steps: [String] = []
        answer.deliver(
            resume: { _ in steps.append("resume") },
            tell: { ticket, failure in steps.append("\(ticket.value) \(failure ?? "")") })
        #expect(steps == ["1 no room", "2 no room", "resume"])
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
