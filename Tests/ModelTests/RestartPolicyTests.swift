import Model
import Testing

/// When a task is run again: each policy on each end.
@Suite struct RestartPolicyTests {
    /// Whether another attempt follows (success, failure, loss), after `failures` earlier ones.
    private struct Row {
        var policy: RestartPolicy
        var failures: UInt32
        var success: Bool
        var failure: Bool
        var loss: Bool
    }

    @Test func `each policy on each end`() {
        let rows = [
            Row(policy: .never, failures: 0, success: false, failure: false, loss: false),
            Row(policy: .onNodeLoss, failures: 0, success: false, failure: false, loss: true),
            Row(policy: .always, failures: 9, success: true, failure: true, loss: true),
            Row(
                policy: .onFailure(restartsMax: nil), failures: .max, success: false,
                failure: true, loss: true),
            Row(
                policy: .onFailure(restartsMax: 2), failures: 1, success: false, failure: true,
                loss: true),
            Row(
                policy: .onFailure(restartsMax: 2), failures: 2, success: false, failure: false,
                loss: true),
        ]
        for row in rows {
            #expect(row.policy.allows(.success, failures: row.failures) == row.success)
            #expect(row.policy.allows(.failure, failures: row.failures) == row.failure)
            #expect(row.policy.allows(.loss, failures: row.failures) == row.loss)
        }
    }

    @Test(arguments: [AttemptEnd.success, .failure, .loss])
    func `the last attempt is not followed by another`(end: AttemptEnd) {
        var spec = TaskSpec(command: ["x"])
        spec.restart = .always
        spec.attemptsMax = 3
        #expect(spec.runsAgain(after: end, AttemptCount(used: 2, failures: 0)))
        #expect(!spec.runsAgain(after: end, AttemptCount(used: 3, failures: 0)))
    }

    @Test func `what never ran does not count, and counts do not overflow`() {
        let count = AttemptCount(used: 2, failures: 1)
        #expect(count.next(after: nil) == count)
        #expect(count.next(after: .loss) == AttemptCount(used: 3, failures: 1))
        #expect(count.next(after: .success) == AttemptCount(used: 3, failures: 1))
        #expect(count.next(after: .failure) == AttemptCount(used: 3, failures: 2))
        let most = AttemptCount(used: .max, failures: .max)
        #expect(most.next(after: .failure) == most)
    }

    @Test(arguments: [
        RestartPolicy.never, .onNodeLoss, .always, .onFailure(restartsMax: nil),
        .onFailure(restartsMax: 1), .onFailure(restartsMax: .max),
    ])
    func `a policy is read as it was written`(policy: RestartPolicy) throws {
        #expect(try RestartPolicy(decoding: policy.encoded) == policy)
    }
}
