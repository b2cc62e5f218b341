import ControlAPI
import Foundation
import Testing

/// Options of tasks, signals and measurements, by way of nodes that do not run the task.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct ContainerOptionTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let options: [String]
        let script: String
        var output = ""
        var code: Int32 = 0
        var words = ""
        var testDescription: String { options.joined(separator: " ") }
    }

    private static let rows = [
        Row(options: ["-u", "nobody"], script: "id -un", output: "nobody\n"),
        Row(options: ["--user", "4711:12"], script: "id -u; id -g", output: "4711\n12\n"),
        Row(options: ["--user", "no-such"], script: "true", code: 125, words: "no-such"),
        Row(options: ["--hostname", "box"], script: "uname -n", output: "box\n"),
        Row(options: ["--hostname", "b_x"], script: "true", code: 125, words: "run: --hostname"),
        Row(options: ["--init"], script: "cat /proc/1/comm", output: "magpie-init\n"),
        Row(options: ["--no-init"], script: "true", code: 125, words: "--no-init"),
        Row(
            options: ["--tmpfs", "/scratch:size=1M", "--shm-size", "2M"],
            script: "df -k --output=size /scratch /dev/shm | tail -n +2 | tr -d ' '",
            output: "1024\n2048\n"),
        Row(
            options: ["--read-only"], script: "echo x 2>/dev/null > /home/x || echo shut",
            output: "shut\n"),
        Row(
            options: ["--cap-drop", "ALL"], script: "grep CapEff /proc/self/status | tr -d 0",
            output: "CapEff:\t\n"),
        Row(
            options: ["--cap-add", "net_raw"], script: "grep CapEff /proc/self/status",
            output: "CapEff:\t00000000800425fb\n"),
        Row(options: ["--cap-add", "FLY"], script: "true", code: 125, words: "FLY"),
        Row(
            options: ["--network", "host"],
            script: "ls /sys/class/net | grep -c . > /dev/null && echo up",
            output: "up\n"),
        Row(
            options: ["--network", "bridge"], script: "true", code: 125,
            words: "run: --network"),
        Row(options: ["--shm-size", "x"], script: "true", code: 125, words: "run: --shm-size"),
        Row(options: ["--ulimit", "x"], script: "true", code: 125, words: "run: --ulimit"),
        Row(
            options: ["--stop-signal", "X"], script: "true", code: 125,
            words: "run: --stop-signal"),
        Row(
            options: ["--ulimit", "nofile=64:128"], script: "ulimit -Sn; ulimit -Hn",
            output: "64\n128\n"),
        Row(
            options: ["--userns"],
            script:
                "id -u; echo x > /srv/x; stat -c %u /srv/x; wc -l < /proc/self/uid_map; id -u nobody",
            output: "0\n0\n1\n65534\n"),
        Row(
            options: ["--userns", "--network", "host"], script: "true", code: 125,
            words: "userns"),
        Row(
            options: ["--memory", "32M"], script: "head -c 200M /dev/zero | tail", code: 137,
            words: "ran out of memory"),
        Row(options: ["--disk", "1G", "--best-effort"], script: "echo ran", output: "ran\n"),
    ]

    @Test func `tasks get what they ask for`() async throws {
        try await TestCluster.run(
            of: 1, options: ["--allow-cap", "NET_RAW", "--allow-host-network"]
        ) { cluster in
            for row in Self.rows {
                let result = try await cluster.nodes[0].client(
                    ["run"] + row.options + ["sh", "-c", row.script])
                #expect(result.code == row.code, "\(row.testDescription): \(result.errors)")
                #expect(result.output == row.output, "\(row.testDescription)")
                #expect(
                    row.words.isEmpty || result.errors.contains(row.words), "\(result.errors)")
            }
        }
    }

    @Test func `what no node allows waits, and why says for what`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            for (option, word) in [
                (["--cap-add", "SYS_ADMIN"], "--allow-cap"),
                (["--network", "host"], "--allow-host-network"),
            ] {
                let id = try await node.client(["run", "-d"] + option + ["true"]).output
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                let why = try await node.client("why", id)
                #expect(why.output.contains(word), "\(why.output)")
                _ = try await node.client("cancel", id)
            }
        }
    }

    @Test func `signals, measurements and usage go through any node`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let script = """
                trap 'exit 9' USR1; trap 'echo hello' USR2; echo ready
                while :; do sleep 0.05; done
                """
            let id = try await cluster.nodes[0].client("run", "-d", "sh", "-c", script).output
                .trimmingCharacters(in: .whitespacesAndNewlines)
            try await eventually("it runs") {
                try await cluster.nodes[0].client("logs", id).output == "ready\n"
            }
            for node in cluster.nodes {
                try await eventually("\(node.name) knows that it runs") {
                    try await node.client("stats", "-o", "name").output == id + "\n"
                }
                let json = try await node.client("stats", "-o", "json", id)
                let stats = try JSONDecoder().decode([StatsView].self, from: Data(json.output.utf8))
                let view = try #require(stats.first)
                #expect(view.memory > 0 && view.memory <= view.memoryLimit)
                #expect(view.pids >= 1 && view.memoryLimit == 64 << 20 && view.cpus == 0.1)
                let table = try await node.client("stats")
                #expect(table.output.contains("CPU TIME") && table.output.contains("64 MiB"))
                #expect(try await node.client("kill", "-s", "USR2", id).code == 0)
            }
            try await eventually("both signals arrived") {
                try await cluster.nodes[1].client("logs", id).output == "ready\nhello\nhello\n"
            }
            let nonsense = try await cluster.nodes[1].client("kill", "-s", "NOPE", id)
            #expect(nonsense.code == 1 && nonsense.errors.contains("NOPE"))
            // One node runs it: for the other this goes over the network.
            let other = cluster.nodes[Bool.random() ? 0 : 1]
            #expect(try await other.client("kill", "-s", "SIGUSR1", id).code == 0)
            #expect(try await other.client("wait", id).code == 9)
            for node in cluster.nodes {
                let text = try await node.client("status", "-o", "json", id).output
                let task = try JSONDecoder().decode(TaskView.self, from: Data(text.utf8))
                #expect(task.usage?.cpuSeconds ?? 0 > 0)
                #expect(task.usage?.memoryPeak ?? 0 > 0)
                #expect(try await node.client("status", id).output.contains("processor time"))
                let late = try await node.client("stats", id)
                #expect(late.code == 1 && late.errors.contains("does not run"))
            }
        }
    }

    @Test func `a task is asked to end by its own signal, within its grace`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            for (options, script, code) in [
                (["--stop-signal", "INT"], "trap 'exit 3' INT; trap 'exit 4' TERM", 3),
                ([], "trap 'exit 3' INT; trap 'exit 4' TERM", 4),
                (["--grace", "100ms"], "trap '' TERM", 137),
            ] as [([String], String, Int32)] {
                let id = try await node.client(
                    ["run", "-d"] + options + [
                        "sh", "-c", script + "; echo ready; while :; do sleep 0.05; done",
                    ]
                ).output.trimmingCharacters(in: .whitespacesAndNewlines)
                try await eventually("it runs") {
                    try await node.client("logs", id).output == "ready\n"
                }
                #expect(try await node.client("cancel", id).code == 0)
                #expect(try await node.client("wait", id).code == code)
            }
        }
    }
}
