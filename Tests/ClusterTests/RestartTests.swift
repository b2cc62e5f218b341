import Model
import Testing

@testable import Cluster

/// Policies on one node: what is run again, when, and what is shown of it.
@Suite struct RestartTests {
    private static let task = TaskID(Wide128(high: 0x0190_0000_0000_7000, low: 1 << 63 | 5))

    private func spec(_ restart: RestartPolicy, attemptsMax: UInt32? = nil) -> TaskSpec {
        var spec = TaskSpec(command: ["true"])
        spec.restart = restart
        spec.attemptsMax = attemptsMax
        return spec
    }

    /// Runs attempts that end so, one after the other, for as long as others follow.
    private func run(
        _ spec: TaskSpec, ending ends: [ContainerEvent], in rig: inout NodeRig
    ) throws -> Int {
        _ = rig.submit(spec, id: RestartTests.task)
        var count = 0
        for end in ends {
            rig.run(for: .seconds(61))
            guard let id = rig.creates(of: RestartTests.task).dropFirst(count).first else { break }
            count += 1
            rig.step(.container(id, .created))
            rig.step(.container(id, .started))
            rig.step(.container(id, end))
        }
        rig.run(for: .seconds(61))
        return rig.creates(of: RestartTests.task).count
    }

    private static let failure = ContainerEvent.exited(ExitStatus(code: 3))
    private static let success = ContainerEvent.exited(ExitStatus(code: 0))
    private static let loss = ContainerEvent.vanished("gone")

    @Test func `on-failure runs again so many times, and then the task has failed`() throws {
        var rig = try NodeRig()
        let ends = Array(repeating: RestartTests.failure, count: 5)
        #expect(try run(spec(.onFailure(restartsMax: 2)), ending: ends, in: &rig) == 3)
        let status = try #require(rig.node.task(RestartTests.task))
        #expect(status.state == .failed)
        #expect(status.attempt == 3)
        #expect(status.exit?.code == 3)
        #expect(status.attempts.map(\.number) == [1, 2, 3])
        #expect(status.attempts.allSatisfy { $0.phase == .failed && $0.exit?.code == 3 })
        #expect(status.attempts.allSatisfy { $0.claimed != nil && $0.ended != nil })
    }

    @Test func `on-failure does not count losses among its restarts`() throws {
        var rig = try NodeRig()
        let ends = [
            RestartTests.loss, RestartTests.failure, RestartTests.loss, RestartTests.failure,
            RestartTests.failure,
        ]
        #expect(try run(spec(.onFailure(restartsMax: 1)), ending: ends, in: &rig) == 4)
        #expect(rig.node.task(RestartTests.task)?.state == .failed)
    }

    @Test func `always runs again after success, until it is canceled`() throws {
        var rig = try NodeRig()
        let ends = Array(repeating: RestartTests.success, count: 4)
        #expect(try run(spec(.always), ending: ends, in: &rig) == 5)
        _ = rig.ask(.cancel(RestartTests.task))
        let last = try #require(rig.creates(of: RestartTests.task).last)
        rig.step(.container(last, .failed(ContainerFailure(code: 125, message: "killed"))))
        rig.run(for: .seconds(2))
        #expect(rig.node.task(RestartTests.task)?.state == .canceled)
        rig.run(for: .seconds(120))
        #expect(rig.creates(of: RestartTests.task).count == 5)
    }

    @Test(arguments: [
        (RestartTests.success, TaskState.complete), (RestartTests.failure, .failed),
        (RestartTests.loss, .lost),
    ])
    func `the attempts are over when their number is`(end: ContainerEvent, state: TaskState) throws
    {
        var rig = try NodeRig()
        let ends = Array(repeating: end, count: 4)
        #expect(try run(spec(.always, attemptsMax: 2), ending: ends, in: &rig) == 2)
        #expect(rig.node.task(RestartTests.task)?.state == state)
        #expect(rig.node.task(RestartTests.task)?.isUnconfirmed == false)
    }

