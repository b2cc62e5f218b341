import Cluster
import Model
import SimulationHarness
import Testing

/// A checker that can't fail is worth nothing: each check is shown what it must notice.
@Suite struct CheckerTests {
    private let task = TaskID(Wide128(high: 0, low: 1))

    private func token(_ index: UInt64) -> FencingToken {
        FencingToken(generation: 1, index: index)
    }

    private func container(_ index: UInt64) -> ContainerID {
        ContainerID(task: task, token: token(index))
    }

    private func status(_ state: TaskState, restart: RestartPolicy = .onNodeLoss) -> TaskStatus {
        var spec = TaskSpec(command: ["exit", "0"])
        spec.restart = restart
        return TaskStatus(
            id: task, state: state, spec: spec, attempt: 1, isCancelRequested: false,
            isUnconfirmed: false, submitted: WallTime(milliseconds: 0), reason: "")
    }

    @Test(arguments: [(5, 5, true), (5, 4, true), (5, 6, false)] as [(UInt64, UInt64, Bool)])
    func `a token that does not rise is noticed`(first: UInt64, second: UInt64, isCaught: Bool) {
        var checker = Checker()
        checker.granted(task, token(first), to: "n1", at: 0)
        checker.granted(task, token(second), to: "n2", at: 1)
        #expect((checker.violation != nil) == isCaught)
    }

    @Test func `a container of a token that its node was not granted is noticed`() {
        var checker = Checker()
        checker.granted(task, token(1), to: "n1", at: 0)
        checker.created(container(1), on: "n1", at: 1)
        #expect(checker.violation == nil)
        var other = checker
        other.created(container(1), on: "n2", at: 2)
        #expect(other.violation != nil)
        checker.created(container(2), on: "n1", at: 3)
        #expect(checker.violation != nil)
    }

    @Test func `a record that is dropped before its acknowledged task has ended is noticed`() {
        var checker = Checker()
        checker.dropped(task, isAcknowledged: false, by: "n1", at: 0)
        #expect(checker.violation == nil)
        var other = checker
        other.dropped(task, isAcknowledged: true, by: "n1", at: 1)
        #expect(other.violation != nil)
        checker.saw(status(.failed), wasCancelWished: false, by: "n1", at: 1)
        checker.dropped(task, isAcknowledged: true, by: "n1", at: 2)
        #expect(checker.violation == nil)
    }

    @Test func `two copies at a time are noticed, one after the other is fine`() {
        var checker = Checker()
        checker.started(container(1), on: "n1", at: 0)
        checker.ended(container(1), exit: ExitStatus(code: 1), on: "n1")
        checker.started(container(2), on: "n2", at: 5)
        #expect(checker.violation == nil)
        checker.started(container(3), on: "n3", at: 6)
        #expect(checker.violation?.time == 6)
    }

    @Test func `a copy that stands still with its machine does not count until it goes on`() {
        var checker = Checker()
        checker.started(container(1), on: "n1", at: 0)
        checker.suspended(container(1), on: "n1")
        checker.started(container(2), on: "n2", at: 1)
        #expect(checker.violation == nil)
        checker.started(container(1), on: "n1", at: 2, isOver: true)
        #expect(checker.violation == nil)
        checker.started(container(1), on: "n1", at: 3)
        #expect(checker.violation != nil)
    }

    @Test func `tables that differ at one index are noticed`() {
        var checker = Checker()
        checker.applied(8, 111, by: "n1", at: 0)
        checker.applied(16, 222, by: "n1", at: 1)
        checker.applied(8, 111, by: "n2", at: 2)
        #expect(checker.violation == nil)
        checker.applied(16, 333, by: "n2", at: 3)
        #expect(checker.violation != nil)
    }

