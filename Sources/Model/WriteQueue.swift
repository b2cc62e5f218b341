/// In which order writes reach the disk, which go together, and what comes of them when one fails.
///
/// Both interpreters of the core use it: the daemon's store and the simulator's disk perform what it
/// says and decide nothing. Writes that arrive while others are under way go together next (group
/// commit). From a failed one on everything fails, until whoever asks for writes has been told and
/// says so (`resume`): a later write never stands on disk without the earlier ones.
package struct WriteQueue: Sendable {
    /// One write, all or nothing, and the ticket that names it.
    package struct Write: Sendable {
        /// What is written.
        package var changes: [DurableWrite]
        /// Its name.
        package var ticket: PersistTicket
    }

    /// Why writes fail, and which failure of this queue it is.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        fileprivate var number: UInt64
        /// The reason, in words.
        package var description: String
    }

    /// What came of some writes; to be told with `deliver`.
    package struct Answer: Sendable {
        /// The writes, in order.
        package var tickets: [PersistTicket]
        /// Why they are not on disk; `nil` when they are.
        package var failure: Failure?
    }

    /// What is to be done next.
    package enum Step: Sendable {
        /// Perform these together and say how it went with `finish`.
        case perform([Write])
        /// Nothing to perform: tell this.
        case tell(Answer)
    }

    private enum Item {
        case write(Write)
        /// What was asked for from here on was asked by somebody who knows of the failure.
        case resume(UInt64)
    }

    private var waiting: [Item] = []
    private var underWay: [Write] = []
    private var failure: Failure?
    private var failureCount: UInt64 = 0
    private let mutation: DriverMutation?

    /// Starts with nothing to do.
    package init(mutation: DriverMutation? = nil) {
        self.mutation = mutation
    }

    /// Takes a write in.
    package mutating func submit(_ changes: [DurableWrite], _ ticket: PersistTicket) {
        waiting.append(.write(Write(changes: changes, ticket: ticket)))
    }

    /// Tries writes again: those that are asked for from now on know of this failure.
    package mutating func resume(after failure: Failure) {
        waiting.append(.resume(failure.number))
    }

    /// What is to be done now; `nil` while writes are under way or none wait.
    package mutating func next() -> Step? {
        guard underWay.isEmpty else { return nil }
        var batch: [Write] = []
        var taken = 0
        scan: for item in waiting {
            switch item {
            case .write(let write): batch.append(write)
            case .resume(let number):
                guard batch.isEmpty else { break scan }
                // One that answers an earlier failure says nothing about a later one.
                if failure?.number == number { failure = nil }
            }
            taken += 1
        }
        waiting.removeFirst(taken)
        guard !batch.isEmpty else { return nil }
        if let failure, mutation != .goesOnAfterFailure {
            // Each refusal counts anew: writes go on once the last of them was told.
            fail(failure.description)
            return .tell(answer(batch, self.failure))
        }
        underWay = batch
        return .perform(batch)
    }

    /// What a broken driver would say as soon as it has begun; nothing in one that is sound.
    package var prematureAnswer: Answer? {
        mutation == .answersBeforeSync && !underWay.isEmpty ? answer(underWay, nil) : nil
    }

    /// The writes under way are on disk, or none of them is.
    ///
    /// - Parameter error: Why not.
    /// - Returns: What is to be told.
    package mutating func finish(_ error: String?) -> Answer {
        let done = underWay
        underWay = []
        if let error { fail(error) }
        // A broken driver has said so already.
        if mutation == .answersBeforeSync { return answer([], nil) }
        return answer(done, error == nil ? nil : failure)
    }

    /// All writes that may reach the disk before anybody is told, in order: after a crash the first
    /// of them are there, each whole.
    package var unanswered: [Write] {
        guard failure == nil else { return underWay }
        var writes = underWay
        for case .write(let write) in waiting { writes.append(write) }
        return writes
    }

    /// Whoever asked is gone, and nobody is to be told of anything.
    package mutating func forget() {
        self = WriteQueue(mutation: mutation)
    }

    /// Whether nothing is to be done.
    package var isIdle: Bool { underWay.isEmpty && waiting.isEmpty }

    private mutating func fail(_ reason: String) {
        failureCount += 1
        failure = Failure(number: failureCount, description: reason)
    }

    private func answer(_ writes: [Write], _ failure: Failure?) -> Answer {
        Answer(tickets: writes.map(\.ticket), failure: failure)
    }
}

extension WriteQueue.Answer {
    /// Tells the core, one write after the other.
    ///
    /// - Parameters:
    ///   - resume: Passes a failure back to the queue, once the core has heard of all of it: what the
    ///     core asks for from then on, it asks for knowing which earlier writes failed.
    ///   - tell: Tells the core of a ticket: it is on disk, or why it is not.
    package func deliver(
        resume: (WriteQueue.Failure) -> Void, tell: (PersistTicket, _ failure: String?) -> Void
    ) {
        for ticket in tickets { tell(ticket, failure?.description) }
        if let failure { resume(failure) }
    }
}

/// Rules of the driver that tests break one by one: each must be noticed.
package enum DriverMutation: String, Hashable, Sendable, CaseIterable {
    /// Says that writes are on disk when they have only begun: what waits for them leaves too early.
    case answersBeforeSync
    /// Performs writes that were asked for before the core knew that earlier ones had failed.
    case goesOnAfterFailure
}