    @Test func `a time-out is a failure`() throws {
        var rig = try NodeRig()
        var wanted = spec(.onFailure(restartsMax: 1))
        wanted.timeout = .seconds(2)
        _ = rig.submit(wanted, id: RestartTests.task)
        for number in 1...2 {
            rig.run(for: .seconds(5))
            let id = try #require(rig.creates(of: RestartTests.task).last)
            #expect(rig.creates(of: RestartTests.task).count == number)
            rig.step(.container(id, .created))
            rig.step(.container(id, .started))
            rig.run(for: .seconds(3))
            #expect(rig.wasTold(id, .stop(nil)))
            rig.step(.container(id, .exited(ExitStatus(code: 143))))
        }
        rig.run(for: .seconds(5))
        let status = try #require(rig.node.task(RestartTests.task))
        #expect(status.state == .failed)
        #expect(status.reason.contains("run time"))
    }

    @Test(arguments: [true, false])
    func `rests grow with quick failures, up to their bound`(isMade: Bool) throws {
        var rig = try NodeRig()
        _ = rig.submit(spec(.onFailure(restartsMax: nil)), id: RestartTests.task)
        var rests: [Int64] = []
        for number in 1...9 {
            let id = try #require(rig.creates(of: RestartTests.task).last)
            if isMade {
                rig.step(.container(id, .created))
                rig.step(.container(id, .started))
                rig.step(.container(id, RestartTests.failure))
            } else {
                rig.step(.container(id, .vanished("its image can't be had")))
            }
            let begin = rig.now
            for _ in 0..<700 where rig.creates(of: RestartTests.task).count == number {
                rig.run(for: .milliseconds(100))
            }
            rests.append((rig.now - begin).nanoseconds / 1_000_000_000)
        }
        #expect(rests == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    }

    @Test func `others know from the table how long a task rests`() throws {
        for (ends, rest) in [(1, 1), (2, 2), (3, 4)] {
            var rig = try NodeRig()
            _ = rig.submit(spec(.always), id: RestartTests.task)
            for _ in 0..<ends {
                rig.run(for: .seconds(61))
                let id = try #require(rig.creates(of: RestartTests.task).last)
                rig.step(.container(id, .created))
                rig.step(.container(id, .started))
                rig.step(.container(id, RestartTests.success))
            }
            let record = try #require(rig.node.table.record(RestartTests.task))
            #expect(Node.rest(before: record) == .seconds(rest))
        }
        var rig = try NodeRig()
        #expect(try run(spec(.never), ending: [RestartTests.failure], in: &rig) == 1)
        let record = try #require(rig.node.table.record(RestartTests.task))
        #expect(Node.rest(before: record) == .zero)
    }

    /// The record of a task that has ended seven times in a row, the last end not closed yet.
    private func record(_ restart: RestartPolicy) throws -> TaskRecord {
        var bench = TableBench(seed: 1, count: 1)
        bench.step(
            0,
            .submit(
                spec(restart), id: RestartTests.task, wall: WallTime(milliseconds: 1),
                wantedCopies: 1))
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: 9), session: SessionID(3),
            node: TableBench.id(0), phase: .complete)
        row.count = AttemptCount(used: 7, failures: 0)
        row.exit = ExitStatus(code: 0)
        row.started = WallTime(milliseconds: 10)
        row.ended = WallTime(milliseconds: 20)
        bench.step(0, .writeAttempt(RestartTests.task, row))
        return try #require(bench.replicas[0].record(RestartTests.task))
    }

    @Test func `what only has to be closed rests for nobody`() throws {
        let again = try record(.always)
        #expect(again.state == .queued && Node.rest(before: again) == Node.restMax)
        let ended = try record(.onNodeLoss)
        #expect(ended.state == .complete && ended.outcome == nil)
        #expect(Node.rest(before: ended) == .zero)
    }

    @Test func `what never ran is no attempt`() throws {
        var rig = try NodeRig()
        _ = rig.submit(spec(.onNodeLoss, attemptsMax: 1), id: RestartTests.task)
        for _ in 0..<3 {
            let id = try #require(rig.creates(of: RestartTests.task).last)
            rig.step(.container(id, .vanished("no guard")))
            rig.run(for: .seconds(61))
        }
        #expect(rig.creates(of: RestartTests.task).count == 4)
        let id = try #require(rig.creates(of: RestartTests.task).last)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        rig.step(.container(id, RestartTests.success))
        rig.run(for: .seconds(1))
        #expect(rig.node.task(RestartTests.task)?.state == .complete)
        #expect(rig.node.task(RestartTests.task)?.attempt == 1)
    }
}
