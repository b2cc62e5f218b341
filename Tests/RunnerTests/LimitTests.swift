import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Limits hold, are read back, and what was used is known at the end.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct LimitTests {
    @Test func `the kernel has the limits that were asked for`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["sleep", "100"])
            spec.resources = Resources(cpuMillis: 250, memoryBytes: 48 << 20)
            spec.pidsMax = 17
            let id = bench.newID()
            try await bench.create(id, spec)
            let group = bench.paths(id).group
            let cgroups = bench.runner.cgroups
            #expect(cgroups.memoryLimit(of: group) == 48 << 20)
            #expect(cgroups.pidsLimit(of: group) == 17)
            #expect(cgroups.cpuLimit(of: group) == 250)
            if cgroups.countsSwap { #expect(cgroups.memoryAndSwapLimit(of: group) == 48 << 20) }
        }
    }

    @Test func `a limit on disk space is refused where none can be, or it is said`() async throws {
        try await RunnerBench.run { bench in
            try #require(!bench.runner.limitsDisk, "this machine has project quotas")
            var spec = TaskSpec(command: ["true"])
            spec.options.diskBytes = 16 << 20
            let failure = try await bench.failure(spec)
            #expect(failure.code == 125)
            #expect(failure.message.contains("prjquota"))
            spec.options.isBestEffort = true
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(ExitStatus(code: 0)))
            #expect(bench.notes(of: id) == ["not limited on this node: disk"])
        }
    }

    /// Makes a runtime that takes less care of limits than it is told.
    private func carelessRuntime(in folder: String) throws -> String {
        let script = """
            #!/bin/sh
            case " $* " in
            *" create "*)
                sed -i -e 's/"pids":{"limit":17}/"pids":{"limit":400}/' \
                    -e 's/"limit":50331648/"limit":100663296/;s/"swap":50331648/"swap":100663296/' \
                    config.json ;;
            esac
            exec \(try Programs.runtime(nil)) "$@"

            """
        try Files.makeDirectory(folder)
        try Files.write(Array(script.utf8), to: folder + "/runtime")
        chmod(folder + "/runtime", 0o755)
        return folder + "/runtime"
    }

    @Test func `limits that the kernel did not take are refused, or it is said`() async throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-limit-\(UUID().uuidString)"
        defer { Files.remove(folder) }
        let runtime = try carelessRuntime(in: folder)
        try await RunnerBench.run {
            $0.runtime = runtime
        } _: { bench in
            var spec = TaskSpec(command: ["sh", "-c", "exit 4"])
            spec.pidsMax = 17
            let failure = try await bench.failure(spec)
            #expect(failure.code == 125)
            #expect(failure.message.contains("processes"), "\(failure.message)")
            #expect(
                failure.message.contains("--best-effort") && !failure.message.contains("memory"))
            spec.resources.memoryBytes = 48 << 20
            spec.options.isBestEffort = true
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(ExitStatus(code: 4)))
            #expect(bench.notes(of: id) == ["not limited on this node: memory, processes"])
            spec.options.isBestEffort = false
            let second = bench.newID()
            guard case .failed(let both) = try await bench.finish(second, spec) else {
                Issue.record("it must fail")
                return
            }
            #expect(both.message.contains("memory, processes"))
            try await bench.leavesNothing(second)
        }
    }

    @Test(.enabled(if: LimitTests.disks != nil, "no file system here has project quotas"))
    func `a limit on disk space holds, and is gone with its task`() async throws {
        let disks = try #require(LimitTests.disks)
        try await RunnerBench.run(in: disks) { bench in
            try #require(bench.runner.limitsDisk)
            var spec = TaskSpec(
                command: [
                    "sh", "-c", "head -c 8M /dev/zero > /home/a && head -c 16M /dev/zero > /home/b",
                ])
            spec.options.diskBytes = 16 << 20
            let id = bench.newID()
            guard case .exited(let status) = try await bench.finish(id, spec) else {
                Issue.record("the task must run")
                return
            }
            #expect(status.code != 0)
            let project = try #require(UInt32(Files.text(bench.paths(id).projectFile) ?? ""))
            try await bench.leavesNothing(id)
            #expect(bench.runner.quota.limit(of: project) == 0)
            spec.options.diskBytes = 64 << 20
            #expect(try await bench.finish(bench.newID(), spec) == .exited(ExitStatus(code: 0)))
        }
    }

    /// A directory on a file system with project quotas, such as a test machine may name.
    private static var disks: String? {
        ProcessInfo.processInfo.environment["MAGPIE_TEST_QUOTA_DIR"]
    }

    @Test func `what a task has used is known when it ends`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(
                command: [
                    "sh", "-c",
                    "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; head -c 24M /dev/zero | tail | wc -c",
                ])
            spec.resources = Resources(cpuMillis: 1_000, memoryBytes: 64 << 20)
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(ExitStatus(code: 0)))
            let usage = try #require(bench.usage(of: id))
            #expect(usage.cpuMicroseconds > 10_000)
            #expect(usage.memoryPeakBytes > 24 << 20 && usage.memoryPeakBytes <= 64 << 20)
        }
    }

    @Test func `a running task can be measured, one that has ended can't`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            func measure() async -> UsageSample? {
                await withCheckedContinuation { continuation in
                    bench.runner.measure(id) { continuation.resume(returning: $0) }
                }
            }
            #expect(await measure() == nil)
            try await bench.start(
                id, TaskSpec(command: ["sh", "-c", "sleep 100 & echo ready; wait"]))
            try await bench.wrote(id)
            let sample = try #require(await measure())
            #expect(sample.processCount == 2)
            #expect(sample.memoryBytes > 0)
            bench.runner.perform(id, .kill)
            _ = try await bench.end(of: id)
            #expect(await measure() == nil)
        }
    }

    @Test func `what was used while no runner looked is known to the next one`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, TaskSpec(command: ["sh", "-c", "sleep 0.5; exit 4"]))
            bench.runner.shutdown()
            let exit = bench.paths(id).exitFile
            try await bench.eventually("it has ended") { Files.exists(exit) }
            try bench.restart()
            let found = try #require(bench.runner.recover().first { $0.id == id })
            #expect(found.state == .exited(ExitStatus(code: 4)))
            #expect(found.usage?.cpuMicroseconds ?? 0 > 0)
        }
    }
}
