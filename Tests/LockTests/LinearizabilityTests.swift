import Model
import Testing

@testable import Lock

/// The checker on histories of which the verdict is known, and on locks with a broken rule.
@Suite struct LinearizabilityTests {
    /// A register: written, and read.
    struct Register: SequentialObject {
        enum Operation {
            case write(Int)
            case read(Int)
        }

        let initial = 0

        func states(after operation: Operation, from state: Int) -> [Int] {
            switch operation {
            case .write(let value): [value]
            case .read(let value): value == state ? [state] : []
            }
        }
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// `w1` writes 1, `r1` reads 1; then when it was called and when it returned, if it did.
        let history: [(String, Int64, Int64?)]
        let isLinearizable: Bool
    }

    @Test(arguments: [
        Row(
            testDescription: "one after the other", history: [("w1", 0, 1), ("r1", 2, 3)],
            isLinearizable: true),
        Row(
            testDescription: "a stale read", history: [("w1", 0, 1), ("r0", 2, 3)],
            isLinearizable: false),
        Row(
            testDescription: "a read beside a write may see either",
            history: [("w1", 0, 5), ("r0", 1, 2), ("r1", 3, 4)], isLinearizable: true),
        Row(
            testDescription: "but not the new value first",
            history: [("w1", 0, 5), ("r1", 1, 2), ("r0", 3, 4)], isLinearizable: false),
        Row(
            testDescription: "a write that never returned may be seen late",
            history: [("w1", 0, nil), ("r0", 1, 2), ("r1", 8, 9)], isLinearizable: true),
        Row(
            testDescription: "or never", history: [("w1", 0, nil), ("r0", 1, 2), ("r0", 8, 9)],
            isLinearizable: true),
        Row(
            testDescription: "but not be undone",
            history: [("w1", 0, nil), ("r1", 1, 2), ("r0", 8, 9)], isLinearizable: false),
        Row(
            testDescription: "nor be seen before its call",
            history: [("r1", 0, 1), ("w1", 2, nil)], isLinearizable: false),
        Row(
            testDescription: "two reads can't order two writes both ways",
            history: [
                ("w1", 0, 9), ("w2", 0, 9), ("r1", 10, 11), ("r2", 12, 13),
            ], isLinearizable: false),
    ])
    func `the checker knows what an order can explain`(row: Row) {
        let operations = row.history.map { text, called, returned in
            let value = Int(text.dropFirst()) ?? 0
            return TimedOperation<Register.Operation>(
                operation: text.hasPrefix("w") ? .write(value) : .read(value), called: called,
                returned: returned)
        }
        var checker = LinearizabilityChecker(Register(), operations)
        #expect((checker.check() == .linearizable) == row.isLinearizable)
    }

    @Test func `a search is given up at its bound, and not before`() {
        let writes = (0..<3).map {
            TimedOperation<Register.Operation>(operation: .write($0), called: 0, returned: 9)
        }
        var enough = LinearizabilityChecker(Register(), writes, stepsMax: 4)
        #expect(enough.check() == .linearizable)
        var short = LinearizabilityChecker(Register(), writes, stepsMax: 3)
        #expect(short.check() == .undecided)
    }

    @Test(arguments: [LockMutation.appliesRepetitions, .grantsHeldTasks, .repeatsToken])
    func `what a broken lock tells its clients is not linearizable`(mutation: LockMutation) {
        var configuration = LockConfiguration(profile: .local)
        configuration.mutation = mutation
        let isCaught = (1..<60 as Range<UInt64>).contains { seed in
            let bench = LockRandomTests.play(seed: seed, configuration: configuration)
            return bench.history?.problems(of: bench) != []
        }
        #expect(isCaught, "\(mutation) went unnoticed")
    }
}
