import Foundation
import SimulationHarness
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// Reports: numbers, page and plots of a small study from end to end.
@Suite struct StudyReportTests {
    /// Names that would be markup, if they were not taken for text.
    static let plan: StudyPlan = {
        var plan = StudyPlan(
            title: "Bold <b> & \"quoted\"", question: "First.\nSecond.",
            policies: [
                StudyPlan.Setting(name: "a<b", value: "proportional(slope=$slope)"),
                StudyPlan.Setting(name: "none", value: "none"),
            ], measures: [.jain, .waitMean, .waitP99, .slowdownMean, .claimsWasted],
            command: "simulate study x.yaml")
        plan.parameters = [
            StudyPlan.Setting(name: "nodes", value: "4"),
            StudyPlan.Setting(name: "tasks", value: "60"),
        ]
        plan.sweeps = [StudyPlan.Sweep(name: "slope", values: ["5ms", "40ms"])]
        plan.baseline = "none"
        plan.seedCount = 2
        let policy = StudyPlan.policyName
        var ratio = StudyFigure(.lines(x: .init(name: "slope"), y: .waitMean), series: policy)
        ratio.isRelative = true
        var logarithmic = StudyFigure(
            .lines(x: .init(name: "slope", divisor: "mean"), y: .waitP99), series: policy)
        logarithmic.isLogarithmicX = true
        logarithmic.isLogarithmicY = true
        var timeline = StudyFigure(.timeline(from: 0, to: 60), series: nil)
        timeline.only = [
            StudyPlan.Sweep(name: policy, values: ["none"]),
            StudyPlan.Sweep(name: "slope", values: ["5ms"]),
        ]
        plan.figures = [
            StudyFigure(.lines(x: .init(name: "slope"), y: .jain), series: policy), ratio,
            logarithmic, StudyFigure(.dots(rows: policy, .jain), series: "slope"),
            StudyFigure(.distribution(.slowdown), series: policy),
            StudyFigure(.imbalance, series: policy), StudyFigure(.nodes, series: "slope"),
            timeline,
        ]
        return plan
    }()

    static let report: StudyReport = {
        let trials = (try? plan.trials()) ?? []
        let records = trials.compactMap { trial in
            (try? trial.run(behaviour: 1, withSpans: trial.study.seed == 1).get()).map {
                (cell: trial.cell, record: $0)
            }
        }
        return StudyReport(StudyOutcome(plan: plan, behaviour: 1, records: records))
    }()

    @Test func `the CSV has one line per run and as many fields as names`() {
        let lines = StudyReportTests.report.csv.split(separator: "\n")
        #expect(lines.count == 9)
        #expect(Set(lines.map { $0.count { $0 == "," } }).count == 1)
        #expect(lines[0].hasPrefix("slope,policy,seed,jain,"))
        #expect(lines[1].hasPrefix("5ms,a<b,1,"))
        #expect(lines[8].hasPrefix("40ms,none,2,"))
    }

    @Test func `the page holds its plots and needs nothing else`() {
        let page = StudyReportTests.report.html
        let drawings = StudyReportTests.report.figures.reduce(0) { $0 + $1.drawings.count }
        #expect(drawings == 11)
        #expect(page.components(separatedBy: "<svg").count == drawings + 1)
        for word in ["http", "<script", "@import", "url(", "<b>", "a<b", "nan", "inf\""] {
            #expect(!page.contains(word), "\(word)")
        }
        for word in [
            "Wait, p99", "The same over none", "prefers-color-scheme: dark", "@media print",
            "simulate study x.yaml", "Bold &lt;b&gt; &amp; &quot;quoted&quot;",
        ] {
            #expect(page.contains(word), "\(word)")
        }
    }

    @Test func `a plot in a file of its own is whole`() throws {
        let plots = StudyReportTests.report.plots
        #expect(plots.map(\.name).contains("5-1-distribution-of-the-slowdown"))
        #expect(Set(plots.map(\.name)).count == 11)
        for plot in plots {
            #expect(XMLParser(data: Data(plot.content.utf8)).parse(), "\(plot.name)")
            #expect(plot.content.contains("prefers-color-scheme: dark"))
        }
    }

    @Test func `intervals are those of the seeds, and ratios those of pairs of runs`() throws {
        let outcome = StudyReportTests.report.outcome
        let cell = outcome.cells[0]
        let samples = cell.records.compactMap { $0.measures["wait_mean"] }
        let estimate = try #require(outcome.estimate(of: .waitMean, in: cell))
        let wanted = Estimate(samples: samples, confidence: 0.95)
        #expect(abs(estimate.mean - wanted.mean) < 1e-9)
        #expect(abs(estimate.halfWidth - wanted.halfWidth) < 1e-6 * wanted.halfWidth)
        // The baseline is 1 over itself, exactly.
        let same = try #require(outcome.ratio(of: .waitMean, in: outcome.cells[1]))
        #expect(same.mean == 1 && same.halfWidth == 0)
        let others = outcome.cells[1].records.compactMap { $0.measures["wait_mean"] }
        let ratio = try #require(outcome.ratio(of: .waitMean, in: cell))
        #expect(abs(ratio.mean - (samples[0] / others[0] + samples[1] / others[1]) / 2) < 1e-9)
    }

    @Test func `the summary has all cells with all that was measured`() throws {
        let data = try JSONEncoder().encode(StudyReportTests.report.summary)
        let summary = try JSONDecoder().decode(StudyReport.Summary.self, from: data)
        #expect(summary.cells.count == 4)
        #expect(summary.cells.allSatisfy { $0.seeds == [1, 2] })
        let jain = try #require(summary.cells[0].measures["jain"])
        #expect(jain.samples == 2 && jain.low ?? 2 <= jain.mean && jain.mean <= jain.high ?? -2)
        #expect(summary.cells[0].ratios?["jain"] != nil)
    }

    @Test func `a terminal gets the numbers in columns`() {
        let text = StudyReportTests.report.text
        #expect(text.contains("slope 5ms") && text.contains("slope 40ms"))
        #expect(text.split(separator: "\n").count { $0.hasPrefix("Jain's index") } == 2)
    }
}
