import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Whatever state a task is in, it can be ended, and nothing of it stays.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct StopTests {
    @Test func `a program is asked to end by its own signal, its image's, or SIGTERM`() async throws
    {
        try await RunnerBench.run { bench in
            let spec = TaskSpec(
                command: [
                    "sh", "-c",
                    """
                    trap 'exit 10' USR1; trap 'exit 15' TERM; trap 'exit 2' INT
                    echo ready; while :; do sleep 0.05; done
                    """,
                ])
            for (own, image, code) in [
                (SIGUSR1, nil, 10), (nil, "SIGINT", 2), (SIGUSR1, "INT", 10), (nil, nil, 15),
                (nil, "nonsense", 15),
            ] as [(Int32?, String?, Int32)] {
                let id = bench.newID()
                try await bench.start(id, spec)
                try await bench.wrote(id)
                if let image {
                    try Files.write(Array(image.utf8), to: bench.paths(id).stopSignalFile)
                }
                bench.runner.perform(id, .stop(own))
                #expect(try await bench.end(of: id) == .exited(ExitStatus(code: code)))
            }
        }
    }

    @Test(arguments: [SIGHUP, SIGINT, SIGUSR1, SIGKILL, 34, 64])
    func `any signal reaches the program`(signal: Int32) async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sleep", "100"]))
            bench.runner.perform(id, .signal(signal))
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 128 + signal)))
        }
    }

    @Test func `a stopped program and its children are ended`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(
                id, TaskSpec(command: ["sh", "-c", "sleep 100 & sleep 100 & echo ready; wait"]))
            try await bench.wrote(id)
            let processes = bench.processes(id)
            #expect(processes.count == 3)
            for process in processes { Glibc.kill(process, SIGSTOP) }
            try await bench.eventually("all are stopped") {
                processes.allSatisfy { Files.text("/proc/\($0)/stat")?.contains(") T ") == true }
            }
            bench.runner.perform(id, .stop(nil))
            bench.runner.perform(id, .kill)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            try await bench.eventually("nothing runs") {
                !processes.contains(where: RunnerBench.isRunning)
            }
        }
    }

    @Test(
        .enabled(if: RunnerBench.hasGroups, "an ordinary user has no control groups"),
        arguments: [true, false])
    func `a frozen task is ended, and runs no more`(byRunner: Bool) async throws {
        try await RunnerBench.run { bench in
            let (id, woke) = try await bench.startFrozen()
            let processes = bench.processes(id)
            bench.runner.perform(id, .stop(nil))
            bench.runner.perform(id, byRunner ? .kill : .signal(SIGKILL))
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            try await bench.eventually("nothing runs") {
                !processes.contains(where: RunnerBench.isRunning)
            }
            // The signal was waiting while it was frozen; the kill came first all the same.
            #expect(!Files.exists(woke))
        }
    }

    /// The namespace's first process kills the others while it dies, and that may take its time: here
    /// it is frozen itself, which only version 1 of control groups can make of a killed process.
    @Test(
        .enabled(if: RunnerBench.hasGroups, "an ordinary user has no control groups"),
        .enabled(if: !Cgroups().isUnified, "the freezer of control groups v1 is needed"))
    func `a frozen task runs no more, however long its namespace takes to end`() async throws {
        try await RunnerBench.run { bench in
            let (id, woke) = try await bench.startFrozen()
            let processes = bench.processes(id)
            let first = try #require(bench.runner.sandbox(of: bench.paths(id))).process
            let freezer = "\(Cgroups.root)/freezer/\(bench.newID())"
            try Files.makeDirectory(freezer)
            func thaw() { Files.overwrite(freezer + "/freezer.state", "THAWED") }
            defer { thaw() }
            Files.overwrite(freezer + "/cgroup.procs", "\(first)")
            Files.overwrite(freezer + "/freezer.state", "FROZEN")
            try await bench.eventually("the first process is frozen") {
                Files.text(freezer + "/freezer.state") == "FROZEN"
            }
            bench.runner.perform(id, .stop(nil))
            bench.runner.perform(id, .kill)
            try await bench.eventually("nothing of it runs") {
                !processes.contains(where: RunnerBench.isRunning)
            }
            thaw()
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            #expect(!Files.exists(woke))
            try await bench.eventually("its group is empty") { rmdir(freezer) == 0 }
        }
    }

    @Test func `what ignores every signal, and what it started apart, is ended`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(
                id,
                TaskSpec(
                    command: [
                        "sh", "-c",
                        """
                        trap '' TERM INT HUP
                        setsid sh -c 'trap "" TERM; sleep 100' &
                        (setsid sleep 100 &)
                        echo ready; sleep 100
                        """,
                    ]))
            try await bench.wrote(id)
            try await bench.eventually("all run") {
                bench.processes(id).count == 5
            }
            let processes = bench.processes(id)
            bench.runner.perform(id, .stop(nil))
            bench.runner.perform(id, .kill)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 137)))
            #expect(!processes.contains(where: RunnerBench.isRunning))
        }
    }
}

extension RunnerBench {
    /// A frozen task that leaves a file when SIGTERM reaches it, and the path of that file.
    func startFrozen() async throws -> (ContainerID, woke: String) {
        let allowed = folder + "/allowed"
        try Files.makeDirectory(allowed)
        var spec = TaskSpec(
            command: [
                "sh", "-c",
                "trap 'touch /mnt/v/woke' TERM; echo ready; while :; do sleep 0.05; done",
            ])
        spec.volumes = [VolumeMount(source: allowed, target: "/mnt/v", isReadOnly: false)]
        let id = newID()
        try await start(id, spec)
        try await wrote(id)
        let pause = try Spawner.run(
            runner.configuration.runtime, runner.runtimeOptions + ["pause", "\(id)"])
        #expect(pause.code == 0, "\(pause.output)")
        return (id, allowed + "/woke")
    }

    /// Waits until a task has written something, or this.
    func wrote(_ id: ContainerID, _ text: String = "") async throws {
        try await eventually("\(id) has written: \(text)") {
            let chunk = await runner.readLog(
                id, from: .at(.beginning), waitAtMost: .milliseconds(500))
            let bytes = chunk?.entries.flatMap(\.bytes) ?? []
            guard !text.isEmpty else { return !bytes.isEmpty }
            return String(decoding: bytes, as: UTF8.self).contains(text)
        }
    }
}
