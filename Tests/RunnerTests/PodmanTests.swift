import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// The one that is installed, or that `MAGPIE_TEST_PODMAN` names.
enum Podman {
    static let path: String? =
        ProcessInfo.processInfo.environment["MAGPIE_TEST_PODMAN"]
        ?? (try? Programs.find("podman", package: "podman"))
}

/// What our tasks see, beside what podman's see on the same machine.
@Suite(
    .serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"),
    .enabled(
        if: Podman.path != nil,
        "podman is not installed: isolation is checked, but compared with nobody's"))
struct PodmanTests {
    /// Lines that say who somebody is, and not what is open to him.
    private static let names = ["init: ", "processes: ", "mount ", "masked "]

    private func openings(_ text: String) -> Set<String> {
        let lines = text.split(separator: "\n").map(String.init)
        return Set(lines.filter { line in !Self.names.contains { line.hasPrefix($0) } })
    }

    /// Runs the same script in the same root file system under podman's defaults.
    private func underPodman(
        _ script: String, root: String, _ bench: RunnerBench
    ) throws -> String {
        let podman = try #require(Podman.path)
        // podman takes no longer path than 50 characters.
        let run = "/run/magpie-podman-\(getpid())"
        defer { Files.remove(run) }
        // Its own defaults are higher than what some machines let root set.
        var arguments: [String] = []
        if let hidden = bench.runner.cgroups.hidden { arguments += ["--hide", hidden] }
        arguments += [
            "--", podman, "--root", bench.folder + "/store", "--runroot", run + "/run",
            "--tmpdir", run + "/tmp", "--storage-driver", "vfs", "--runtime",
            bench.runner.configuration.runtime, "--cgroup-manager", "cgroupfs", "run", "--rm",
            "--network", "none", "--ulimit", "nofile=256:256", "--ulimit",
            "nproc=1024:1024", "-v", "/usr:/usr:ro", "--rootfs",
            root, "sh", "-c", script,
        ]
        let result = try Spawner.run(bench.runner.configuration.launcher, arguments)
        try #require(result.code == 0, "\(result.output)")
        return result.output
    }

    @Test func `a task has no more open to it than under podman`() async throws {
        try await RunnerBench.run { bench in
            let root = try bench.hostLikeRoot()
            for directory in ["mnt", "proc", "sys", "dev", "run", "root", "var/tmp"] {
                try Files.makeDirectory("\(root)/\(directory)", mode: 0o755)
            }
            var spec = TaskSpec(command: ["sh", "-c", IsolationTests.look])
            spec.rootfs = .directory(root)
            spec.volumes = [VolumeMount(source: "/usr", target: "/usr", isReadOnly: true)]
            let ours = openings(try await bench.output(spec))
            let theirs = openings(try underPodman(IsolationTests.look, root: root, bench))
            print("ours alone: \(ours.subtracting(theirs).sorted())")
            print("podman's alone: \(theirs.subtracting(ours).sorted())")
            // Where we differ, we are the stricter ones.
            let stricter: Set = ["NoNewPrivs: 1", "keyctl: refused"]
            #expect(ours.subtracting(theirs).subtracting(stricter) == [])
        }
    }
}
