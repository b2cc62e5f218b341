import Foundation
import Glibc
import Testing

/// Nodes of somebody who is not root: what they do, what they refuse, and that their leases hold.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: TestUser.canBeMade, "\(TestUser.obstacle ?? "")"))
struct OrdinaryUserTests {
    @Test(arguments: TestUser.Kind.allCases)
    func `an ordinary user's node runs tasks as him`(kind: TestUser.Kind) async throws {
        try await run(kind) { cluster, user in
            let node = cluster.nodes[0]
            let made = try await node.client(
                "run", "-v", "\(cluster.shared.path):/shared", "sh", "-c",
                "id -u; cut -d' ' -f1- /proc/self/uid_map; echo kept >/shared/file; echo x >/usr-not; exit 3"
            )
            #expect(made.code == 3, "\(made.errors)")
            let lines = made.output.split(separator: "\n").map {
                $0.split(separator: " ").map(String.init)
            }
            #expect(lines.first == ["0"])
            #expect(lines.dropFirst().first == ["0", "\(user.id)", "1"])
            #expect(lines.count == (kind == .alone ? 2 : 3))
            var status = stat()
            #expect(stat(cluster.shared.appendingPathComponent("file").path, &status) == 0)
            #expect(status.st_uid == user.id)
            let task = try #require(try await cluster.tasks(seenBy: node).first)
            let shown = try await node.client("status", task.id)
            #expect(shown.output.contains("not limited on this node: memory"), "\(shown.output)")
        }
    }

    @Test(arguments: TestUser.Kind.allCases)
    func `what an ordinary user's node can't give is left to others, and said`(
        kind: TestUser.Kind
    ) async throws {
        try await run(kind) { cluster, _ in
            let node = cluster.nodes[0]
            var wishes = [
                (["--memory", "128M"], "can't limit memory"),
                (["--pids", "9"], "can't limit memory"),
                (["--disk", "1M"], "project quotas"), (["--userns"], "--userns"),
            ]
            if kind == .alone { wishes.append((["--user", "nobody"], "no other users")) }
            for (wish, word) in wishes {
                let id = try await submit(wish + ["true"], to: node)
                let why = try await node.client("why", id)
                #expect(why.output.contains(word), "\(wish): \(why.output)")
                #expect(try await node.client("cancel", id).code == 0)
            }
            let anyhow = try await node.client(
                "run", "--memory", "128M", "--disk", "1M", "--best-effort", "true")
            #expect(anyhow.code == 0, "\(anyhow.errors)")
            if kind == .withOthers {
                let nobody = try await node.client("run", "--user", "nobody", "id", "-u")
                #expect(nobody.output == "65534\n", "\(nobody.errors)")
                let stranger = try await node.client("run", "--user", "0:70000", "true")
                #expect(stranger.code == 125, "\(stranger.errors)")
                #expect(stranger.errors.contains("nobody on this node"), "\(stranger.errors)")
            }
        }
    }

    @Test(arguments: TestUser.Kind.allCases)
    func `an image with files of several users`(kind: TestUser.Kind) async throws {
        try await run(kind) { cluster, user in
            let node = cluster.nodes[0]
            let tree = try await ImageTree(at: cluster.folder.appendingPathComponent("tree"))
            try tree.put(Data("word\n".utf8), at: "/etc/word", mode: 0o600)
            let file = tree.folder.appendingPathComponent("etc/word").path
            #expect(chown(file, 33, 34) == 0)
            let tarball = cluster.folder.appendingPathComponent("tree.tar").path
            let tar = try await Program.run(
                "/usr/bin/tar", ["-C", tree.folder.path, "-cf", tarball, "."])
            #expect(tar.code == 0, "\(tar.errors)")
            let imported = try await node.client("image", "import", tarball, "box")
            #expect(imported.code == 0, "\(imported.errors)")
            let read = ["--image", "box", "sh", "-c", "read word </etc/word && echo $word"]
            let strict = try await node.client(["run"] + read)
            switch kind {
            case .alone:
                #expect(strict.code == 125)
                #expect(strict.errors.contains("user 33, who is nobody on this node"))
                let loose = try await node.client(["run", "--best-effort"] + read)
                #expect(loose.output == "word\n", "\(loose.errors)")
            case .withOthers:
                #expect(strict.output == "word\n", "\(strict.errors)")
                let owner = try await node.client(["run", "--user", "33"] + read)
                #expect(owner.output == "word\n", "\(owner.errors)")
                let other = try await node.client(["run", "--user", "35"] + read)
                #expect(other.code != 0)
                // With nobody but himself the user can't even remove what was unpacked.
                await node.stop()
                try Data().write(to: user.subordinates)
                try await node.start(["start"])
                let poor = try await node.client(["run"] + read)
                #expect(poor.code != 0 && poor.output.isEmpty, "\(poor.output)")
            }
        }
    }

