import CShims
import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// What ends containers when nobody else does; needs root, and says so where it is skipped.
@Suite(.serialized, .enabled(if: getuid() == 0, "needs root: containers are really run"))
struct GuardTests {
    @Test func `a lease that is not renewed ends its containers`()
        async throws
    {
        try await RunnerBench.run { bench in
            let bound = bench.newID()
            let waiting = bench.newID()
            try await bench.start(bound, TaskSpec(command: ["sleep", "1000"]))
            var spec = TaskSpec(command: ["sleep", "1000"])
            spec.onPartition = .wait
            try await bench.start(waiting, spec)
            bench.arm(for: .milliseconds(300))
            #expect(try await bench.end(of: bound).isVanished)
            // The other does not hang on the lease.
            #expect(bench.runner.program(of: bench.paths(waiting)) != nil)
            bench.runner.perform(waiting, .kill)
            #expect(try await bench.end(of: waiting) == .exited(ExitStatus(code: 137)))
        }
    }

    @Test func `after its lease nothing is made, and under the next one it is`() async throws {
        try await RunnerBench.run { bench in
            bench.arm(for: .zero)
            let late = bench.newID()
            bench.runner.perform(late, .create(TaskSpec(command: ["true"])))
            let end = try await bench.end(of: late)
            #expect(end.isVanished)
            bench.arm(for: .seconds(60))
            let next = bench.newID()
            #expect(
                try await bench.finish(next, TaskSpec(command: ["true"]))
                    == .exited(ExitStatus(code: 0)))
        }
    }

    @Test func `a container that was made under a lease can't be started after it`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.create(id, TaskSpec(command: ["sleep", "1000"]))
            bench.arm(for: .milliseconds(100))
            #expect(try await bench.end(of: id).isVanished)
            bench.arm(for: .seconds(60))
            bench.runner.perform(id, .start)
            let other = bench.newID()
            try await bench.start(other, TaskSpec(command: ["sleep", "1000"]))
            #expect(bench.runner.program(of: bench.paths(id)) == nil)
        }
    }

    @Test func `a container can be made as soon as the lease is known`() async throws {
        try await RunnerBench.run { bench in
            // The guard hears of it only later.
            bench.runner.arming.suspend()
            defer { bench.runner.arming.resume() }
            let end = try await bench.finish(bench.newID(), TaskSpec(command: ["true"]))
            #expect(end == .exited(ExitStatus(code: 0)))
        }
    }

    @Test func `whenever the lease ends, a container that is being made has not failed`()
        async throws
    {
        try await RunnerBench.run { bench in
            for milliseconds in stride(from: 2, through: 60, by: 3) {
                bench.arm(for: .milliseconds(milliseconds))
                let id = bench.newID()
                let end = try await bench.finish(id, TaskSpec(command: ["sleep", "1000"]))
                #expect(end.isVanished, "\(milliseconds) ms: \(end)")
            }
        }
    }

    @Test func `with the daemon away, a killed guard is told from a program's own end`()
        async throws
    {
        try await RunnerBench.run { bench in
            let own = bench.newID()
            try await bench.start(own, TaskSpec(command: ["sh", "-c", "kill -9 $$"]))
            let guardian = try #require(bench.guardProcess)
            bench.runner.shutdown()
            try await bench.eventually("the guard ends") { !RunnerBench.isRunning(guardian) }
            try bench.restart()
            let first = bench.runner.recover().map(\.state)
            #expect(first == [.exited(ExitStatus(code: 137))])

            let bound = bench.newID()
            try await bench.start(bound, TaskSpec(command: ["sleep", "1000"]))
            let next = try #require(bench.guardProcess)
            bench.runner.shutdown()
            kill(next, SIGKILL)
            let exitFile = bench.paths(bound).exitFile
            try await bench.eventually("the monitor notes the end") { Files.exists(exitFile) }
            try bench.restart()
            let second = bench.runner.recover().first { $0.id == bound }
            #expect(second?.state.isVanished == true)
        }
    }

    @Test(arguments: [SIGKILL, SIGSTOP])
    func `a guard that is killed or frozen keeps nothing alive`(signal: Int32) async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sleep", "1000"]))
            bench.arm(for: .seconds(2))
            bench.runner.arming.sync {}
            kill(try #require(bench.guardProcess), signal)
            #expect(try await bench.end(of: id).isVanished)
            // Another guard takes its place.
            bench.arm(for: .seconds(60))
            let next = bench.newID()
            #expect(
                try await bench.finish(next, TaskSpec(command: ["true"]))
                    == .exited(ExitStatus(code: 0)))
        }
    }

    @Test func `without a daemon the guard ends containers, and then itself`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sleep", "1000"]))
            let program = try #require(bench.runner.program(of: bench.paths(id)))
            let guardian = try #require(bench.guardProcess)
            bench.arm(for: .milliseconds(500))
            bench.runner.shutdown()
            try await bench.eventually("the program ends") { kill(program, 0) != 0 }
            try await bench.eventually("the guard ends") { !RunnerBench.isRunning(guardian) }
            try bench.restart()
            let found = bench.runner.recover()
            #expect(found.map(\.id) == [id])
        }
    }

    @Test func `a guard has room for many containers`() async throws {
        try await RunnerBench.run { bench in
            _ = try await bench.finish(bench.newID(), TaskSpec(command: ["true"]))
            let guardian = try #require(bench.guardProcess)
            let limits = try #require(Files.text("/proc/\(guardian)/limits"))
            let files = try #require(
                limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
            let words = files.split(separator: " ")
            #expect(words[3] == words[4])
        }
    }

    @Test func `a runner that holds nothing leaves nothing behind`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            _ = try await bench.finish(id, TaskSpec(command: ["true"]))
            bench.runner.perform(id, .remove)
            let directory = bench.runner.configuration.runDirectory
            try await bench.eventually("the container is gone") {
                Files.names(in: directory + "/bundles").isEmpty
                    && Files.names(in: directory + "/exits").isEmpty
                    && Files.names(in: directory + "/runtime").isEmpty
            }
            bench.runner.shutdown()
            try await bench.eventually("its directory is gone") { !Files.exists(directory) }
            try bench.restart()
        }
    }

    @Test func `an idle guard ends with its daemon`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            _ = try await bench.finish(id, TaskSpec(command: ["true"]))
            let guardian = try #require(bench.guardProcess)
            bench.runner.shutdown()
            try await bench.eventually("the guard ends") { !RunnerBench.isRunning(guardian) }
        }
    }

    @Test func `what comes after a shutdown does not call the guard back`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sleep", "1000"]))
            let program = try #require(bench.runner.program(of: bench.paths(id)))
            let guardian = try #require(bench.guardProcess)
            let runner = bench.runner
            runner.shutdown()
            // As when a container ends, or is to be made, while the daemon does.
            #expect(runner.guardian.current == nil)
            #expect(throws: RunnerError.self) { try runner.guardian.open(isLeaseBound: false) }
            runner.guardian.arm()
            kill(program, SIGKILL)
            try await bench.eventually("the guard ends") { !RunnerBench.isRunning(guardian) }
            try bench.restart()
            #expect(bench.runner.recover().map(\.state) == [.exited(ExitStatus(code: 137))])
        }
    }

    @Test func `a restarted daemon finds the guard and arms it on`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sleep", "1000"]))
            let guardian = try #require(bench.guardProcess)
            bench.runner.shutdown()
            try bench.restart()
            #expect(bench.runner.recover() == [AdoptedContainer(id: id, state: .started)])
            #expect(bench.guardProcess == guardian)
            bench.arm(for: .milliseconds(200))
            #expect(try await bench.end(of: id).isVanished)
        }
    }

    @Test func `what a program left behind ends with it`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.create(id, TaskSpec(command: ["sh", "-c", "sleep 1000 & exit 3"]))
            let sandbox = try #require(bench.runner.sandbox(of: bench.paths(id)))
            bench.runner.perform(id, .start)
            #expect(try await bench.end(of: id) == .exited(ExitStatus(code: 3)))
            #expect(!sandbox.isAlive)
            #expect(bench.processes(id).isEmpty)
        }
    }

    @Test func `orphans are reaped, and init gives nothing away`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            // Each subshell leaves an orphan; ps would show those that nobody reaped.
            let script = """
                for i in 1 2 3 4 5; do (sleep 0.01 &); done; sleep 0.3
                cat /proc/[0-9]*/stat | grep -c ' Z '
                for gate in root fd mem environ; do cat /proc/1/$gate/* /proc/1/$gate; done 2>/dev/null | wc -c
                """
            let end = try await bench.finish(id, TaskSpec(command: ["sh", "-c", script]))
            #expect(end == .exited(ExitStatus(code: 0)))
            #expect(await bench.log(id).map(\.text).joined() == "0\n0\n")
        }
    }
}
