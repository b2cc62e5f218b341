import Cluster
import Model
import SimulationHarness
import Testing

/// A small study from end to end.
@Suite struct StudyTests {
    static let report: FairnessReport = {
        let study = FairnessStudy(seed: 3, nodeCount: 4, taskCount: 60, load: 0.6)
        let policies: [(String, StealPolicy)] = [
            ("proportional", .proportional(.standard)), ("none", StealPolicy.none),
        ]
        return FairnessReport(
            study: study,
            results: policies.map { World.study(study, policy: $0.1, name: $0.0) })
    }()

    @Test func `every task is run, and once`() {
        for result in StudyTests.report.results {
            #expect(result.violation == nil)
            #expect(result.waits.count == 54)  // the warm-up's tenth is not counted
            #expect(result.waits.allSatisfy { $0 > 0 })
            #expect(result.slowdowns.allSatisfy { $0 >= 1 })
            #expect(result.claimsPerTask >= 1)
        }
    }

    @Test func `busy time is what the tasks needed`() {
        for result in StudyTests.report.results {
            #expect(result.busyShares.count == 4)
            #expect(result.busyShares.allSatisfy { (0...1).contains($0) })
            #expect((0.25...1).contains(result.jain))
        }
    }

    @Test func `the CSV has one line per policy and as many fields as names`() {
        let lines = StudyTests.report.csv.split(separator: "\n")
        #expect(lines.count == 3)
        let fields = lines.map { $0.split(separator: ",").count }
        #expect(Set(fields).count == 1)
        #expect(lines[1].hasPrefix("proportional,4,60,0.600,3,"))
    }

    @Test func `the page holds its plots and needs nothing else`() {
        let page = StudyTests.report.html
        #expect(page.components(separatedBy: "<svg").count == 5)
        #expect(!page.contains("http"))
        for word in ["wait in ms", "p95", "@media print", StudyTests.report.command] {
            #expect(page.contains(word))
        }
        #expect(!page.contains("nan") && !page.contains("inf\""))
    }

    @Test func `the machines are as busy as the load says`() {
        let study = FairnessStudy(seed: 5, nodeCount: 6, taskCount: 600, load: 0.6)
        let result = World.study(study, policy: .proportional(.standard), name: "")
        let mean = Statistics.mean(result.busyShares)
        #expect(abs(mean - 0.6) < 0.1, "busy to \(mean)")
    }

    @Test func `the same seed gives the same numbers`() {
        let study = StudyTests.report.study
        let again = World.study(study, policy: .proportional(.standard), name: "proportional")
        #expect(again.waits == StudyTests.report.results[0].waits)
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
