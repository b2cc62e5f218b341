import Foundation
import SimulationHarness

/// The files that a report consists of.
struct StudyFiles {
    /// Where they go.
    let folder: URL

    /// Writes them all; plots of earlier reports are taken away.
    func write(_ report: StudyReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        try write(try encoder.encode(report.summary), "results.json")
        try write(Data(report.csv.utf8), "results.csv")
        try write(Data(report.html.utf8), "report.html")
        let plots = folder.appendingPathComponent("plots")
        try FileManager.default.createDirectory(at: plots, withIntermediateDirectories: true)
        for old in try FileManager.default.contentsOfDirectory(atPath: plots.path)
        where old.first?.isNumber == true && old.hasSuffix(".svg") {
            try FileManager.default.removeItem(at: plots.appendingPathComponent(old))
        }
        for plot in report.plots {
            try write(Data(plot.content.utf8), "plots/\(plot.name).svg")
        }
    }

    private func write(_ data: Data, _ name: String) throws {
        try data.write(to: folder.appendingPathComponent(name), options: .atomic)
    }
}