    @Test(arguments: TestUser.Kind.allCases)
    func `tasks outlive their daemon, which finds them again`(kind: TestUser.Kind) async throws {
        try await run(kind) { cluster, _ in
            let node = cluster.nodes[0]
            let id = try await submit(["sleep", "1000"], to: node)
            try await waitUntilRunning(id, cluster)
            await node.kill()
            try await node.start(["start"])
            // In the namespaces of the task's own life.
            let beside = try await node.client("exec", id, "sh", "-c", "echo beside; exit 4")
            #expect(beside.code == 4 && beside.output == "beside\n", "\(beside.errors)")
            let used = try await node.client("stats", id, "-o", "json")
            #expect(used.code == 0 && used.output.contains(id), "\(used.errors)")
            #expect(try await cluster.tasks(seenBy: node).first?.attempt == 1)
            #expect(try await node.client("cancel", id).code == 0)
            #expect(try await node.client("wait", id).code != 0)
        }
    }

    /// What befalls a daemon.
    enum Blow: CaseIterable { case killed, frozen }

    @Test(arguments: Blow.allCases)
    func `without its daemon no task of an ordinary user outlives the lease`(blow: Blow)
        async throws
    {
        try await run(.withOthers) { cluster, user in
            let node = cluster.nodes[0]
            let nap = "\(user.id)"
            // One that ignores signals, and one that runs as another user.
            let ids = [
                try await submit(["sh", "-c", "trap '' TERM; sleep \(nap)"], to: node),
                try await submit(["--user", "nobody", "sleep", nap], to: node),
            ]
            for id in ids { try await waitUntilRunning(id, cluster) }
            #expect(processes(of: nap).count >= 2)
            switch blow {
            case .killed: await node.kill()
            case .frozen: await node.signal(SIGSTOP)
            }
            try await eventually("the guard ends all") { processes(of: nap).isEmpty }
        }
    }

    @Test func `the client finds an ordinary user's daemon, and the doctor what it lacks`()
        async throws
    {
        try await run(.alone) { cluster, user in
            let node = cluster.nodes[0]
            // The usual place is that of the node's directory.
            let place = user.home.appendingPathComponent(".local/share")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                at: place.appendingPathComponent("magpie"), withDestinationURL: node.dataDirectory)
            let listed = try await Program.run("client", ["nodes"], as: user)
            #expect(listed.code == 0 && listed.output.contains(node.name), "\(listed.errors)")
            let doctor = try await Program.run("daemon", ["doctor"], as: user)
            #expect(doctor.code == 0, "\(doctor.output)\(doctor.errors)")
            #expect(doctor.output.contains("an ordinary user, root of a user namespace"))
            #expect(doctor.output.contains("tasks have no user but root"))
            // Who is root would not find what runs there.
            let id = try await submit(["sleep", "1000"], to: node)
            try await waitUntilRunning(id, cluster)
            await node.stop()
            let root = try await Program.run(
                "daemon", ["purge", "--data-dir", node.dataDirectory.path])
            #expect(root.code == 1 && root.errors.contains("containers of an ordinary user"))
        }
    }

    /// The runner's own tests, run by an ordinary user: what keeps leases, stops tasks, and joins them.
    @Test(arguments: [
        "GuardTests", "StopTests", "ProcessTests",
        "CallTests/.*(the task's user|has started ends|with their task)",
        "ContainerTests/.*(outlives|without a bundle|daemon was away|missing|exit code)",
    ])
    func `the runner does for an ordinary user what it does for root`(tests: String) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-user-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("shared"), withIntermediateDirectories: true)
        let user = try TestUser(.withOthers, in: folder)
        try user.own(folder)
        let words =
            user.namespaceEntrance
            + ["/usr/bin/env", "TMPDIR=\(folder.path)", "MAGPIE_ORDINARY_USER=\(user.id)"]
            + [URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path]
            + ["--testing-library", "swift-testing", "--filter", "RunnerTests\\.\(tests)"]
        let result = try await Program.run(words[0], Array(words.dropFirst()))
        // The guard ends when it has heard that nobody is left.
        try await eventually("nothing of it is left") {
            Leftovers.find(mentioning: folder.path, groups: []).isEmpty
        }
        let said = result.output + result.errors
        let issues = said.split(separator: "\n").filter { $0.contains("recorded an issue") }
        #expect(result.code == 0, "\(issues.joined(separator: "\n"))")
        let isNothing = said.contains("with 0 tests")
        #expect(said.contains("Test run with") && !isNothing, "\(said.suffix(500))")
        try FileManager.default.removeItem(at: folder)
    }

    // MARK: Helpers

    private func run(
        _ kind: TestUser.Kind, _ body: (TestCluster, TestUser) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-user-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let user = try TestUser(kind, in: folder)
        try await TestCluster.run(of: 1, user: user) { cluster in
            try await body(cluster, user)
        }
    }

    private func submit(_ task: [String], to node: TestNode) async throws -> String {
        let reply = try await node.client(["run", "-d"] + task)
        #expect(reply.code == 0, "\(reply.errors)")
        return reply.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func waitUntilRunning(_ id: String, _ cluster: TestCluster) async throws {
        try await eventually("\(id) runs") {
            try await cluster.tasks(seenBy: cluster.nodes[0]).first { $0.id == id }?.state
                == "running"
        }
    }

    /// The processes that have this word among their arguments, zombies not counted.
    private func processes(of word: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { id in
            guard id != getpid(),
                let line = FileManager.default.contents(atPath: "/proc/\(id)/cmdline")
            else { return false }
            return line.split(separator: 0).contains { $0.elementsEqual(word.utf8) }
        }
    }
}
