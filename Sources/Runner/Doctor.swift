import Glibc

/// Tells whether a machine can run tasks, and what of their limits it will not enforce.
package enum Doctor {
    /// How grave a finding is.
    package enum Level: String, Codable, Sendable {
        /// As it should be.
        case ok
        /// Tasks run, but something is not enforced or not available.
        case warning
        /// No task can run.
        case error
    }

    /// One thing that was looked at.
    package struct Finding: Codable, Equatable, Sendable {
        /// What was looked at, in a word or two.
        package var subject: String
        /// How grave it is.
        package var level: Level
        /// What was found, and what to do about it.
        package var message: String
    }

    /// What is looked at.
    package struct Machine: Sendable {
        /// Who looks at it; `nil` for root.
        package var ordinaryUser: UserRights?
        /// The names of programs that were found.
        package var programs: Set<String>
        /// Whether the seccomp profile is there.
        package var hasSeccompProfile: Bool
        /// How control groups are mounted.
        package var cgroups: CgroupMode
        /// The controllers that can be used.
        package var controllers: Set<String>
        /// Whether swap is counted.
        package var countsSwap: Bool
    }

    /// How control groups are mounted.
    package enum CgroupMode: String, Codable, Sendable {
        /// The unified hierarchy alone.
        case v2
        /// Version 1 alone.
        case v1
        /// Version 1, with version 2 beside it.
        case hybrid
        /// Not at all.
        case none
    }

    /// Looks at the machine that this runs on.
    ///
    /// What an ordinary user may do is tried out where a node's data are to be.
    package static func machine(for directory: String) -> Machine {
        let root = "/sys/fs/cgroup"
        let groups = Cgroups()
        let unified = Files.text("\(root)/cgroup.controllers")
        let names = unified.map { $0.split(separator: " ").map(String.init) }
        let hierarchies = Files.names(in: root).filter { Files.isDirectory("\(root)/\($0)") }
        let mode: CgroupMode =
            groups.isUnified
            ? .v2 : hierarchies.contains("unified") ? .hybrid : hierarchies.isEmpty ? .none : .v1
        var programs: Set<String> = []
        for name in ["crun", "runc", "conmon", "catatonit"]
        where (try? Programs.find(name, package: name)) != nil { programs.insert(name) }
        for name in ["magpie-launch", "magpie-guard"]
        where (try? Programs.own(name)) != nil { programs.insert(name) }
        return Machine(
            ordinaryUser: ordinaryUser(directory), programs: programs,
            hasSeccompProfile: Files.exists(RunnerConfiguration.seccompProfileUsual),
            cgroups: mode, controllers: Set(names ?? hierarchies), countsSwap: groups.countsSwap)
    }

    /// What is to be said about a machine; an error means that no task can run there.
    package static func examine(_ machine: Machine) -> [Finding] {
        rights(machine) + [runtime(machine)]
            + [
                program("conmon", "watches containers", "apt-get install conmon", machine),
                program("magpie-launch", "starts the monitor", "build it with the daemon", machine),
                program(
                    "magpie-guard", "ends what has no lease", "build it with the daemon", machine),
            ] + [profile(machine)]
            + (machine.ordinaryUser == nil ? limits(machine) : limitsOfOrdinaryUsers)
    }

    private static func rights(_ machine: Machine) -> [Finding] {
        machine.ordinaryUser.map { examine($0) }
            ?? [Finding(subject: "rights", level: .ok, message: "root")]
    }

    private static func limits(_ machine: Machine) -> [Finding] {
        [mode(machine)] + ["memory", "pids", "cpu"].map { controller($0, machine) }
            + [swap(machine)]
    }

    private static func runtime(_ machine: Machine) -> Finding {
        for name in ["crun", "runc"] where machine.programs.contains(name) {
            return Finding(subject: "runtime", level: .ok, message: name)
        }
        return Finding(
            subject: "runtime", level: .error,
            message: "neither crun nor runc is there; apt-get install crun")
    }

    private static func program(
        _ name: String, _ use: String, _ remedy: String, _ machine: Machine
    ) -> Finding {
        machine.programs.contains(name)
            ? Finding(subject: name, level: .ok, message: use)
            : Finding(subject: name, level: .error, message: "missing (\(use)); \(remedy)")
    }

    private static func profile(_ machine: Machine) -> Finding {
        machine.hasSeccompProfile
            ? Finding(subject: "seccomp", level: .ok, message: "the profile is there")
            : Finding(
                subject: "seccomp", level: .error,
                message: "the profile is missing; apt-get install golang-github-containers-common")
    }

    private static func mode(_ machine: Machine) -> Finding {
        let mode = machine.cgroups
        guard mode != .none else {
            return Finding(
                subject: "cgroups", level: .error,
                message: "none are mounted; no limit can be enforced, and no task is run")
        }
        return Finding(subject: "cgroups", level: .ok, message: mode.rawValue)
    }

    /// Memory and processes are read back, and a task whose limits don't hold is refused.
    private static func controller(_ name: String, _ machine: Machine) -> Finding {
        if machine.controllers.contains(name) {
            return Finding(subject: "\(name) limits", level: .ok, message: "enforced")
        }
        return name == "cpu"
            ? Finding(
                subject: "cpu limits", level: .warning,
                message: "will not be enforced: there is no cpu controller")
            : Finding(
                subject: "\(name) limits", level: .error,
                message:
                    "there is no \(name) controller, and tasks without such a limit are refused")
    }

    private static func swap(_ machine: Machine) -> Finding {
        machine.countsSwap
            ? Finding(subject: "swap limits", level: .ok, message: "enforced")
            : Finding(
                subject: "swap limits", level: .warning,
                message: "swap does not count towards a task's memory (boot with swapaccount=1)")
    }
}