    @Test(arguments: [(7, 9, false), (8, 9, true), (7, 10, true)] as [(UInt64, UInt64, Bool)])
    func `a committed entry that is another one elsewhere or later is noticed`(
        term: UInt64, print: UInt64, isCaught: Bool
    ) {
        var checker = Checker()
        checker.committed(token(4), term: 7, print: 9, by: "n1", at: 0)
        checker.committed(token(5), term: 7, print: 3, by: "n1", at: 1)
        checker.committed(token(4), term: term, print: print, by: "n2", at: 2)
        #expect((checker.violation != nil) == isCaught)
        var own = Checker()
        own.committed(token(4), term: 7, print: 9, by: "n1", at: 0)
        own.committed(token(4), term: term, print: print, by: "n1", at: 3)
        #expect((own.violation != nil) == isCaught)
    }

    @Test func `a start under an earlier token, or one more than is allowed, is noticed`() {
        func run(_ tokens: [UInt64], attemptsMax: Int?) -> Violation? {
            var checker = Checker()
            for (time, index) in tokens.enumerated() {
                checker.started(
                    container(index), on: "n\(index)", at: Int64(time), attemptsMax: attemptsMax)
                checker.ended(container(index), exit: nil, on: "n\(index)")
            }
            return checker.violation
        }
        #expect(run([1, 2], attemptsMax: nil) == nil)
        #expect(run([2, 1], attemptsMax: nil) != nil)
        #expect(run([1, 1], attemptsMax: 1) == nil)
        #expect(run([1, 2], attemptsMax: 1) != nil)
        #expect(run([1, 2], attemptsMax: 2) == nil)
    }

    @Test func `a collected task that is back is noticed`() {
        var checker = Checker()
        checker.granted(task, token(1), to: "n1", at: 0)
        checker.collected(task, by: "n1")
        checker.wrote(task, by: "n2", at: 1)
        #expect(checker.violation == nil)
        var restored = checker
        restored.forgets("n1")
        restored.wrote(task, by: "n1", at: 2)
        #expect(restored.violation == nil)
        var other = checker
        other.created(container(1), on: "n1", at: 2)
        #expect(other.violation != nil)
        checker.wrote(task, by: "n1", at: 2)
        #expect(checker.violation != nil)
    }

    @Test func `an end that changes is noticed`() {
        var checker = Checker()
        checker.started(container(1), on: "n1", at: 0)
        checker.ended(container(1), exit: ExitStatus(code: 0), on: "n1")
        checker.saw(status(.complete), wasCancelWished: true, by: "n1", at: 1)
        checker.saw(status(.complete), wasCancelWished: true, by: "n2", at: 2)
        #expect(checker.violation == nil)
        checker.saw(status(.canceled), wasCancelWished: true, by: "n3", at: 3)
        #expect(checker.violation != nil)
    }

    struct Lie: Sendable, CustomTestStringConvertible {
        var state: TaskState
        var restart: RestartPolicy = .onNodeLoss
        var wasCancelWished = false
        var isLie: Bool
        var testDescription: String { "\(state) \(restart) \(wasCancelWished)" }
    }

    @Test(arguments: [
        Lie(state: .complete, isLie: true),
        Lie(state: .canceled, isLie: true),
        Lie(state: .canceled, wasCancelWished: true, isLie: false),
        Lie(state: .lost, isLie: true),
        Lie(state: .lost, restart: .never, isLie: false),
        Lie(state: .failed, isLie: false),
        Lie(state: .running, isLie: false),
    ])
    func `an end that is not true is noticed`(row: Lie) {
        var checker = Checker()
        checker.saw(
            status(row.state, restart: row.restart), wasCancelWished: row.wasCancelWished,
            by: "n1", at: 0)
        #expect((checker.violation != nil) == row.isLie)
    }

    @Test func `only the first violation is kept`() {
        var checker = Checker()
        checker.fail("first", at: 1_500_000)
        checker.fail("second", at: 2)
        #expect(checker.violation?.description == "first (at 0.001500 s)")
    }
}
