import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// What goes wrong is said for what it is, harms nobody else, and leaves nothing behind.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct FaultTests {
    struct BadProgram: CustomTestStringConvertible, Sendable {
        let name: String
        let content: [UInt8]
        var mode: UInt32 = 0o755
        let code: Int32
        /// What the message must say.
        let words: String
        var testDescription: String { name }
    }

    private static let foreignHead: [UInt8] =
        [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8) + [2, 0, 0xF3, 0]

    @Test(arguments: [
        BadProgram(name: "missing", content: [], code: 127, words: "not found"),
        BadProgram(
            name: "forbidden", content: Array("#!/bin/sh\n".utf8), mode: 0o644, code: 126,
            words: "no permission"),
        BadProgram(
            name: "orphan", content: Array("#!/no/such/interpreter -x\n".utf8), code: 126,
            words: "interpreter /no/such/interpreter"),
        BadProgram(
            name: "nameless", content: Array("#!  \n".utf8), code: 126, words: "no interpreter"),
        BadProgram(name: "text", content: Array("echo hello\n".utf8), code: 126, words: "format"),
        BadProgram(
            name: "foreign", content: foreignHead + [UInt8](repeating: 0, count: 100), code: 126,
            words: "processor"),
        BadProgram(
            name: "loop", content: Array("#!/bin/loop\n".utf8), code: 126, words: "interpreters"),
        BadProgram(
            name: "dynamic", content: (Files.read("/bin/true") ?? []), code: 126,
            words: "ld-linux"),
    ])
    func `a program that can't run is told apart, and leaves nothing`(row: BadProgram) async throws
    {
        try await RunnerBench.run { bench in
            let root = bench.folder + "/root"
            try Files.makeDirectory(root + "/bin", mode: 0o755)
            if !row.content.isEmpty {
                try Files.write(row.content, to: "\(root)/bin/\(row.name)")
                chmod("\(root)/bin/\(row.name)", row.mode)
            }
            var spec = TaskSpec(command: [row.name])
            spec.rootfs = .directory(root)
            let id = bench.newID()
            guard case .failed(let failure) = try await bench.finish(id, spec) else {
                Issue.record("it must fail")
                return
            }
            #expect(failure.code == row.code)
            #expect(failure.message.contains(row.words), "\(failure.message)")
            #expect(!failure.message.contains("the runtime could not"))
            try await bench.leavesNothing(id)
        }
    }

    @Test func `links in a root file system lead nowhere else`() async throws {
        try await RunnerBench.run { bench in
            let root = try bench.hostLikeRoot()
            symlink("../../../../../../bin/sh", root + "/etc/up")
            symlink("/bin/sh", root + "/etc/down")
            symlink("/etc/self", root + "/etc/self")
            // The links lead to /bin/sh of the root itself, which has none.
            for name in ["up", "down", "self"] {
                var spec = TaskSpec(command: ["/etc/\(name)"])
                spec.rootfs = .directory(root)
                let failure = try await bench.failure(spec)
                #expect(failure.code == 127)
            }
        }
    }

    @Test(arguments: ["create", "start", "delete"])
    func `a runtime that fails is said to, and its neighbours go on`(step: String) async throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-fault-\(UUID().uuidString)"
        try Files.makeDirectory(folder)
        defer { Files.remove(folder) }
        let wrapper = folder + "/runtime"
        let real = try Programs.runtime(nil)
        let script = """
            #!/bin/sh
            for word in "$@"; do
                if [ "$word" = "$(cat \(folder)/step 2>/dev/null)" ]; then
                    echo "broken on purpose" >&2
                    exit 1
                fi
            done
            exec \(real) "$@"

            """
        try Files.write(Array(script.utf8), to: wrapper)
        chmod(wrapper, 0o755)
        try await RunnerBench.run {
            $0.runtime = wrapper
        } _: { bench in
            let neighbour = bench.newID()
            try await bench.start(neighbour, TaskSpec(command: ["sh", "-c", "sleep 1; exit 5"]))
            try Files.write(Array(step.utf8), to: folder + "/step")
            let id = bench.newID()
            let end = try await bench.finish(id, TaskSpec(command: ["sh", "-c", "exit 3"]))
            switch end {
            case .failed(let failure):
                #expect(step != "delete")
                #expect(failure.code == 125)
                #expect(failure.message.contains("broken on purpose"), "\(failure.message)")
            default:
                #expect(step == "delete")
                #expect(end == .exited(ExitStatus(code: 3)))
            }
            try await bench.leavesNothing(id)
            Files.remove(folder + "/step")
            #expect(try await bench.end(of: neighbour) == .exited(ExitStatus(code: 5)))
        }
    }

    @Test func `a container that is there already is not made twice, nor harmed`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(
                id, TaskSpec(command: ["sh", "-c", "echo once; sleep 1; exit 6"]))
            let process = bench.runner.program(of: bench.paths(id))
            bench.runner.perform(id, .create(TaskSpec(command: ["sh", "-c", "echo twice"])))
            bench.runner.perform(id, .start)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 6)))
            #expect(process != nil)
            #expect(await bench.log(id).map(\.text) == ["once\n"])
            bench.runner.perform(id, .create(TaskSpec(command: ["true"])))
            try await bench.leavesNothing(id)
        }
    }

    @Test func `short tasks come and go in great number, and nothing of them stays`() async throws {
        try await RunnerBench.run { bench in
            let count = RunnerBench.isThorough ? 1_000 : 120
            for batch in 0..<count / 8 {
                let ids = (0..<8).map { _ in bench.newID() }
                for (index, id) in ids.enumerated() {
                    let spec = TaskSpec(command: ["sh", "-c", "exit \(batch % 16 * 8 + index)"])
                    bench.runner.perform(id, .create(spec))
                    bench.runner.perform(id, .start)
                }
                for (index, id) in ids.enumerated() {
                    let code = Int32(batch % 16 * 8 + index)
                    #expect(
                        try await bench.end(of: id, within: .seconds(60))
                            == .exited(ExitStatus(code: code)))
                    bench.runner.perform(id, .remove)
                    bench.runner.perform(id, .removeLog)
                }
            }
            let directories = ["bundles", "exits", "runtime", "calls"].map {
                "\(bench.runner.configuration.runDirectory)/\($0)"
            }
            let places = directories + ["\(bench.folder)/layers", "\(bench.folder)/logs"]
            try await bench.eventually("all is removed") {
                places.allSatisfy { Files.names(in: $0).isEmpty }
                    && bench.runner.cgroups.names(below: bench.group).isEmpty
            }
            #expect(bench.runner.lock.withLock { bench.runner.entries.isEmpty })
        }
    }

    @Test func `a disk that tasks have filled harms their neighbours' ends as little as can be`()
        async throws
    {
        let disk = FileManager.default.temporaryDirectory.path + "/magpie-disk-\(getpid())"
        try Files.makeDirectory(disk)
        try #require(mount("tmpfs", disk, "tmpfs", 0, "size=24m") == 0)
        defer {
            umount2(disk, Int32(MNT_DETACH))
            rmdir(disk)
        }
        try await RunnerBench.run(in: disk) { bench in
            let neighbour = bench.newID()
            let script = "echo begun; until [ -e /tmp/go ]; do sleep 0.05; done; exit 5"
            try await bench.start(neighbour, TaskSpec(command: ["sh", "-c", script]))
            // Its root file system and its log lie on the same disk.
            let hog = bench.newID()
            let fill = "head -c 100M /dev/zero > /home/x; echo $?; yes | head -c 1M; exit 7"
            #expect(
                try await bench.finish(hog, TaskSpec(command: ["sh", "-c", fill]))
                    == .exited(ExitStatus(code: 7)))
            let program = try #require(bench.runner.program(of: bench.paths(neighbour)))
            // A third one runs if it needs no room; else it is said what is missing.
            switch try await bench.finish(bench.newID(), TaskSpec(command: ["true"])) {
            case .exited(let status): #expect(status.code == 0)
            case .failed(let failure):
                #expect(failure.code == 125 && failure.message.contains("No space left"))
            case let other: Issue.record("\(other)")
            }
            try Files.write([], to: "/proc/\(program)/root/tmp/go")
            #expect(try await bench.end(of: neighbour) == .exited(ExitStatus(code: 5)))
            try await bench.leavesNothing(hog)
            #expect(
                try await bench.finish(bench.newID(), TaskSpec(command: ["true"]))
                    == .exited(ExitStatus(code: 0)))
        }
    }

    @Test func `a fork bomb is held, ended, and harms nobody`() async throws {
        try await RunnerBench.run { bench in
            let neighbour = bench.newID()
            try await bench.start(neighbour, TaskSpec(command: ["sh", "-c", "sleep 2; exit 5"]))
            var spec = TaskSpec(
                command: [
                    "sh", "-c",
                    "bomb() { bomb | bomb & }; echo ready; bomb 2>/dev/null; sleep 100",
                ])
            spec.pidsMax = 24
            let id = bench.newID()
            try await bench.start(id, spec)
            try await bench.wrote(id)
            let group = bench.paths(id).group
            for _ in 0..<50 {
                let sample = try #require(bench.runner.cgroups.sample(of: group))
                #expect(sample.processCount <= 24)
            }
            bench.runner.perform(id, .kill)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            try await bench.leavesNothing(id)
            #expect(try await bench.end(of: neighbour) == .exited(ExitStatus(code: 5)))
        }
    }

    struct Hog: CustomTestStringConvertible, Sendable {
        let script: String
        let status: Model.ExitStatus
        var testDescription: String { script }
    }

    @Test(arguments: [
        Hog(
            script: "head -c 200M /dev/zero | tail",
            status: Model.ExitStatus(code: 137, wasOutOfMemory: true)),
        // A child's death is what the program failed of, as far as anybody can tell.
        Hog(
            script: "head -c 200M /dev/zero | tail; exit 3",
            status: Model.ExitStatus(code: 3, wasOutOfMemory: true)),
        Hog(script: "head -c 200M /dev/zero | tail; exit 0", status: Model.ExitStatus(code: 0)),
        Hog(script: "exit 137", status: Model.ExitStatus(code: 137)),
        Hog(script: "kill -9 $$", status: Model.ExitStatus(code: 137)),
    ])
    func `what ran out of memory is told from what was killed`(row: Hog) async throws {
        try await RunnerBench.run { bench in
            let neighbour = bench.newID()
            try await bench.start(neighbour, TaskSpec(command: ["sh", "-c", "sleep 1; exit 5"]))
            var spec = TaskSpec(command: ["sh", "-c", row.script])
            spec.resources.memoryBytes = 32 << 20
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(row.status))
            let usage = try #require(bench.usage(of: id))
            #expect(usage.memoryPeakBytes <= 32 << 20)
            try await bench.leavesNothing(id)
            #expect(try await bench.end(of: neighbour) == .exited(ExitStatus(code: 5)))
        }
    }
}

extension RunnerBench {
    /// The group of all containers.
    var group: String { "/magpie-\(runner.configuration.groupName)" }

    /// Removes a container, and waits until neither directory, group nor process is left of it.
    func leavesNothing(_ id: ContainerID) async throws {
        let paths = paths(id)
        runner.perform(id, .remove)
        func rest() -> [String] {
            let groups = [""] + Files.names(in: "/sys/fs/cgroup")
            let places =
                [
                    paths.bundle, paths.layer, paths.exitFile,
                    "\(runner.configuration.runDirectory)/runtime/\(id)",
                ] + groups.map { "/sys/fs/cgroup/\($0)\(paths.group)" }
            let processes = Files.names(in: "/proc").filter { name in
                guard pid_t(name) != nil, let line = Files.read("/proc/\(name)/cmdline") else {
                    return false
                }
                return String(decoding: line, as: UTF8.self).contains("\(id)")
            }
            return places.filter(Files.exists) + processes
        }
        try await eventually("nothing is left but \(rest())") { rest().isEmpty }
    }
}
