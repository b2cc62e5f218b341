import ArgumentParser
import Foundation
import Runner

/// `daemon doctor`: whether this machine can run tasks, and what it will not enforce.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Show whether this machine can run tasks, and what it will not enforce.",
        discussion: "Exits with 0 when tasks can run here, else with 1.")

    /// The forms of the report.
    enum Form: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @Option(name: [.customShort("o"), .long], help: "text (default) or json.")
    var output = Form.text

    @Option(help: "Where the node is to keep its state (default: as for start).") var dataDir:
        String?

    func run() throws {
        let findings = Doctor.examine(Doctor.machine(for: DaemonOptions.dataDirectory(dataDir)))
        print(try DoctorCommand.report(findings, as: output))
        if findings.contains(where: { $0.level == .error }) { throw ExitCode(1) }
    }

    static func report(_ findings: [Doctor.Finding], as form: Form) throws -> String {
        switch form {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(findings), as: UTF8.self)
        case .text:
            let width = findings.map(\.subject.count).max() ?? 0
            return findings.map { finding in
                let level = finding.level.rawValue.padding(
                    toLength: 8, withPad: " ", startingAt: 0)
                let subject = finding.subject.padding(
                    toLength: width + 2, withPad: " ", startingAt: 0)
                return level + subject + finding.message
            }.joined(separator: "\n")
        }
    }
}
