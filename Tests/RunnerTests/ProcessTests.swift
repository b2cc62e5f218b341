import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// How a task's process is set up, looked at from inside real containers.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct ProcessTests {
    struct Identity: CustomTestStringConvertible, Sendable {
        let user: String
        let output: String
        var testDescription: String { user }
    }

    @Test(arguments: [
        Identity(user: "0", output: "0 0 0 /root"), Identity(user: "12345", output: "12345 0 0 /"),
        Identity(user: "12345:54321", output: "12345 54321 54321 /"),
        Identity(user: "fox", output: "4242 4343 4343 4444 /home/fox"),
        Identity(user: "4242", output: "4242 4343 4343 4444 /home/fox"),
        Identity(user: "fox:hounds", output: "4242 4444 4444 /home/fox"),
    ])
    func `a task runs as the user that was named`(row: Identity) async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(
                command: ["sh", "-c", "echo $(id -u) $(id -g) $(id -G) $HOME; echo > /dev/stderr"])
            spec.options.user = row.user
            // The names are those of the task's own root file system.
            spec.rootfs = .directory(try bench.hostLikeRoot())
            spec.volumes = [VolumeMount(source: "/usr", target: "/usr", isReadOnly: true)]
            let id = bench.newID()
            #expect(try await bench.finish(id, spec) == .exited(ExitStatus(code: 0)))
            let text = await bench.log(id).filter { $0.stream == .stdout }.map(\.text).joined()
            #expect(text == row.output + "\n")
        }
    }

    @Test(arguments: ["nobody-such", "0:no-such-group", "a:b:c", "4294967295", ""])
    func `a user that does not exist is refused`(user: String) async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["true"])
            spec.options.user = user
            let failure = try await bench.failure(spec)
            #expect(failure.code == 125)
            #expect(failure.message.contains("user") || failure.message.contains("group"))
        }
    }

    @Test func `what only another user may execute is not a program`() async throws {
        try await RunnerBench.run { bench in
            let root = try bench.hostLikeRoot()
            try Files.write(Array("#!/bin/sh\n".utf8), to: root + "/tool")
            chmod(root + "/tool", 0o744)
            var spec = TaskSpec(command: ["/tool"])
            spec.rootfs = .directory(root)
            spec.volumes = [VolumeMount(source: "/usr", target: "/usr", isReadOnly: true)]
            #expect(try await bench.finish(bench.newID(), spec) == .exited(ExitStatus(code: 0)))
            spec.options.user = "fox"
            #expect(try await bench.failure(spec).code == 126)
        }
    }

    @Test func `a task has the machine's name that it asked for`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["sh", "-c", "echo $(uname -n) $HOSTNAME"])
            let text = try await bench.output(spec)
            #expect(text == "magpie\n")
            spec.options.hostname = "box-1.example"
            let named = try await bench.output(spec)
            #expect(named == "box-1.example box-1.example\n")
        }
    }

    @Test func `an init process reaps, and a program ends by signals it does not handle`()
        async throws
    {
        try await RunnerBench.run { bench in
            // An orphan's parent is the first process, which is not the program.
            let script = """
                cat /proc/1/comm; test $$ -ne 1 || exit 9
                sh -c 'sleep 1000 & echo $! > /tmp/orphan' ; pid=$(cat /tmp/orphan)
                grep -q 'PPid:.1$' /proc/$pid/status || exit 8
                kill $pid; i=0
                while test -d /proc/$pid; do
                    i=$((i + 1)); test $i -lt 200 || exit 7
                    sleep 0.1
                done
                """
            let text = try await bench.output(TaskSpec(command: ["sh", "-c", script]))
            #expect(text == "magpie-init\n")
        }
    }

    @Test func `a volume and a file system in memory are there, and of their size`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(
                command: [
                    "sh", "-c",
                    """
                    df -k --output=size,target /scratch /dev/shm /tmp/deep | tail -n +2 | tr -s ' '
                    head -c 2M /dev/zero > /scratch/file 2>/dev/null && exit 1
                    stat -c %a /scratch
                    """,
                ])
            spec.options.tmpfs = [
                TmpfsMount(target: "/scratch", sizeBytes: 1 << 20),
                TmpfsMount(target: "/tmp/deep", sizeBytes: 2 << 20),
            ]
            spec.options.shmSizeBytes = 3 << 20
            let text = try await bench.output(spec)
            #expect(text == " 1024 /scratch\n 3072 /dev/shm\n 2048 /tmp/deep\n1777\n")
        }
    }

    @Test func `a root file system can be shut`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(
                command: ["sh", "-c", "echo x > /tmp/file && echo x 2>/dev/null > /home/file"])
            #expect(try await bench.finish(bench.newID(), spec) == .exited(ExitStatus(code: 0)))
            spec.options.isRootReadOnly = true
            guard case .exited(let status) = try await bench.finish(bench.newID(), spec) else {
                Issue.record("the task must run")
                return
            }
            #expect(status.code != 0)
        }
    }

    @Test func `limits of the process's own arrive, and none above the node's`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Hc"])
            spec.options.ulimits = [
                Ulimit(kind: .nofile, soft: 64, hard: 128), Ulimit(kind: .core, soft: 0, hard: 512),
            ]
            let text = try await bench.output(spec)
            #expect(text == "64\n128\n1\n")
            spec.options.ulimits = [Ulimit(kind: .rtprio, soft: 1, hard: 99)]
            var own = rlimit()
            getrlimit(__rlimit_resource_t(14), &own)
            if own.rlim_max < 99 {
                let failure = try await bench.failure(spec)
                #expect(failure.code == 125)
                #expect(failure.message.contains("rtprio"))
            }
        }
    }
}

extension RunnerBench {
    /// What a task that must succeed wrote to its standard output.
    func output(_ spec: TaskSpec) async throws -> String {
        let id = newID()
        let end = try await finish(id, spec)
        let log = await log(id)
        #expect(end == .exited(ExitStatus(code: 0)), "\(log.map(\.text))")
        return log.filter { $0.stream == .stdout }.map(\.text).joined()
    }

    /// Why a task could not be made or started.
    func failure(_ spec: TaskSpec) async throws -> ContainerFailure {
        let end = try await finish(newID(), spec)
        guard case .failed(let failure) = end else {
            throw Timeout(description: "the task must fail, but: \(end)")
        }
        return failure
    }

    /// A root file system of its own, with users that the host does not have; `/usr` is mounted.
    func hostLikeRoot() throws -> String {
        let root = folder + "/root"
        for directory in ["etc", "usr", "tmp", "home/fox"] {
            try Files.makeDirectory("\(root)/\(directory)", mode: 0o755)
        }
        for name in ["bin", "lib", "lib64"] { symlink("usr/\(name)", "\(root)/\(name)") }
        try Files.write(
            Array("root:x:0:0::/root:/bin/sh\nfox:x:4242:4343::/home/fox:/bin/sh\n".utf8),
            to: root + "/etc/passwd")
        try Files.write(
            Array("root:x:0:\ndens:x:4343:\nhounds:x:4444:dog,fox\n".utf8), to: root + "/etc/group")
        return root
    }
}
