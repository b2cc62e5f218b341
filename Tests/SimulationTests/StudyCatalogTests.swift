import Foundation
import SimulationHarness
import Testing

@testable import Simulate

/// The study files of this repository.
enum StudyCatalog {
    static let files: [URL] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Simulations/Studies")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted().map(folder.appendingPathComponent)
    }()
}

/// Every study that is committed can be run and drawn.
@Suite struct StudyCatalogTests {
    @Test(arguments: StudyCatalog.files.map(\.lastPathComponent))
    func `a committed study can be run, here at small scale`(name: String) throws {
        let file = try #require(StudyCatalog.files.first { $0.lastPathComponent == name })
        var plan = try StudyFile(path: file.path).plan()
        for (parameter, value) in [("nodes", "6"), ("tasks", "30")] {
            try plan.replace(parameter, by: value)
        }
        plan.seedCount = 1
        // The first combination and the last, each with all policies.
        let trials = try plan.trials()
        let policies = plan.policies.count
        let chosen =
            trials.count > 2 * policies
            ? trials.prefix(policies) + trials.suffix(policies) : trials[...]
        let records = try chosen.map { trial in
            let record = try trial.run(behaviour: 0, withSpans: true).get()
            #expect(!record.measures.isEmpty)
            return (cell: trial.cell, record: record)
        }
        let report = StudyReport(StudyOutcome(plan: plan, behaviour: 0, records: records))
        #expect(report.csv.split(separator: "\n").count == records.count + 1)
        #expect(!report.figures.isEmpty)
        for figure in report.figures {
            #expect(!figure.plan.caption.isEmpty && !figure.drawings.isEmpty)
        }
        #expect(!report.html.contains("nan") && !report.html.contains("inf\""))
    }

    @Test func `there are studies`() {
        #expect(StudyCatalog.files.count >= 2)
    }
}
