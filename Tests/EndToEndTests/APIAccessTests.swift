import Foundation
import Glibc
import SystemPackage
import Testing

/// The API over TCP with real daemons and clients: logins, roles, and every way to be refused.
@Suite(.serialized)
struct APIAccessTests {
    /// A node with its API on TCP, and a user who may log in to it.
    private struct Stage {
        let node: TestNode
        let api: String
        let folder: URL

        /// The user's environment: nothing of it is this machine's.
        var environment: [String: String] {
            ["XDG_CONFIG_HOME": folder.path, "MAGPIE_NODE": ""]
        }

        var book: String { "\(folder.path)/magpie/logins.json" }

        func client(_ arguments: String...) async throws -> ProgramResult {
            try await Program.run("client", arguments, environment: environment)
        }

        func daemon(_ arguments: String...) async throws -> ProgramResult {
            try await Program.run(
                "daemon", arguments + ["--data-dir", node.dataDirectory.path])
        }

        /// Makes a token, and a file with it that its owner alone can read.
        func token(
            _ role: String, ttl: String = "1h"
        ) async throws -> (file: String, text: String, name: String, fingerprint: String) {
            let made = try await daemon("api-token", "--role", role, "--ttl", ttl)
            guard made.code == 0 else { throw NeverHappened(description: made.errors) }
            let words = made.errors.split(whereSeparator: \.isWhitespace).map(String.init)
            let file = folder.appendingPathComponent("token-\(UUID())").path
            _ = FileManager.default.createFile(
                atPath: file, contents: Data(made.output.utf8),
                attributes: [.posixPermissions: 0o600])
            return (
                file, made.output.trimmingCharacters(in: .whitespacesAndNewlines),
                words[1].trimmingCharacters(in: .punctuationCharacters), words.last ?? ""
            )
        }

        @discardableResult
        func login(_ role: String, ttl: String = "1h") async throws -> (name: String, text: String)
        {
            let token = try await token(role, ttl: ttl)
            let reply = try await client(
                "login", api, "--fingerprint", token.fingerprint, "--token-file", token.file)
            guard reply.code == 0 else { throw NeverHappened(description: reply.errors) }
            #expect(reply.errors.contains("with the role \(role)"))
            return (token.name, token.text)
        }
    }

    private func withStage(
        _ options: [String] = [], _ body: (Stage) async throws -> Void
    ) async throws {
        let api = LoopbackAddresses.draw(1)[0]
        try await TestCluster.run(of: 1, options: ["--api", api] + options) { cluster in
            let home = cluster.folder.appendingPathComponent("home")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            try await body(Stage(node: cluster.nodes[0], api: api, folder: home))
        }
    }

