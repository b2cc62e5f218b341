/// An object of which each operation takes effect at one moment between its call and its return.
protocol SequentialObject {
    associatedtype State: Hashable
    associatedtype Operation

    /// The state before any operation.
    var initial: State { get }

    /// The states that an operation may lead to from this one; none if it could not have answered
    /// as it did.
    func states(after operation: Operation, from state: State) -> [State]
}

/// An operation of a history: when it was called, and when it returned.
struct TimedOperation<Operation> {
    var operation: Operation
    var called: Int64
    /// `nil` for one that never returned: it may have taken effect at any later time, or never.
    var returned: Int64?
}

/// Looks for an order of the operations that explains a history.
///
/// Source: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of
/// visited configurations after Lowe, "Testing for Linearizability" (2017), as Porcupine has it.
struct LinearizabilityChecker<Object: SequentialObject> {
    /// What a search found.
    enum Verdict: Equatable {
        case linearizable
        case notLinearizable
        /// The search was given up.
        case undecided
    }

    let object: Object
    private let operations: [TimedOperation<Object.Operation>]
    private var visited: Set<Configuration> = []
    private var stepsLeft: Int

    /// What is done, and what it has led to.
    private struct Configuration: Hashable {
        var done: [UInt64]
        var state: Object.State

        func contains(_ index: Int) -> Bool { done[index / 64] >> (index % 64) & 1 == 1 }

        func with(_ index: Int, _ state: Object.State) -> Configuration {
            var next = self
            next.done[index / 64] |= 1 << (index % 64)
            next.state = state
            return next
        }
    }

    init(
        _ object: Object, _ operations: [TimedOperation<Object.Operation>], stepsMax: Int = 400_000
    ) {
        self.object = object
        // Those that returned first are tried first; the pending ones last.
        self.operations = operations.sorted {
            ($0.returned ?? .max, $0.called) < ($1.returned ?? .max, $1.called)
        }
        stepsLeft = stepsMax
    }

    mutating func check() -> Verdict {
        let words = (operations.count + 63) / 64
        var open = [
            Configuration(done: Array(repeating: 0, count: words), state: object.initial)
        ]
        while let configuration = open.popLast() {
            guard let next = successors(of: configuration) else { return .linearizable }
            stepsLeft -= 1
            guard stepsLeft > 0 else { return .undecided }
            // Reversed: the likeliest one is taken off the end first.
            for successor in next.reversed() where visited.insert(successor).inserted {
                open.append(successor)
            }
        }
        return .notLinearizable
    }

    /// What may come next; `nil` when everything that returned is done.
    private func successors(of configuration: Configuration) -> [Configuration]? {
        guard
            let first = operations.indices.first(where: { !configuration.contains($0) }),
            let end = operations[first].returned
        else { return nil }
        var next: [Configuration] = []
        for index in first..<operations.count where !configuration.contains(index) {
            let operation = operations[index]
            // Nothing that was called after another one's return comes before it.
            guard operation.called <= end else { continue }
            for state in object.states(after: operation.operation, from: configuration.state) {
                // One that never returned and changes nothing need not have happened.
                if operation.returned == nil, state == configuration.state { continue }
                next.append(configuration.with(index, state))
            }
        }
        return next
    }
}
