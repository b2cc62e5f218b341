import Model
import Testing

@testable import Lock

/// Every rule of the lock has a schedule that breaks without it; `Docs/Safety.md` lists them.
@Suite struct RuleScheduleTests {
    @Test(arguments: LockMutation.allCases)
    func `a rule holds in its schedule, and the schedule notices when it is broken`(
        rule: LockMutation
    ) {
        #expect(RuleSchedules(rule: rule, isBroken: false).play() == [])
        let problems = RuleSchedules(rule: rule, isBroken: true).play()
        #expect(!problems.isEmpty, "without the rule against \(rule) nothing goes wrong")
    }

    @Test(arguments: RuleSchedules.Copy.allCases)
    func `whatever a copy asks for, a holder that is cut off keeps what it runs`(
        copy: RuleSchedules.Copy
    ) {
        #expect(RuleSchedules(rule: .freesForCopies, isBroken: false).copy(copy) == [])
        #expect(RuleSchedules(rule: .freesForCopies, isBroken: true).copy(copy) != [])
    }

    @Test func `two machines of one golden image never run a task at the same time`() {
        #expect(RuleSchedules(rule: .freesAtOpening, isBroken: false).goldenImage() == [])
        #expect(RuleSchedules(rule: .freesAtOpening, isBroken: true).goldenImage() != [])
    }
}
