import ControlAPI
import Foundation
import Glibc
import SystemPackage
import Testing

/// Programs that clients start in tasks, and what clients type, by way of nodes that do and that do
/// not run the task.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct CallTests {
    /// Starts a task that stays, and waits until every node knows that it runs.
    private func sleeper(
        _ cluster: TestCluster, _ options: String...
    ) async throws -> String {
        let id = try await cluster.nodes[0].client(["run", "-d"] + options + ["sleep", "1000"])
            .output.trimmingCharacters(in: .whitespacesAndNewlines)
        for node in cluster.nodes {
            try await eventually("\(node.name) knows that it runs") {
                try await node.client("stats", "-o", "name", id).output == id + "\n"
            }
        }
        return id
    }

    /// Runs a line of the shell on this machine, with a node's client at hand as `$client`.
    private func shell(
        _ node: TestNode, _ line: String, script: String = ""
    ) async throws -> ProgramResult {
        var environment = node.environment
        environment["SCRIPT"] = script
        environment["client"] = Program.path("client").string
        return try await Program.run("/bin/sh", ["-c", line], environment: environment)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        var output = ""
        var errors = ""
        var code: Int32 = 0
        var testDescription: String { arguments.joined(separator: " ") }
    }

    private static func rows(_ id: String) -> [Row] {
        [
            Row(
                arguments: [id, "sh", "-c", "echo out; echo err >&2; exit 7"], output: "out\n",
                errors: "err\n", code: 7),
            Row(arguments: [id, "--", "id", "-un"], output: "nobody\n"),
            Row(arguments: ["--", id, "id", "-un"], output: "nobody\n"),
            Row(arguments: ["-u", "root", id, "id", "-un"], output: "root\n"),
            Row(
                arguments: ["-w", "/usr", "-e", "A=b", id, "sh", "-c", "echo $PWD $A"],
                output: "/usr b\n"),
            Row(arguments: [id, "sh", "-c", "kill -9 $$"], code: 137),
            Row(arguments: [id, "no-such"], errors: "no-such", code: 127),
            Row(arguments: [id, "/etc/passwd"], errors: "/etc/passwd", code: 126),
            Row(arguments: ["-u", "whoever", id, "true"], errors: "whoever", code: 125),
            Row(arguments: ["-w", "usr", id, "true"], errors: "exec: --workdir", code: 125),
            Row(arguments: [id], errors: "give a task and a command", code: 125),
            Row(arguments: ["--what", id, "true"], errors: "--what", code: 125),
            Row(arguments: ["abc", "true"], errors: "abc", code: 125),
            Row(arguments: ["-it", id, "true"], errors: "terminal", code: 125),
        ]
    }

    @Test func `a program runs beside a task, by way of any node`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let id = try await sleeper(cluster, "-u", "nobody")
            for node in cluster.nodes {
                for row in Self.rows(id) {
                    let result = try await node.client(["exec"] + row.arguments)
                    #expect(result.code == row.code, "\(row.testDescription): \(result.errors)")
                    #expect(result.output == row.output, "\(row.testDescription)")
                    #expect(
                        row.errors.isEmpty
                            ? result.errors.isEmpty : result.errors.contains(row.errors),
                        "\(row.testDescription): \(result.errors)")
                }
                let sums = try await shell(
                    node,
                    """
                    seq 300000 | sha1sum; seq 300000 | $client exec -i \(id) cat | sha1sum
                    $client exec \(id) seq 300000 | sha1sum
                    """)
                let lines = Set(sums.output.split(separator: "\n"))
                #expect(lines.count == 1, "\(sums.output) \(sums.errors)")
            }
            _ = try await cluster.nodes[0].client("cancel", id)
            for node in cluster.nodes {
                _ = try await node.client("wait", id)
                let late = try await node.client("exec", id, "true")
                #expect(late.code == 125 && late.errors.contains("does not run"))
            }
        }
    }

    @Test func `a program has a terminal, by way of any node`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let id = try await sleeper(cluster)
            // The size comes with the program, not always before it.
            let script = """
                until stty size | grep -v '0 0'; do :; done; echo $TERM; read x; echo got $x; exit 5
                """
            for node in cluster.nodes {
                let result = try await shell(
                    node,
                    """
                    echo typed | TERM=vt100 script -qec \
                        'stty rows 31 cols 71; $client exec -it \(id) sh -c "$SCRIPT"' /dev/null
                    """, script: script)
                #expect(result.code == 5, "\(result.output) \(result.errors)")
                // What is typed shows between any two lines.
                for line in ["31 71", "vt100"] {
                    #expect(result.output.contains("\(line)\r\n"), "\(result.output)")
                }
                #expect(result.output.contains("got typed\r\n"), "\(result.output)")
            }
        }
    }

    /// How many processes of this machine sleep for so many seconds.
    private func sleepers(_ seconds: Int) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.count { name in
            let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") ?? Data()
            return line == Data("sleep\0\(seconds)\0".utf8)
        }
    }

    @Test func `nothing of a program outlives its client or its daemons`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let id = try await sleeper(cluster)
            let seconds = Int.random(in: 100_000_000...999_999_999)
            let script = "setsid sleep \(seconds) & echo ready; sleep \(seconds)"
            let errors = cluster.folder.appendingPathComponent("errors")
            // The client is killed.
            for node in cluster.nodes {
                let result = try await Program.watchClient(
                    ["exec", id, "sh", "-c", script], of: node, errors: errors
                ) { _, process in
                    kill(process, SIGKILL)
                }
                #expect(result.code == 137)
                try await eventually("nothing is left") { sleepers(seconds) == 0 }
            }
            // The task's daemon is killed, and comes back; or the client's; or the one of both.
            let json = try await cluster.nodes[0].client("status", "-o", "json", id).output
            let task = try JSONDecoder().decode(TaskView.self, from: Data(json.utf8))
            let holder = try #require(cluster.nodes.first { $0.name == task.node })
            let other = try #require(cluster.nodes.first { $0.name != task.node })
            for (asked, killed) in [(other, holder), (other, other), (holder, holder)] {
                let result = try await Program.watchClient(
                    ["exec", id, "sh", "-c", script], of: asked, errors: errors
                ) { _, _ in
                    await killed.kill()
                    try await killed.start(["start"])
                }
                #expect(result.code == 125, "\(result.errors)")
                try await eventually("nothing is left") { sleepers(seconds) == 0 }
            }
            #expect(try await cluster.nodes[0].client("status", id).output.contains("running"))
        }
    }

    // MARK: Input of tasks

    @Test func `a task reads what comes in at its client, by way of any node`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            for node in cluster.nodes {
                // Both nodes run some of them.
                for _ in 0..<3 {
                    let result = try await shell(
                        node,
                        """
                        seq 100000 | sha1sum; seq 100000 | $client run -i sha1sum
                        (echo one; sleep 0.3; echo two) | $client run -i cat
                        $client run -i cat < /dev/null; echo $?
                        echo lost | $client run cat
                        """)
                    let lines = result.output.split(separator: "\n")
                    #expect(lines.count == 5 && lines.first == lines.dropFirst().first)
                    #expect(lines.suffix(3) == ["one", "two", "0"], "\(result.errors)")
                }
            }
            let node = cluster.nodes[0]
            let detached = try await node.client("run", "-i", "-d", "cat")
            #expect(detached.code == 125 && detached.errors.contains("--stdin"))
            let again = try await node.client("run", "-i", "--restart", "always", "cat")
            #expect(again.code == 125 && again.errors.contains("stdin"))
        }
    }

    @Test func `a task has a terminal, by way of any node`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let script = "stty size; read x; echo got $x; exit 5"
            for node in cluster.nodes {
                let result = try await shell(
                    node,
                    """
                    echo typed | script -qec \
                        'stty rows 31 cols 71; $client run -it sh -c "$SCRIPT"' /dev/null
                    """, script: script)
                #expect(result.code == 5, "\(result.output) \(result.errors)")
                #expect(result.output.contains("31 71\r\n"), "\(result.output)")
                #expect(result.output.contains("got typed\r\n"), "\(result.output)")
                let seen = try await node.client("run", "-t", "sh", "-c", "tty; echo err >&2")
                #expect(seen.output == "/dev/pts/0\r\nerr\r\n" && seen.errors.isEmpty)
                let blind = try await node.client("run", "-it", "true")
                #expect(blind.code == 125 && blind.errors.contains("terminal"))
            }
        }
    }

    @Test func `input that was cut off is said to be so`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let pipe = cluster.folder.appendingPathComponent("pipe").path
            #expect(mkfifo(pipe, 0o600) == 0)
            // The shell itself keeps the pipe open: its input does not end.
            async let ending = shell(
                node,
                "exec 3<>\(pipe); echo one >&3; $client run -i sh -c 'cat; sleep 1' < \(pipe)")
            try await eventually("it has read the first line") {
                let id = try await node.client("list", "-o", "name").output
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                guard !id.isEmpty else { return false }
                return try await node.client("logs", id).output == "one\n"
            }
            await node.stop()
            try await node.start(["start"])
            let result = try await ending
            #expect(result.output == "one\n")
            #expect(result.code == 125, "\(result.errors)")
            #expect(result.errors.contains("input has ended"), "\(result.errors)")
        }
    }
}