    @Test func `each role may do what it may, and is told what it lacks`() async throws {
        try await withStage { stage in
            let before = try await stage.client("-N", stage.api, "list")
            #expect(before.code == 1)
            try await stage.login("read")
            #expect(
                try await stage.client("-N", stage.api, "nodes", "-o", "name").output == "node1\n")
            let run = try await stage.client("-N", stage.api, "run", "echo", "hello")
            #expect(run.code == 125)
            #expect(run.errors.contains("needs the role submit"), "\(run.errors)")
            try await stage.login("submit")
            let ran = try await stage.client("-N", stage.api, "run", "echo", "hello")
            #expect(ran.output == "hello\n", "\(ran.errors)")
            let forget = try await stage.client("-N", stage.api, "nodes", "forget", "node1")
            #expect(forget.code == 1)
            #expect(forget.errors.contains("needs the role admin"), "\(forget.errors)")
            try await stage.login("admin")
            let admin = try await stage.client("-N", stage.api, "nodes", "forget", "nobody")
            #expect(admin.errors.contains("there is no node nobody"), "\(admin.errors)")
            #expect(try await stage.client("logout", stage.api).code == 0)
            let after = try await stage.client("-N", stage.api, "nodes")
            #expect(after.code == 1)
            #expect(try await stage.client("logout", stage.api).errors.contains("not logged in"))
        }
    }

    @Test func `a token that has expired or was taken back is refused with its reason`()
        async throws
    {
        try await withStage { stage in
            let (name, text) = try await stage.login("read")
            #expect(try await stage.daemon("api-token", "revoke", name).code == 0)
            let revoked = try await stage.client("-N", stage.api, "nodes")
            #expect(revoked.code == 1)
            #expect(revoked.errors.contains("was taken back"), "\(revoked.errors)")
            #expect(try await stage.daemon("api-token", "list").output.contains("revoked"))
            try await stage.login("read", ttl: "20s")
            try await eventually("the token expires") {
                try await stage.client("-N", stage.api, "nodes").errors.contains("has expired")
            }
            // Neither token is written anywhere but where it belongs.
            let log = try String(
                contentsOfFile: stage.node.dataDirectory.path + ".log", encoding: .utf8)
            #expect(!log.contains(text) && !log.contains(text.suffix(20)))
            let attributes = try FileManager.default.attributesOfItem(atPath: stage.book)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test func `a login is refused for a wrong certificate, a wrong token, and a readable file`()
        async throws
    {
        try await withStage { stage in
            let token = try await stage.token("admin")
            let other = "sha256:" + String(repeating: "0", count: 64)
            let wrong = try await stage.client(
                "login", stage.api, "--fingerprint", other, "--token-file", token.file)
            #expect(wrong.code == 1)
            #expect(wrong.errors.contains("not the one that was named"), "\(wrong.errors)")
            let open = stage.folder.appendingPathComponent("open").path
            _ = FileManager.default.createFile(
                atPath: open, contents: Data(token.text.utf8),
                attributes: [.posixPermissions: 0o644])
            let readable = try await stage.client(
                "login", stage.api, "--fingerprint", token.fingerprint, "--token-file", open)
            #expect(readable.errors.contains("chmod 600"), "\(readable.errors)")
            chmod(open, 0o600)
            try "mga1-nonsense\n".write(toFile: open, atomically: false, encoding: .utf8)
            let unknown = try await stage.client(
                "login", stage.api, "--fingerprint", token.fingerprint, "--token-file", open)
            #expect(unknown.errors.contains("does not know the token"), "\(unknown.errors)")
            #expect(!FileManager.default.fileExists(atPath: stage.book))
            let unconfirmed = try await Program.run(
                "/usr/bin/setsid",
                [
                    "-w", Program.path("client").string, "login", stage.api, "--token-file",
                    token.file,
                ],
                environment: stage.environment)
            #expect(unconfirmed.errors.contains("was not confirmed"), "\(unconfirmed.errors)")
        }
    }

    @Test func `another certificate than the pinned one is not spoken to`() async throws {
        try await withStage { stage in
            try await stage.login("read")
            await stage.node.stop()
            try FileManager.default.removeItem(
                atPath: stage.node.dataDirectory.path + "/api-certificate.json")
            try await stage.node.start(["start"])
            let reply = try await stage.client("-N", stage.api, "nodes")
            #expect(reply.code == 1)
            #expect(reply.errors.contains("not one that the login trusts"), "\(reply.errors)")
        }
    }

    @Test func `an own certificate is shown, and an authority of one's own is trusted`()
        async throws
    {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-ca-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let api = LoopbackAddresses.draw(1)[0]
        let host = api.split(separator: ":")[0]
        let script = """
            set -e
            cd \(folder.path)
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
            openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=api
            printf 'subjectAltName=IP:\(host)' > ext
            openssl x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile ext -out api.pem
            chmod 600 api.key
            """
        let made = try await Program.run("/bin/sh", ["-c", script])
        try #require(made.code == 0, "\(made.errors)")
        let options = [
            "--api", api, "--api-cert", "\(folder.path)/api.pem", "--api-key",
            "\(folder.path)/api.key",
        ]
        try await TestCluster.run(of: 1, options: options) { cluster in
            let stage = Stage(node: cluster.nodes[0], api: api, folder: folder)
            let token = try await stage.token("read")
            let distrusted = try await stage.client(
                "login", api, "--ca", "system", "--token-file", token.file)
            #expect(distrusted.code == 1)
            let pinned = try await stage.client(
                "login", api, "--fingerprint", token.fingerprint, "--token-file", token.file)
            #expect(pinned.errors.contains("--ca FILE"), "\(pinned.errors)")
            let reply = try await stage.client(
                "login", api, "--ca", "\(folder.path)/ca.pem", "--token-file", token.file)
            #expect(reply.code == 0, "\(reply.errors)")
            #expect(try await stage.client("-N", api, "nodes", "-o", "name").output == "node1\n")
        }
    }

    @Test func `loopback without TLS is had when it is asked for, and TLS is not spoken there`()
        async throws
    {
        try await withStage(["--api-insecure-loopback"]) { stage in
            let reply = try await stage.client("-N", stage.api, "nodes", "-o", "name")
            #expect(reply.output == "node1\n", "\(reply.errors)")
            let login = try await stage.client(
                "login", stage.api, "--fingerprint", "sha256:" + String(repeating: "0", count: 64),
                "--token-file", "/dev/null")
            #expect(login.code == 1)
            #expect(login.errors.contains("can't reach"), "\(login.errors)")
        }
    }
}
