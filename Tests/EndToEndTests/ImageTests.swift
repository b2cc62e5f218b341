import ControlAPI
import Foundation
import Testing

/// Images that are brought to one node, and run on all.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers in these tests need root"),
    .timeLimit(.minutes(5)))
struct ImageTests {
    @Test func `an image that one node has runs on every node, and outlives that one`()
        async throws
    {
        try await TestCluster.run(of: 3, options: ["--cpus", "2"]) { cluster in
            let tree = try await ImageTree(at: cluster.folder.appendingPathComponent("tree"))
            try tree.put(Data("from the image\n".utf8), at: "/etc/word")
            let tarball = cluster.folder.appendingPathComponent("tree.tar.gz").path
            let tar = try await Program.run(
                "/usr/bin/tar", ["-C", tree.folder.path, "-czf", tarball, "."])
            #expect(tar.code == 0, "\(tar.errors)")
            let origin = cluster.nodes[0]
            let imported = try await origin.client("image", "import", tarball, "box")
            #expect(imported.code == 0, "\(imported.errors)")
            #expect(imported.output.hasPrefix("sha256:"))
            try await eventually("all nodes know the name") {
                for node in cluster.nodes {
                    let names = try await node.client("image", "ls", "-o", "name")
                    guard names.output == "box:latest\n" else { return false }
                }
                return true
            }
            // Each takes a whole node until all of them run.
            var tasks: [String] = []
            for node in cluster.nodes {
                let reply = try await node.client(
                    "run", "-d", "--cpus", "2", "--image", "box", "-v",
                    "\(cluster.shared.path):/shared", "sh", "--", "-c",
                    "read word < /etc/word; echo $word; while ! [ -e /shared/go ]; do sleep 0.05; done"
                )
                #expect(reply.code == 0, "\(reply.errors)")
                tasks.append(reply.output.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            try await eventually("all of them run") {
                try await cluster.tasks(seenBy: origin).count { $0.state == "running" } == 3
            }
            try Data().write(to: cluster.shared.appendingPathComponent("go"))
            for task in tasks {
                #expect(try await origin.client("wait", task).code == 0)
                #expect(try await origin.client("logs", task).output == "from the image\n")
            }
            let holders = try await cluster.tasks(seenBy: origin).map(\.node)
            #expect(Set(holders).count == 3, "\(holders)")

            let removed = try await cluster.nodes[1].client("image", "rm", "box")
            #expect(removed.code == 0, "\(removed.errors)")
            let late = try await cluster.nodes[1].client("run", "--image", "box", "sh")
            #expect(late.code == 125 && late.errors.contains("no image box"), "\(late.errors)")
        }
    }

    @Test func `what an image says of its process holds, and can be overridden`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            let tree = try await ImageTree(at: cluster.folder.appendingPathComponent("tree"))
            try tree.put(Data("app:x:77:78::/home/app:/bin/sh\n".utf8), at: "/etc/passwd")
            try tree.put(Data(), at: "/srv/here/empty")
            let layout = cluster.folder.appendingPathComponent("layout")
            try await tree.layout(
                at: layout,
                process: #"""
                    {"Entrypoint":["/bin/sh","-c"],"Cmd":["echo $GREETING; pwd; id -u; id -g"],
                    "Env":["GREETING=hello","PATH=/usr/bin:/bin"],"WorkingDir":"/srv/here",
                    "User":"app","StopSignal":"SIGUSR1"}
                    """#)
            let imported = try await node.client("image", "import", layout.path, "app:1")
            #expect(imported.code == 0, "\(imported.errors)")
            func run(_ options: [String], _ command: [String] = []) async throws -> String {
                let result = try await node.client(
                    ["run"] + options + ["--image", "app:1"] + command)
                #expect(result.code == 0, "\(result.errors)")
                return result.output
            }
            #expect(try await run([]) == "hello\n/srv/here\n77\n78\n")
            #expect(
                try await run(
                    ["-e", "GREETING=hi", "-w", "/etc", "-u", "0"], ["echo $GREETING; pwd"])
                    == "hi\n/etc\n")
            #expect(try await run(["--entrypoint", "/usr/bin/id"], ["--", "-u"]) == "77\n")
            #expect(try await run(["--entrypoint", ""], ["/usr/bin/id", "-g"]) == "78\n")

            // The image's signal ends it; SIGTERM would not.
            let reply = try await node.client(
                "run", "-d", "--grace", "60s", "--image", "app:1",
                "trap '' TERM; trap 'echo told; exit 3' USR1; echo up; while :; do sleep 0.1; done")
            #expect(reply.code == 0, "\(reply.errors)")
            let id = reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
            try await eventually("it runs") {
                try await node.client("logs", id).output == "up\n"
            }
            #expect(try await node.client("cancel", id).code == 0)
            _ = try await node.client("wait", id)
            #expect(try await node.client("logs", id).output == "up\ntold\n")
        }
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let words: [String]
        let code: Int32
        let error: String
        var testDescription: String { words.joined(separator: " ") }

        init(_ words: String, _ code: Int32, _ error: String) {
            self.words = words.split(separator: " ").map(String.init)
            self.code = code
            self.error = error
        }
    }

    private static let refusals = [
        Row("image import /no/such/file box", 1, "no file or directory"),
        Row("image import /etc/hostname Box", 1, "no name of an image"),
        Row("image import /etc/hostname box", 1, "what was sent is not a tar archive"),
        Row("image pull 127.0.0.1:1/tool", 1, "can't be reached"),
        Row("image pull UPPER", 1, "names no image in a registry"),
        Row("image rm nothing", 1, "no image of the name nothing:latest"),
        Row("run --image nothing true", 125, "image import"),
        Row("run --image a:b:c true", 125, "a:b:c is no name of an image"),
        Row("run --entrypoint x true", 125, "entrypoint"),
        Row("run --rootfs / --image box true", 125, "image"),
    ]

    @Test func `bad input is refused with what to do, and leaves nothing`() async throws {
        try await TestCluster.run(of: 1) { cluster in
            let node = cluster.nodes[0]
            for row in Self.refusals {
                let result = try await node.client(row.words)
                #expect(result.code == row.code, "\(row.testDescription): \(result.errors)")
                #expect(
                    result.errors.contains(row.error), "\(row.testDescription): \(result.errors)")
                #expect(result.output.isEmpty)
            }
            let images = node.dataDirectory.appendingPathComponent("images")
            for folder in ["work", "blobs/sha256", "images"] {
                let left = try FileManager.default.contentsOfDirectory(
                    atPath: images.appendingPathComponent(folder).path)
                #expect(left.isEmpty, "\(folder): \(left)")
            }
            let names = try await node.client("image", "ls", "-o", "json").output
            #expect(names.filter { !$0.isWhitespace } == "[]")
        }
    }
}
