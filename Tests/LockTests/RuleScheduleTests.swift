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
}
