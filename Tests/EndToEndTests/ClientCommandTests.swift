import Foundation
import Glibc
import SystemPackage
import Testing

/// The client as people and scripts use it, against nodes that did not run the task.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct ClientCommandTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        let code: Int32
        var output = ""
        var words = ""
        var testDescription: String { arguments.joined(separator: " ") }
    }

    static let rows = [
        Row(arguments: ["run", "no-such-program"], code: 127, words: "no-such-program"),
        Row(arguments: ["run", "/etc/passwd"], code: 126, words: "passwd"),
        Row(arguments: ["run", "sh", "-c", "kill -TERM $$"], code: 143),
        Row(
            arguments: ["run", "--rootfs", "/nonexistent", "true"], code: 125,
            words: "/nonexistent"),
        Row(
            arguments: [
                "run", "--memory", "16M", "sh", "-c",
                "x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo ${#x}",
            ], code: 137, words: "--memory"),
        Row(arguments: ["run", "echo", "", "a b", "--", "-x"], code: 0, output: " a b -- -x\n"),
        Row(
            arguments: ["run", "-e", "A=b=c", "-e", "U=ü €", "sh", "--", "-c", "echo $A $U"],
            code: 0, output: "b=c ü €\n"),
        Row(arguments: ["run", "--bogus", "true"], code: 125, words: "--bogus"),
        Row(arguments: ["run"], code: 125, words: "give a command"),
        Row(arguments: ["-N", "127.0.0.1:1", "run", "true"], code: 125, words: "daemon start"),
        Row(arguments: ["-N", "nowhere", "nodes"], code: 1, words: "HOST:PORT"),
        Row(arguments: ["status", "ffff0000"], code: 1, words: "no task"),
        Row(arguments: ["status", ""], code: 1, words: "no task ID"),
        Row(arguments: ["cancel", "ffff0000"], code: 1, words: "no task"),
        Row(arguments: ["wait", "ffff0000"], code: 125, words: "no task"),
        Row(arguments: ["logs", "-f", "ffff0000"], code: 1, words: "no task"),
        Row(arguments: ["nodes", "forget", "nobody"], code: 1, words: "no node nobody"),
        Row(arguments: ["nodes", "forget", "node1"], code: 1, words: "alive"),
        Row(arguments: ["frobnicate"], code: 64, words: "frobnicate"),
        Row(arguments: ["list", "-o", "xml"], code: 64, words: "table"),
        Row(arguments: ["--version"], code: 0, output: "0.1.0\n"),
    ]

    @Test func `commands give the output, exit codes and words that their users expect`()
        async throws
    {
        try await TestCluster.run(of: 3) { cluster in
            for (index, row) in ClientCommandTests.rows.enumerated() {
                let result = try await cluster.nodes[index % 3].client(row.arguments)
                #expect(result.code == row.code, "\(row.testDescription): \(result.errors)")
                #expect(result.output == row.output, "\(row.testDescription)")
                #expect(
                    row.words.isEmpty || result.errors.contains(row.words), "\(result.errors)")
            }
            try await checkBytes(cluster)
            try await checkReaders(cluster)
            try await checkLists(cluster)
        }
    }

    @Test func `every command explains itself`() async throws {
        for words in [
            [], ["run"], ["nodes"], ["nodes", "forget"], ["list"], ["status"], ["logs"],
            ["cancel"], ["wait"], ["why"],
            ["kill"], ["stats"],
        ] as [[String]] {
            let help = try await Program.run("client", words + ["--help"])
            #expect(help.code == 0, "\(words)")
            #expect(help.output.contains("USAGE: client"), "\(words): \(help.output)")
        }
        for words in [[], ["start"], ["join"], ["token"], ["leave"], ["purge"]] as [[String]] {
            let help = try await Program.run("daemon", words + ["--help"])
            #expect(help.code == 0 && help.output.contains("USAGE: daemon"), "\(words)")
        }
    }

    /// What a program writes arrives as it is: zeros, broken UTF-8, no end of line.
    private func checkBytes(_ cluster: TestCluster) async throws {
        var random = SystemRandomNumberGenerator()
        var bytes = Data((0..<300_000).map { _ in UInt8.random(in: 0...255, using: &random) })
        bytes += Data([0, 0, 0xFF, 0xFE, 10, 10, 0x61])
        try bytes.write(to: cluster.shared.appendingPathComponent("in"))
        let copy = cluster.shared.appendingPathComponent("out")
        let script =
            "\(Program.path("client")) run -v \(cluster.shared.path):/s:ro cat /s/in "
            + "> \(copy.path)"
        for node in cluster.nodes {
            let result = try await Program.run(
                "/bin/sh", ["-c", script], environment: node.environment)
            #expect(result.code == 0, "\(result.errors)")
            #expect(try Data(contentsOf: copy) == bytes)
        }
        // Who reads only the beginning does not keep the client.
        let closed = cluster.shared.appendingPathComponent("code").path
        let head =
            "(\(Program.path("client")) run sh -c 'while echo y; do :; done'; "
            + "echo $? > \(closed)) | head -n 1"
        let result = try await Program.run(
            "/bin/sh", ["-c", head], environment: cluster.nodes[0].environment)
        #expect(result.output == "y\n")
        #expect(result.errors.contains("the task goes on"), "\(result.errors)")
        #expect(try String(contentsOfFile: closed, encoding: .utf8) == "141\n")
        let id = result.errors.split(separator: " ").last.map(String.init) ?? ""
        let canceled = try await cluster.nodes[1].client(
            "cancel", id.trimmingCharacters(in: .newlines))
        #expect(canceled.code == 0, "\(canceled.errors)")
    }

    /// How many read one task's output at a time.
    static let readerCount = 16

    /// Counts what happens in several tasks.
    private actor Tally {
        private var number = 0

        func count() -> Int {
            number += 1
            return number
        }
    }

    /// Many readers of one task read the same, and leave nothing open.
    private func checkReaders(_ cluster: TestCluster) async throws {
        let node = cluster.nodes[2]
        let reply = try await cluster.nodes[0].client(
            "run", "-d", "-v", "\(cluster.shared.path):/s", "sh", "-c",
            "echo a; until [ -e /s/readers ]; do sleep 0.05; done; echo b")
        let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let open = try await node.descriptorCount()
        let file = cluster.shared.appendingPathComponent("readers").path
        let beginning = Tally()
        try await withThrowingTaskGroup(of: ProgramResult.self) { group in
            for number in 0..<ClientCommandTests.readerCount {
                let errors = cluster.folder.appendingPathComponent("errors\(number)")
                group.addTask {
                    try await Program.watchClient(["logs", "-f", id], of: node, errors: errors) {
                        line, _ in
                        // The task ends once all have read its beginning.
                        let count = line == "a" ? await beginning.count() : 0
                        guard count == ClientCommandTests.readerCount else { return }
                        _ = FileManager.default.createFile(atPath: file, contents: nil)
                    }
                }
            }
            for try await result in group {
                #expect(result.code == 0, "\(result.errors)")
                #expect(result.output == "a\nb\n")
            }
        }
        try await eventually("nothing stays open") { try await node.descriptorCount() <= open + 2 }
    }

    private func checkLists(_ cluster: TestCluster) async throws {
        let node = cluster.nodes[1]
        let queued = try await node.client("run", "-d", "--constraint", "nowhere=1", "true")
        let id = queued.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let names = try await node.client("list", "--state", "queued", "-o", "name")
        #expect(names.output == id + "\n")
        let short = try await node.client(
            "status", String(id.suffix(10)).uppercased(), "-o", "name")
        #expect(short.output == id + "\n", "\(short.errors)")
        let many = try await node.client("status", String(id.prefix(3)))
        #expect(many.code == 1)
        #expect(many.errors.contains("may mean any of"))
        let why = try await node.client("why", id, "-o", "json")
        #expect(why.output.contains("does not carry the label nowhere=1"))
        #expect(try await node.client("logs", id).output.isEmpty)
        // One that is unknown is told before anybody waits; one more does not keep the others.
        #expect(try await node.client("wait", id, "ffff0000").code == 125)
        let cancel = try await node.client("cancel", "ffff0000", id)
        #expect(cancel.code == 1)
        let ended = try await node.client("wait", id)
        #expect(ended.code == 143, "\(ended.errors)")
        #expect(ended.output == "canceled\n")
        #expect(try await node.client("cancel", id).code == 0, "it is as wished")
        let status = try await node.client("status", id, "-o", "json")
        let object = try JSONSerialization.jsonObject(with: Data(status.output.utf8))
        let keys = Set(try #require(object as? [String: Any]).keys)
        #expect(
            keys.isSuperset(of: [
                "id", "state", "command", "node", "exit_code", "attempt", "token", "submitted",
                "started", "ended", "reason",
            ]))
    }

    @Test func `Ctrl-C is passed on, twice it cancels, and a lost daemon harms nothing`()
        async throws
    {
        try await TestCluster.run(of: 2) { cluster in
            let node = cluster.nodes[0]
            let errors = cluster.folder.appendingPathComponent("errors")
            let once = try await Program.watchClient(
                [
                    "run", "sh", "-c",
                    "trap 'echo got it; exit 7' INT; echo up; while :; do sleep 0.05; done",
                ], of: node, errors: errors
            ) { line, id in
                if line == "up" { kill(id, SIGINT) }
            }
            #expect(once.code == 7, "\(once.errors)")
            #expect(once.output == "up\ngot it\n")
            let twice = try await Program.watchClient(
                [
                    "run", "--grace", "1s", "sh", "-c",
                    "trap 'echo no' INT; echo up; while :; do sleep 0.05; done",
                ], of: node, errors: errors
            ) { _, id in
                // Each press is answered by a line; the second within a second counts.
                kill(id, SIGINT)
            }
            #expect(twice.code == 143, "\(twice.errors)")
            #expect(twice.errors.contains("canceling the task"))

            let script =
                "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.03; done; exit 9"
            let lost = try await Program.watchClient(
                ["run", "sh", "-c", script], of: node, errors: errors
            ) { line, _ in
                guard line == "5" else { return }
                await node.kill()
                try await node.start(["start"])
            }
            #expect(lost.code == 9, "\(lost.errors)")
            #expect(lost.output == (0..<60).map { "\($0)\n" }.joined())
        }
    }
}
