import Cluster
import Model
import SimulationHarness
import Testing

/// A small study from end to end.
@Suite struct StudyTests {
    static let study = FairnessStudy(seed: 3, nodeCount: 4, taskCount: 60, load: 0.6)
    static let results = [StealPolicy.proportional(), .none].map { World.study(study, by: $0) }

    @Test func `every task is run, and once`() {
        for result in StudyTests.results {
            #expect(result.violation == nil)
            // The warm-up's tenth of the time is not counted.
            #expect(result.waits.count == World.countedTasks(of: StudyTests.study))
            #expect(result.waits.allSatisfy { $0 > 0 })
            #expect(result.slowdowns.allSatisfy { $0 >= 1 })
            #expect(result[.claims] >= 1)
        }
    }

    @Test func `busy time is what the tasks needed`() {
        for result in StudyTests.results {
            #expect(result.busyShares.count == 4)
            #expect(result.busyShares.allSatisfy { (0...1).contains($0) })
            #expect((0.25...1).contains(result[.jain]))
        }
    }

    @Test func `the machines are as busy as the load says`() {
        let study = FairnessStudy(seed: 5, nodeCount: 6, taskCount: 600, load: 0.6)
        let result = World.study(study, by: .proportional())
        let mean = Statistics.mean(result.busyShares)
        #expect(abs(mean - 0.6) < 0.1, "busy to \(mean)")
    }

    /// Every policy that a command line knows, with its usual numbers, through the whole core.
    @Test(arguments: StealPolicy.all.map(\.name))
    func `no policy loses a task or leaves one waiting`(name: String) throws {
        let policy = try #require(StealPolicy.named(name))
        let study = FairnessStudy(seed: 4, nodeCount: 3, taskCount: 30, load: 0.6)
        let result = World.study(study, by: policy)
        #expect(result.violation == nil)
        #expect(result.waits.count == World.countedTasks(of: study))
    }

    @Test func `bin packing fills few machines, spreading fills all alike`() {
        var study = FairnessStudy(seed: 6, nodeCount: 4, taskCount: 160, load: 0.3)
        study.coresPerNode = 8
        let packed = World.study(study, by: .binPacking())
        let spread = World.study(study, by: .spread())
        #expect(packed[.jain] < 0.8, "\(packed.busyShares)")
        #expect(spread[.jain] > 0.95, "\(spread.busyShares)")
    }

    @Test func `a crowd asks the lock little more than once for a task`() {
        let study = FairnessStudy(seed: 3, nodeCount: 24, taskCount: 200, load: 0.8)
        let result = World.study(study, by: .proportional())
        #expect((1...1.35).contains(result[.lockRequests]))
    }

    @Test func `in an idle cluster a claim takes as long as the lock needs`() {
        let study = FairnessStudy(seed: 2, nodeCount: 12, taskCount: 40, load: 0.02)
        let result = World.study(study, by: .proportional())
        // Of packets that take 0.35 ms, six: to the node, the lock, a voter and back.
        #expect(result[.claimDelayP50] < 0.003)
        #expect(result[.lockRequests] < 1.2)
    }

    @Test func `the same seed gives the same numbers`() {
        let study = StudyTests.study
        let again = World.study(study, by: .proportional())
        #expect(again.waits == StudyTests.results[0].waits)
    }
}

extension World {
    static func study(_ study: FairnessStudy, by policy: StealPolicy) -> FairnessResult {
        var own = study
        own.policy = Contender(policy)
        return World.study(own)
    }

    static func countedTasks(of study: FairnessStudy) -> Int {
        let workload = Workload(study)
        let warmUp = Double(workload.lastSubmission) * study.warmUpShare
        return workload.tasks.filter { Double($0.submitted) >= warmUp }.count
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
