import Foundation
import SystemPackage
import Testing

/// What an operator has to look at a machine, and to run a node under systemd.
@Suite struct OperatorTests {
    private static let analyzer = "/usr/bin/systemd-analyze"

    private func unit() throws -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return try String(
            contentsOf: folder.appendingPathComponent("Packaging/magpie.service"), encoding: .utf8)
    }

    @Test func `the unit leaves tasks alone when the daemon ends`() throws {
        let lines = try unit().split(separator: "\n")
        #expect(lines.contains("KillMode=process"))
        #expect(lines.contains("Delegate=yes"))
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: OperatorTests.analyzer),
            "the unit is verified where systemd is"))
    func `systemd finds no fault with the unit`() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-unit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // Here the daemon is where it was built.
        let here = try unit().replacing("/usr/bin/daemon", with: Program.path("daemon").string)
        let path = folder.appendingPathComponent("magpie.service")
        try Data(here.utf8).write(to: path)
        let result = try await Program.run(OperatorTests.analyzer, ["verify", path.path])
        #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
    }

    @Test func `the doctor's exit code follows from what it finds`() async throws {
        struct Finding: Decodable {
            let subject: String
            let level: String
        }
        let result = try await Program.run("daemon", ["doctor", "-o", "json"])
        let findings = try JSONDecoder().decode([Finding].self, from: Data(result.output.utf8))
        #expect(findings.contains { $0.subject == "cgroups" })
        #expect(result.code == (findings.contains { $0.level == "error" } ? 1 : 0))
        let text = try await Program.run("daemon", ["doctor"])
        #expect(text.code == result.code)
        #expect(text.output.split(separator: "\n").count == findings.count)
        if TestCluster.canRunContainers { #expect(result.code == 0, "\(text.output)") }
    }
}
