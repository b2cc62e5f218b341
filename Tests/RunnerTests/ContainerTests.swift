import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Real containers; needs root, and says so where it is skipped.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct ContainerTests {
    @Test func `a program's output and exit code come back`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            let end = try await bench.finish(
                id, TaskSpec(command: ["sh", "-c", "echo out; echo err >&2; exit 3"]))
            #expect(end == .exited(ExitStatus(code: 3)))
            let entries = await bench.log(id)
            #expect(entries.filter { $0.stream == .stdout }.map(\.text) == ["out\n"])
            #expect(entries.filter { $0.stream == .stderr }.map(\.text) == ["err\n"])
        }
    }

    @Test func `what can't be run is told apart`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            guard
                case .failed(let missing) = try await bench.finish(
                    id, TaskSpec(command: ["no-such-program"]))
            else {
                Issue.record("a missing program must fail")
                return
            }
            #expect(missing.code == 127)
            // Its output is empty, not absent: whoever follows it learns of the end.
            let log = await bench.runner.readLog(id, from: .at(.beginning), waitAtMost: .zero)
            #expect(log?.isEnd == true)
            guard
                case .failed(let directory) = try await bench.finish(
                    bench.newID(), TaskSpec(command: ["/etc/passwd"]))
            else {
                Issue.record("a file without permission must fail")
                return
            }
            #expect(directory.code == 126)
            var spec = TaskSpec(command: ["true"])
            spec.rootfs = .directory("/no/such/directory")
            guard case .failed(let root) = try await bench.finish(bench.newID(), spec) else {
                Issue.record("a missing root file system must fail")
                return
            }
            #expect(root.code == 125)
        }
    }

    @Test func `a directory serves as root file system, and nothing is made in it`() async throws {
        try await RunnerBench.run { bench in
            // A static program is all that such a directory needs.
            let root = bench.folder + "/root"
            try Files.makeDirectory(root + "/bin", mode: 0o755)
            try FileManager.default.copyItem(
                atPath: "/sbin/ldconfig", toPath: root + "/bin/program")
            var spec = TaskSpec(command: ["program", "--version"])
            spec.rootfs = .directory(root)
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(ExitStatus(code: 0)))
            #expect(await bench.log(id).map(\.text).joined().contains("ldconfig"))
            #expect(Files.names(in: root) == ["bin"])
            #expect(Files.names(in: root + "/bin") == ["program"])
        }
    }

    @Test func `an image stays as long as a container of it is known`() async throws {
        try await RunnerBench.run { bench in
            let root = bench.folder + "/root"
            try Files.makeDirectory(root + "/bin", mode: 0o755)
            try FileManager.default.copyItem(
                atPath: "/sbin/ldconfig", toPath: root + "/bin/program")
            let images = bench.runner.images
            let image = try await images.import(root, as: imageName("box"))
            func spec(_ command: String) throws -> TaskSpec {
                var spec = TaskSpec(command: [command, "--version"])
                spec.rootfs = .image(try imageName("box"), image)
                return spec
            }
            let good = bench.newID()
            #expect(
                try await bench.finish(good, spec("program")) == .exited(ExitStatus(code: 0)))
            let bad = bench.newID()
            _ = try await bench.finish(bad, spec("no-such-program"))
            for id in [good, bad] {
                #expect(try await images.prune(keeping: [], limitBytes: 0).images.isEmpty)
                bench.runner.perform(id, .remove)
                try await bench.eventually("\(id) is forgotten") { bench.runner.entry(id) == nil }
            }
            #expect(try await images.prune(keeping: [], limitBytes: 0).images == [image])
            // Without it there is nothing to hold.
            let late = bench.newID()
            guard case .vanished = try await bench.finish(late, spec("program")) else {
                Issue.record("a container needs its image")
                return
            }
            #expect(images.holds.isEmpty)
        }
    }

    @Test func `a killed program shows its signal, and init forwards SIGTERM`() async throws {
        try await RunnerBench.run { bench in
            let patient = bench.newID()
            try await bench.start(patient, TaskSpec(command: ["sleep", "100"]))
            bench.runner.perform(patient, .signal(SIGTERM))
            #expect(try await bench.end(of: patient) == .exited(ExitStatus(code: 143)))
            let stubborn = bench.newID()
            try await bench.start(
                stubborn,
                TaskSpec(command: ["sh", "-c", "trap '' TERM; echo ready; sleep 100"]))
            bench.runner.perform(stubborn, .kill)
            #expect(try await bench.end(of: stubborn) == .exited(ExitStatus(code: 137)))
        }
    }

    @Test func `a signal right after the start is not lost`() async throws {
        try await RunnerBench.run { bench in
            try await withThrowingTaskGroup(of: ContainerEvent.self) { group in
                for _ in 0..<16 {
                    let id = bench.newID()
                    group.addTask {
                        try await bench.create(id, TaskSpec(command: ["sleep", "100"]))
                        bench.runner.perform(id, .start)
                        bench.runner.perform(id, .signal(SIGTERM))
                        return try await bench.end(of: id)
                    }
                }
                for try await end in group { #expect(end == .exited(ExitStatus(code: 143))) }
            }
        }
    }

    @Test func `a created container can be killed before it starts`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.create(id, TaskSpec(command: ["true"]))
            bench.runner.perform(id, .kill)
            _ = try await bench.end(of: id)
            bench.runner.perform(id, .start)
        }
    }

    @Test(.enabled(if: RunnerBench.hasGroups, "an ordinary user has no control groups"))
    func `too much memory ends a task, and it is said to be that`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["sh", "-c", "head -c 200M /dev/zero | tail"])
            spec.resources.memoryBytes = 32 << 20
            let end = try await bench.finish(bench.newID(), spec)
            #expect(end == .exited(ExitStatus(code: 137, wasOutOfMemory: true)))
        }
    }

    @Test(.enabled(if: RunnerBench.hasGroups, "an ordinary user has no control groups"))
    func `a fork bomb stays within its limit`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(
                command: [
                    "sh", "-c",
                    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 5 & done; wait",
                ])
            spec.pidsMax = 8
            guard case .exited(let status) = try await bench.finish(bench.newID(), spec) else {
                Issue.record("the task must run")
                return
            }
            #expect(status.code != 0)
        }
    }

    @Test func `only allowed volumes are mounted, and read-only ones can't be written`()
        async throws
    {
        try await RunnerBench.run { bench in
            let allowed = bench.folder + "/allowed"
            try Files.makeDirectory(allowed)
            var spec = TaskSpec(command: ["sh", "-c", "echo hello > /mnt/volume/file"])
            spec.volumes = [
                VolumeMount(source: allowed, target: "/mnt/volume", isReadOnly: false)
            ]
            #expect(try await bench.finish(bench.newID(), spec) == .exited(ExitStatus(code: 0)))
            #expect(Files.text(allowed + "/file") == "hello")
            spec.volumes[0].isReadOnly = true
            guard case .exited(let status) = try await bench.finish(bench.newID(), spec) else {
                Issue.record("the task must run")
                return
            }
            #expect(status.code != 0)
            symlink("/etc", allowed + "/escape")
            spec.volumes[0].source = allowed + "/escape"
            guard case .failed(let failure) = try await bench.finish(bench.newID(), spec) else {
                Issue.record("a link out of the allowed directory must be refused")
                return
            }
            #expect(failure.code == 125)
        }
    }

    @Test func `running, ended and orphaned containers are found by a new runner`() async throws {
        try await RunnerBench.run { bench in
            let running = bench.newID()
            try await bench.start(running, TaskSpec(command: ["sleep", "100"]))
            let created = bench.newID()
            try await bench.create(created, TaskSpec(command: ["true"]))
            let orphan = bench.newID()
            try await bench.start(orphan, TaskSpec(command: ["sleep", "100"]))
            let ended = bench.newID()
            try await bench.start(ended, TaskSpec(command: ["sh", "-c", "exit 4"]))
            _ = try await bench.end(of: ended)
            bench.runner.shutdown()
            let monitor = try #require(
                bench.runner.monitor(of: ContainerPaths(orphan, bench.runner.configuration)))
            Glibc.kill(monitor, SIGKILL)
            try await bench.eventually("the monitor is gone") {
                bench.runner.monitor(of: ContainerPaths(orphan, bench.runner.configuration)) == nil
            }
            try bench.restart()
            let found = Dictionary(
                uniqueKeysWithValues: bench.runner.recover().map { ($0.id, $0.state) })
            #expect(found[running] == .started)
            #expect(found[created] == .created)
            #expect(found[orphan]?.isVanished == true)
            #expect(found[ended] == .exited(ExitStatus(code: 4)))
            bench.runner.perform(running, .kill)
            #expect(try await bench.end(of: running) == .exited(ExitStatus(code: 137)))
        }
    }

    @Test func `containers in parallel do not disturb each other`() async throws {
        try await RunnerBench.run { bench in
            let ids = (0..<24).map { _ in bench.newID() }
            for (number, id) in ids.enumerated() {
                bench.runner.perform(
                    id, .create(TaskSpec(command: ["sh", "-c", "echo \(number); exit \(number)"])))
            }
            for (number, id) in ids.enumerated() {
                try await bench.await(id) { $0 == .created }
                bench.runner.perform(id, .start)
                let end = try await bench.end(of: id)
                #expect(end == .exited(ExitStatus(code: Int32(number))))
                #expect(await bench.log(id).map(\.text) == ["\(number)\n"])
            }
        }
    }

    @Test func `rotated logs come back whole`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            let count = 300_000
            let end = try await bench.finish(
                id, TaskSpec(command: ["sh", "-c", "seq 1 \(count); sleep 2; echo end"]))
            #expect(end == .exited(ExitStatus(code: 0)))
            let text = await bench.log(id).map(\.text).joined()
            let lines = text.split(separator: "\n")
            #expect(lines.count == count + 1)
            #expect(lines.prefix(count).enumerated().allSatisfy { $1 == "\($0 + 1)" })
        }
    }

    @Test func `what an earlier life left without a bundle is removed`() async throws {
        try await RunnerBench.run { bench in
            let kept = bench.newID()
            try await bench.start(kept, TaskSpec(command: ["sleep", "100"]))
            let orphan = bench.newID()
            try await bench.start(orphan, TaskSpec(command: ["sleep", "100"]))
            let paths = bench.paths(orphan)
            let program = try #require(bench.runner.program(of: paths))
            bench.runner.shutdown()
            // As after a removal that was cut short: everything but the bundle is there.
            let monitor = try #require(bench.runner.monitor(of: paths))
            Files.remove(paths.bundle)
            try bench.restart()
            #expect(bench.runner.recover().map(\.id) == [kept])
            try await bench.eventually("nothing of it runs") {
                !RunnerBench.isRunning(program) && !RunnerBench.isRunning(monitor)
            }
            try bench.restart()
            #expect(bench.runner.recover().map(\.id) == [kept])
            let cgroups = Cgroups()
            #expect(!Files.exists(paths.layer) && !Files.exists(paths.exitFile))
            if RunnerBench.hasGroups {
                #expect(cgroups.names(below: paths.parentGroup) == ["\(kept)"])
            }
            #expect(
                Files.names(in: bench.runner.configuration.runDirectory + "/runtime") == ["\(kept)"]
            )
            let log = await bench.runner.readLog(
                orphan, from: .at(.beginning), waitAtMost: .zero)
            #expect(log?.isEnd == true)
            bench.runner.perform(kept, .kill)
            _ = try await bench.end(of: kept)
        }
    }

    @Test func `an end that came while the daemon was away is found, with all its output`()
        async throws
    {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(
                id, TaskSpec(command: ["sh", "-c", "echo before; sleep 1; echo after; exit 7"]))
            bench.runner.shutdown()
            let paths = bench.paths(id)
            try await bench.eventually("it has ended") { Files.exists(paths.exitFile) }
            try bench.restart()
            let found = bench.runner.recover().first { $0.id == id }
            #expect(found?.state == .exited(ExitStatus(code: 7)))
            #expect(await bench.log(id).map(\.text) == ["before\n", "after\n"])
        }
    }

    @Test func `a flood of output stays within its bound and harms nobody`() async throws {
        try await RunnerBench.run { bench in
            let quiet = bench.newID()
            try await bench.start(quiet, TaskSpec(command: ["sh", "-c", "sleep 1; echo quiet"]))
            let flood = bench.newID()
            try await bench.start(
                flood,
                TaskSpec(command: [
                    "sh", "-c",
                    "yes 0123456789012345678901234567890 | head -c \(RunnerBench.isThorough ? "1G" : "200M")",
                ]))
            #expect(try await bench.end(of: quiet) == .exited(ExitStatus(code: 0)))
            #expect(await bench.log(quiet).map(\.text) == ["quiet\n"])
            #expect(
                try await bench.end(of: flood, within: .seconds(120))
                    == .exited(ExitStatus(code: 0)))
            let log = bench.paths(flood).log
            try await bench.eventually("the log is within its bound") {
                RunnerBench.diskUse(of: log) <= RunnerConfiguration.logSizeBytesUsual + (1 << 20)
            }
            let last = await bench.runner.readLog(
                flood, from: .lastLines(1, of: nil), waitAtMost: .zero)
            #expect(last?.entries.count == 1)
            let whole = await bench.runner.readLog(
                flood, from: .at(.beginning), waitAtMost: .zero)
            #expect(whole?.hasGap(after: .at(.beginning)) == true)
        }
    }
}

extension LogEntry {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
