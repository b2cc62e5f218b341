import Foundation
@testable import Simulate
import SimulationHarness
import Testing

/// Study files: what is taken, and what is refused with which words.
@Suite struct StudyFileTests {
    static let example = """
        title: How steep?
        question: What does a steeper slope buy?
        parameters:
          nodes: 5
          sizes: [1, 2]
        sweeps:
          slope: [5ms, 20ms]
          load: [0.5, 0.9]
        policies:
          - proportional: proportional(slope=$slope)
          - none
        seeds: {first: 7, count: 3}
        measures: [jain, wait_p99]
        plots:
          - {plot: lines, x: slope, y: jain, at: {load: 0.9}}
          - {plot: lines, x: slope / mean, y: wait_p99, series: load, y-scale: log}
          - {plot: distribution, of: slowdown, series: slope, at: {policy: proportional}}
          - {plot: timeline, from: 5, at: {slope: 5ms, load: 0.9, policy: none}}

        """

    private func read(_ text: String) throws -> StudyPlan {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-\(UUID().uuidString).yaml")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        do { return try StudyFile(path: file.path).plan() } catch var error as StudyFileError {
            error.file = "study.yaml"
            throw error
        }
    }

    @Test func `a file becomes a plan`() throws {
        let plan = try read(StudyFileTests.example)
        #expect(plan.runCount == 24)
        #expect(plan.measures == [.jain, .waitP99])
        let trials = try plan.trials()
        #expect(trials.count == 24)
        #expect(Set(trials.map(\.study.seed)) == [7, 8, 9])
        // One of the policies does not care for the slope: its runs are the same for both.
        #expect(Set(trials.map { $0.key(behaviour: 1) }).count == 18)
        #expect(trials.allSatisfy { $0.study.nodeCount == 5 && $0.study.sizes == [1, 2] })
        #expect(
            Set(trials.map(\.study.policy.text)) == [
                "proportional(slope=5ms)", "proportional(slope=20ms)", "none",
            ])
        // What is neither on an axis nor a colour makes drawings of its own.
        #expect(plan.figures.map { $0.facets(of: plan).count } == [1, 2, 2, 1])
        #expect(plan.figures[1].isLogarithmicY && !plan.figures[1].isLogarithmicX)
    }

    @Test func `keys tell behaviours, parameters and seeds apart`() throws {
        let trials = try read(StudyFileTests.example).trials()
        #expect(trials[0].key(behaviour: 1) != trials[0].key(behaviour: 2))
        var same = trials[0]
        same.cell = 99
        #expect(same.key(behaviour: 1) == trials[0].key(behaviour: 1))
    }

    @Test func `one value can take the place of all that are swept`() throws {
        var plan = try read(StudyFileTests.example)
        try plan.replace("load", by: "0.3")
        try plan.replace("tasks", by: "40")
        #expect(plan.runCount == 12)
        #expect(try plan.trials().allSatisfy { $0.study.load == 0.3 && $0.study.taskCount == 40 })
        #expect(plan.figures[0].facets(of: plan).count == 1)
        #expect(throws: StudyError.self) { try plan.replace("slope", by: "steep") }
        #expect(throws: StudyError.self) { try plan.replace("seed", by: "1") }
        #expect(throws: StudyError.self) { try plan.replace("lod", by: "1") }
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        /// What the example is changed by.
        var line: String
        var into: String
        /// What the refusal says.
        var reason: String
        var testDescription: String { into }

        init(_ line: String, _ into: String, _ reason: String) {
            self.line = line
            self.into = into
            self.reason = reason
        }
    }

    @Test(arguments: [
        Refused("title: How steep?", "titel: x", "study.yaml:1: titel: there is no such key"),
        Refused("title: How steep?", "title:", "study.yaml:1: title: has no value"),
        Refused("title: How steep?", "title: [a]", "study.yaml:1: title: is to be a single"),
        Refused("title: How steep?", "title: a\ntitle: b", "title: stands there twice"),
        Refused("title: How steep?", "title: {", "is no YAML"),
        Refused("  nodes: 5", "  nodes: five", "study.yaml:4: parameters.nodes: parameter nodes"),
        Refused("  nodes: 5", "  nodes: 0", "study.yaml:4: parameters.nodes"),
        Refused("  nodes: 5", "  seed: 5", "is set by 'policies' and 'seeds'"),
        Refused("  nodes: 5", "  knots: 5", "study.yaml:4: parameters.knots: there is no such"),
        Refused("  nodes: 5", "  load: 0.5", "load stands in 'parameters', too"),
        Refused("  slope: [5ms, 20ms]", "  slope: 5ms", "study.yaml:7: sweeps.slope: is to be a"),
        Refused("  slope: [5ms, 20ms]", "  slope: []", "is to have 1 to 64 entries"),
        Refused("  slope: [5ms, 20ms]", "  slope: [5ms, 5ms]", "has a value twice"),
        Refused("  slope: [5ms, 20ms]", "  slope: [5ms, x]", "slope of proportional: 'x'"),
        Refused("  slope: [5ms, 20ms]", "  slop: [5ms]", "slop is no parameter, and no value uses"),
        Refused("  load: [0.5, 0.9]", "  load: [0.5, 9]", "study.yaml:8: sweeps.load[2]:"),
        Refused("  - none", "  - proportional", "'proportional' is there twice"),
        Refused("  - none", "  - nobody", "'nobody' is neither a policy"),
        Refused("seeds: {first: 7, count: 3}", "seeds: 0", "study.yaml:12: seeds: '0' is to be"),
        Refused("seeds: {first: 7, count: 3}", "seeds: 1001", "from 1 to 1000"),
        Refused("seeds: {first: 7, count: 3}", "seeds: {last: 3}", "seeds.last: there is no such"),
        Refused("measures: [jain, wait_p99]", "measures: [jane]", "there is no 'jane'; there are"),
        Refused("x: slope, y: jain", "x: slope", "study.yaml:15: plots[1]: needs x and y"),
        Refused("x: slope, y: jain", "x: nodes, y: jain", "plots[1].x: 'nodes' is not varied"),
        Refused("x: slope, y: jain", "z: slope, y: jain", "plots[1].z: there is no such key"),
        Refused("x: slope, y: jain", "x: slope, y: joy", "plots[1].y: there is no 'joy'"),
        Refused("{load: 0.9}}", "{load: 0.8}}", "plots[1].at.load: there is no '0.8'"),
        Refused("{load: 0.9}}", "{node: 1}}", "plots[1].at.node: there is no such key"),
        Refused("plot: timeline", "plot: gantt", "plots[4].plot: there is no 'gantt'"),
        Refused("of: slowdown", "of: hope", "plots[3].of: there is no 'hope'"),
        Refused("from: 5", "from: 5, to: 5", "'to' is to be later than 'from'"),
        Refused("y-scale: log", "y-scale: root", "there is no 'root'; there are linear, log"),
    ])
    func `what can't be is refused with its line and what is allowed`(row: Refused) throws {
        let parts = StudyFileTests.example.components(separatedBy: row.line)
        try #require(parts.count == 2)
        let error = #expect(throws: StudyFileError.self) {
            try read(parts.joined(separator: row.into))
        }
        let text = error?.description ?? ""
        #expect(text.contains(row.reason), "\(text)")
        #expect(text.hasPrefix("study.yaml:"), "\(text)")
    }

    @Test func `a study has 20,000 runs and not one more`() throws {
        let many = { (count: Int) in
            "title: a\nquestion: b\npolicies: [none]\nseeds: 1000\nsweeps:\n  load: ["
                + (1...count).map { "0.\($0 + 100)" }.joined(separator: ", ") + "]\n"
        }
        #expect(try read(many(20)).runCount == StudyPlan.runsMax)
        let error = #expect(throws: StudyFileError.self) { try read(many(21)) }
        #expect(error?.description.contains("makes more than 20000 runs") == true)
    }

    @Test func `a file has a megabyte and not one byte more`() throws {
        let text = "title: a\nquestion: b\npolicies: [none]\n#"
        let rest = StudyFile.sizeBytesMax - text.utf8.count
        _ = try read(text + String(repeating: " ", count: rest))
        let error = #expect(throws: StudyFileError.self) {
            try read(text + String(repeating: " ", count: rest + 1))
        }
        #expect(error?.description.contains("are allowed") == true)
    }
}
