import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Users of a task's own: what root in a container is outside of it, and what it can do inside.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct UserNamespaceTests {
    private static func spec(_ command: String...) -> TaskSpec {
        var spec = TaskSpec(command: command)
        spec.options.hasUserNamespace = true
        return spec
    }

    /// The numbers behind a name in a process's status.
    private func numbers(_ name: String, of process: pid_t) -> [UInt32] {
        let lines = Files.text("/proc/\(process)/status")?.split(separator: "\n") ?? []
        let line = lines.first { $0.hasPrefix("\(name):") } ?? ""
        return line.split(whereSeparator: \.isWhitespace).compactMap { UInt32($0) }
    }

    @Test func `root in a container is nobody outside, and each task's root another one`()
        async throws
    {
        try await RunnerBench.run { bench in
            var owners: Set<UInt32> = []
            for _ in 0..<2 {
                let id = bench.newID()
                try await bench.start(
                    id, Self.spec("sh", "-c", "id -u; cat /proc/self/uid_map; sleep 100"))
                try await bench.wrote(id)
                let process = try #require(bench.runner.program(of: bench.paths(id)))
                let users = numbers("Uid", of: process)
                let first = try #require(users.first)
                #expect(users == Array(repeating: first, count: 4) && first >= 1 << 30)
                #expect(numbers("Gid", of: process) == users)
                owners.insert(first)
                // Its process 1 is none of them, so that none of them has a hold on it.
                let sandbox = try #require(bench.runner.sandbox(of: bench.paths(id)))
                #expect(numbers("Uid", of: sandbox.process).first != first)
            }
            #expect(owners.count == 2)
            // Others may pass through the directories above them, and no more.
            let bundles = bench.runner.configuration.runDirectory + "/bundles"
            for name in Files.names(in: bundles) {
                for file in Files.names(in: "\(bundles)/\(name)") {
                    var status = stat()
                    guard stat("\(bundles)/\(name)/\(file)", &status) == 0 else { continue }
                    #expect(status.st_mode & 0o002 == 0, "\(file)")
                    let isSecret = file == "config.json"
                    #expect(!isSecret || status.st_mode & 0o077 == 0, "\(file)")
                }
            }
        }
    }

    @Test func `inside it is root: it owns its files, gives them away, and becomes others`()
        async throws
    {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            let script = """
                id -u; id -g; stat -c '%u %a' / /srv /tmp; echo x > /srv/x && stat -c %u /srv/x
                chown 33:33 /srv/x && stat -c '%u %g' /srv/x; chmod 4755 /srv/x && stat -c %a /srv/x
                setpriv --reuid 33 --regid 33 --clear-groups id -u
                stat -c %u /usr; sed -n 's/CapEff:[[:space:]]*//p' /proc/self/status
                echo y > /root/y; ls -A /root; tail -n +2 /proc/self/uid_map; sleep 100
                """
            try await bench.start(id, Self.spec("sh", "-c", script))
            // The file comes after the last of the lines, and those take their own way.
            try await bench.wrote(id, "800405fb\ny\n")
            #expect(Files.exists("\(bench.paths(id).layer)/upper/root/y"))
            let chunk = await bench.runner.readLog(
                id, from: .at(.beginning), waitAtMost: .seconds(10))
            let text = chunk?.entries.map(\.text).joined() ?? ""
            #expect(
                text.hasPrefix(
                    """
                    0
                    0
                    0 755
                    0 755
                    0 1777
                    0
                    33 33
                    4755
                    33
                    65534
                    00000000800405fb

                    """), "\(text)")
            // On the disk they are whose the task says, so that no later range matters.
            var status = stat()
            #expect(stat("\(bench.paths(id).layer)/upper/srv/x", &status) == 0)
            #expect(status.st_uid == 33 && status.st_gid == 33)
        }
    }

    @Test func `what is the host's stays the host's`() async throws {
        try await RunnerBench.run { bench in
            let shared = bench.folder + "/allowed"
            try Files.makeDirectory(shared, mode: 0o755)
            try Files.write(Array("secret\n".utf8), to: shared + "/secret")
            try Files.write(Array("open\n".utf8), to: shared + "/open")
            chmod(shared + "/open", 0o644)
            chmod(bench.folder, 0o711)
            var spec = Self.spec(
                "sh", "-c",
                """
                stat -c %u /shared; cat /shared/open; cat /shared/secret 2>&1 | grep -o denied
                (echo x > /shared/open) 2>/dev/null || echo shut
                (echo x > /proc/sysrq-trigger) 2>/dev/null || echo shut
                mount -t tmpfs none /mnt 2>/dev/null || echo no mount
                dmesg >/dev/null 2>&1 || echo no log
                """)
            spec.volumes = [VolumeMount(source: shared, target: "/shared", isReadOnly: false)]
            #expect(
                try await bench.output(spec) == """
                    65534
                    open
                    denied
                    shut
                    shut
                    no mount
                    no log

                    """)
        }
    }

    @Test func `users are looked up as ever, and none beyond those that there are`() async throws {
        try await RunnerBench.run { bench in
            var spec = Self.spec(
                "sh", "-c", "id -un; cd /var/tmp; touch x /tmp/x && stat -c %U x /tmp/x")
            spec.options.user = "nobody"
            #expect(try await bench.output(spec) == "nobody\nnobody\nnobody\n")
            spec.options.user = "65535"
            spec.command = ["id", "-u"]
            #expect(try await bench.output(spec) == "65535\n")
            for user in ["65536", "0:65536"] {
                spec.options.user = user
                let failure = try await bench.failure(spec)
                #expect(failure.code == 125 && failure.message.contains("65536"))
            }
        }
    }

    @Test func `another program runs among the same users`() async throws {
        try await RunnerBench.run { bench in
            let id = bench.newID()
            try await bench.start(id, Self.spec("sleep", "1000"))
            let look = "id -u; readlink /proc/self/ns/user; echo x > /srv/x && stat -c %u /srv/x"
            let result = try await bench.exec(id, CallProgram(command: ["sh", "-c", look]))
            let process = try #require(bench.runner.program(of: bench.paths(id)))
            var status = stat()
            stat("/proc/\(process)/ns/user", &status)
            #expect(result.output == "0\nuser:[\(status.st_ino)]\n0\n", "\(result.errors)")
            var program = CallProgram(command: ["sh", "-c", "tty; id -un"])
            program.user = "nobody"
            if bench.runner.configuration.isRunc {
                #expect(try await bench.exec(id, program).output == "not a tty\nnobody\n")
                return
            }
            program.terminal = TerminalSize(rows: 24, columns: 80)
            let second = try await bench.exec(id, program)
            #expect(second.output == "/dev/pts/0\r\nnobody\r\n")
        }
    }

    @Test func `it ends as every task does: by a kill, with its lease, with its guard`()
        async throws
    {
        try await RunnerBench.run { bench in
            let (killed, lapsed, lost) = (bench.newID(), bench.newID(), bench.newID())
            let script = "trap '' TERM; sleep 1000 & setsid sleep 1000 & sleep 1000"
            for id in [killed, lapsed] {
                try await bench.start(id, Self.spec("sh", "-c", script))
            }
            let processes = bench.processes(killed)
            bench.runner.perform(killed, .kill)
            #expect(try await bench.end(of: killed) == .exited(ExitStatus(code: 137)))
            #expect(!processes.contains(where: RunnerBench.isRunning))
            bench.arm(for: .milliseconds(300))
            #expect(try await bench.end(of: lapsed).isVanished)
            bench.arm(for: .seconds(60))
            try await bench.start(lost, Self.spec("sh", "-c", script))
            let program = try #require(bench.runner.program(of: bench.paths(lost)))
            Glibc.kill(try #require(bench.guardProcess), SIGKILL)
            #expect(try await bench.end(of: lost).isVanished)
            #expect(!RunnerBench.isRunning(program))
        }
    }
}
