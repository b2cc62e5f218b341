import Foundation
import Testing

@testable import Daemon
@testable import Runner

@Suite struct DoctorTests {
    private var healthy: Doctor.Machine {
        Doctor.Machine(
            programs: ["crun", "conmon", "magpie-launch", "magpie-guard"],
            hasSeccompProfile: true, cgroups: .v2, controllers: ["memory", "pids", "cpu"],
            countsSwap: true)
    }

    private func bad(_ machine: Doctor.Machine) -> [String] {
        Doctor.examine(machine).filter { $0.level != .ok }.map { "\($0.level) \($0.subject)" }
    }

    @Test func `a machine that has all is well, and its cgroup mode is named`() {
        #expect(bad(healthy).isEmpty)
        let groups = Doctor.examine(healthy).first { $0.subject == "cgroups" }
        #expect(groups?.message == "v2")
    }

    @Test func `what is missing is named`() {
        var machine = healthy
        machine.programs = ["runc", "magpie-launch"]
        #expect(bad(machine) == ["error conmon", "error magpie-guard"])
        machine = healthy
        machine.programs.remove("crun")
        machine.hasSeccompProfile = false
        #expect(bad(machine) == ["error runtime", "error seccomp"])
    }

    @Test func `what is not enforced is told from what forbids tasks`() {
        var machine = healthy
        machine.controllers = ["memory"]
        machine.countsSwap = false
        #expect(bad(machine) == ["error pids limits", "warning cpu limits", "warning swap limits"])
        machine.cgroups = .none
        #expect(bad(machine).contains("error cgroups"))
    }

    @Test func `an ordinary user is told what is lost, and what to install`() {
        var machine = healthy
        machine.cgroups = .none
        machine.ordinaryUser = Doctor.UserRights(userCount: 65_537)
        let lost = ["warning limits", "warning disk limits", "warning --userns"]
        #expect(bad(machine) == lost)
        machine.ordinaryUser?.remedy = "apt-get install uidmap"
        machine.ordinaryUser?.mustLinger = "maria"
        #expect(bad(machine) == ["warning users", "warning logging out"] + lost)
        let said = Doctor.examine(machine).map(\.message).joined(separator: "\n")
        #expect(said.contains("apt-get install uidmap"))
        #expect(said.contains("loginctl enable-linger maria"))
        machine.ordinaryUser?.obstacle = "user namespaces are switched off"
        #expect(bad(machine).first == "error rights")
    }

    @Test func `the report is text or json`() throws {
        let findings = Doctor.examine(healthy)
        let data = Data(try DoctorCommand.report(findings, as: .json).utf8)
        #expect(try JSONDecoder().decode([Doctor.Finding].self, from: data) == findings)
        let text = try DoctorCommand.report(findings, as: .text)
        #expect(text.split(separator: "\n").count == findings.count)
        #expect(text.contains("ok      cgroups"))
    }
}
